"""Runs the trials of a study on a Ray cluster, one process per core."""
