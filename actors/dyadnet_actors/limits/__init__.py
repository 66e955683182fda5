"""``dyadnet real-limits``: the delay experiment in real time, on actors and with delays in milliseconds."""
