"""Runs with one fault each, compared with the run that had none."""
