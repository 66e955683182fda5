"""The actor that creates a network's block actors and settles the network at one time constant after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import ray

from dyadnet.config import RunConfig
from dyadnet.dynamics.request import Phase, Relaxation
from dyadnet.runs.weights import Parameters
from dyadnet_actors.cluster.actors import BlockActor
from dyadnet_actors.cluster.workers import RayWorkers
from dyadnet_actors.coordination.engine import ActorEngine
from dyadnet_actors.limits.bisection import edge

PRECISION = 0.06
"""Relative precision of the edge: the smallest T that settles over the largest that does not, minus one."""
FAR = 8.0
"""Multiple of the theoretical edge for the first relaxation, which surely settles and measures the real delay."""
LINK = 5.0
"""Minimum message delay in milliseconds, assumed for a first guess."""


class LimitsActor:
    """Creates the block actors for one delay and searches for the edge of stability.

    Parameters
    ----------
    config
        Free-running configuration with a time constant set by hand.
    dataset
        Holds one reference into the object store.
    """

    def __init__(
        self, config: RunConfig, dataset: Sequence[Any], parameters: Parameters, couplings: tuple[float, ...]
    ) -> None:
        self._config = config
        self._dataset = dataset[0]
        self._parameters = parameters
        self._couplings = couplings

    def edge(self, ratio: float, asked: float) -> tuple[tuple[float, float] | None, float]:
        """Return the largest T that does not settle and the smallest that does, and the measured δ, in milliseconds.

        The pair of T is None if no edge was found.

        Parameters
        ----------
        ratio
            Theoretical T over δ at the edge.
        asked
            Delay of the channels, in milliseconds.
        """
        workers = RayWorkers(self._config, self._dataset, BlockActor)
        try:
            workers.start(lambda text: None)
            engine = ActorEngine(self._config, workers)
            engine.load(self._parameters)
            rows = np.arange(len(ray.get(self._dataset).test.labels))
            number = 0

            def settles(time_constant: float) -> bool:
                nonlocal number
                number += 1
                phases = (Phase("free", 0.0, 1),)
                relaxation = Relaxation(number, "test", rows, phases, self._couplings, time_constant)
                return engine.relax(relaxation).capped == 0

            settles(FAR * ratio * max(asked, LINK))
            pair = edge(settles, ratio * engine.machinery().pace["delay_ms"], PRECISION)
            return pair, engine.machinery().pace["delay_ms"]
        finally:
            workers.close()
