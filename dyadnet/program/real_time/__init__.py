"""Blocks in real time, compiled: updates that wait for no other process, messages and their delays, and traces."""
