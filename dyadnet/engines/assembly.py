"""Build blocks and probes from a configuration, identically in one process and in any actor."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from dyadnet.config import RunConfig
from dyadnet.dynamics.probes import Probe
from dyadnet.learning.block import Block
from dyadnet.network.topology import Topology


def blocks(config: RunConfig, topology: Topology, names: Iterable[str]) -> dict[str, Block]:
    """Build the named blocks, with their initial weights."""
    dtype = np.dtype(config.dynamics.dtype)
    optimiser, device_of = config.learning.optimiser, config.imperfections.device_of
    return {name: Block(name, topology, config.seed, dtype, optimiser, device_of(name)) for name in names}


def probes(config: RunConfig) -> dict[str, Probe]:
    """Build the probes of the first lane, by block."""
    return {name: Probe(neurons, config.probe.samples) for name, neurons in config.probe.neurons.items()}
