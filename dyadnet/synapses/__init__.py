"""Kinds of projections: which neurons are joined, by which parameters, and the products in both directions."""
