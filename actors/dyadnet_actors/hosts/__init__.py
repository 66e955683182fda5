"""One process's computing: a host of blocks, and the memory through which hosts of a machine meet. No Ray."""
