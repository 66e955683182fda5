"""Reproduce the paper's table and figures, test its outlook's proposal, and compare the results with the paper."""
