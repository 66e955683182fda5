"""Relaxations as lists of events in virtual time, and the compiled code that executes them."""
