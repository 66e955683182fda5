"""Benchmarks on this machine; results are always ratios to a reference that ran at about the same time."""
