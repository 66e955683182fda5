"""The actor that creates a network's block actors and settles it at one time constant after the other."""

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
"""Of the edge: the smallest T that settles over the largest that does not, less one."""
FAR = 8.0
"""Times the edge in theory: a first relaxation that settles for sure and says how long messages really take."""
LINK = 5.0
"""Milliseconds that no message takes less than, for a first guess."""


class LimitsActor:
    """Creates the block actors of one delay and looks for the edge.

    Parameters
    ----------
    config
        Free-running, its time constant set by hand.
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
        """Largest T that does not settle and smallest that does, and δ as measured; in milliseconds.

        Parameters
        ----------
        ratio
            T over δ at the edge, in theory.
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
