"""Timing as pure functions of counters: clocks, delays, and alternating compartments."""
