"""Whether a network has room in this machine's memory at all: a configuration may come from anywhere."""

from __future__ import annotations

import numpy as np

from dyadnet.config import RunConfig
from dyadnet.errors import ConfigError
from dyadnet.files.arrays import memory


def check_room(config: RunConfig) -> None:
    """Refuse a network whose weights alone are more than this machine's memory.

    Raises
    ------
    ConfigError
        Naming the largest population.
    """
    network = config.network
    sizes = {population.name: population.size for population in network.populations}
    weights = sum(sizes[p.post] * (network.inputs if p.from_input else sizes[p.pre]) for p in network.projections)
    needed = weights * np.dtype(config.dynamics.dtype).itemsize
    if needed > memory():
        index, largest = max(enumerate(network.populations), key=lambda indexed: indexed[1].size)
        asked, there = (f"{size / 2**30:.3g}" for size in (needed, memory()))
        legal = f"the weights alone need {asked} GiB, this machine has {there}; make it smaller"
        raise ConfigError(f"network.populations[{index}].size", largest.size, legal)
