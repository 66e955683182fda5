"""Live telemetry of a run: metrics for Prometheus, and a web page.

The coordinator notifies an observer of all events, and the observer stores plain values. A scrape reads these values
and never contacts an actor.
"""
