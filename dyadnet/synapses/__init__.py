"""Kinds of projections: which neurons they join, their parameters, and their products in both directions."""
