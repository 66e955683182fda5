"""When things happen, as pure functions of counters: clocks, delays, compartments that alternate."""
