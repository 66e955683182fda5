"""Runs with one injected fault each, compared with an undisturbed run."""
