"""Numerical routines on plain arrays: kernels, matrix products, random draws, hashes. They know no network."""
