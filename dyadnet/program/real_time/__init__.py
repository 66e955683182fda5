"""Blocks in real time, compiled: updates that wait for nobody, what becomes of messages, and what is told of it."""
