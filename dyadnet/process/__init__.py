"""Interaction with the process in which dyadnet runs: signals, libraries, the terminal."""
