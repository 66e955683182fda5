"""Starts, finds and ends Ray actors."""
