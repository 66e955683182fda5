"""Traces: what a free-running run read and when, on record, and the same run again in one process, bit by bit."""
