"""What a run shows of itself while it goes: metrics for Prometheus, and a page for people.

The coordinator tells an observer what happens; the observer keeps plain values; a scrape reads those and never asks
an actor.
"""
