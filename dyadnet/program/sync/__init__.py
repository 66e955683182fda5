"""Compiled synchronisation of processes that share memory: words, slots and verdicts."""
