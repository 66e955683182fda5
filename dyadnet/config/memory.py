"""Checks that a network fits into this machine's memory. A configuration may come from an unknown source."""

from __future__ import annotations

import math

import numpy as np

from dyadnet.config import RunConfig
from dyadnet.errors import ConfigError
from dyadnet.files.arrays import memory


def check_room(config: RunConfig) -> None:
    """Refuse a network whose weights alone exceed this machine's memory.

    Raises
    ------
    ConfigError
        If they do. The error names the largest population.
    """
    network = config.network
    weights = sum(math.prod(shape) for p in network.projections for shape in network.shapes(p).values())
    needed = weights * np.dtype(config.dynamics.dtype).itemsize
    if needed > memory():
        index, largest = max(enumerate(network.populations), key=lambda indexed: indexed[1].size)
        asked, there = (f"{size / 2**30:.3g}" for size in (needed, memory()))
        legal = f"the weights alone need {asked} GiB, this machine has {there}; make it smaller"
        raise ConfigError(f"network.populations[{index}].size", largest.size, legal)
