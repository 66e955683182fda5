"""What a chain costs as it grows: seconds for each block and tick, and bytes for each block."""

from __future__ import annotations

import time
import tracemalloc
from typing import Any

import numpy as np

from dyadnet.config import RunConfig
from dyadnet.data import Dataset, Split
from dyadnet.description import MODELS, layered
from dyadnet.engine.local import LocalEngine
from dyadnet.engine.protocol import Engine
from dyadnet.metrics.snapshot import Snapshot
from dyadnet.relaxation import Phase, Relaxation, Update
from dyadnet.tally import Tally

STEP = 0.05
"""Small, so that no stream stands still, and costs no product any more, before the timing ends."""
BIAS = 0.5
"""Of every neuron, so that every block has a state of its own to go to, however far it is from the input."""
BETA = 0.1
SAMPLES = 512


def data(neurons: int) -> Dataset:
    """Random samples of as many features and classes as a block has neurons."""
    generator = np.random.Generator(np.random.Philox(0))
    split = Split(generator.random((SAMPLES, neurons)), generator.integers(0, neurons, SAMPLES))
    return Dataset("random", split, split, 1.0, neurons)


def configuration(
    model: str, blocks: int, neurons: int, minibatch: int, lanes: int, cluster: dict[str, Any] | None = None
) -> RunConfig:
    """A chain of so many blocks of equal size, the last of which is the output."""
    network = layered(neurons, [neurons] * (blocks - 1), neurons, lam=MODELS[model], bias=BIAS)
    dynamics = {"fixed": True, "lanes": lanes, "initial": "zero", "step": STEP}
    values = {"network": network, "dynamics": dynamics, "learning": {"minibatch": minibatch}}
    return RunConfig.read(values | {"cluster": cluster or {}, "seed": 1}, "bench")


class Course:
    """One engine and chain, from measurement to measurement.

    Parameters
    ----------
    sweeps
        Of the shorter of two relaxations, by whose difference a sweep is timed.
    """

    def __init__(self, engine: Engine, config: RunConfig, sweeps: int) -> None:
        self._engine = engine
        self._rows = np.arange(config.learning.minibatch) % SAMPLES
        self._couplings = tuple(p.coupling for p in config.network.recurrent)
        self._blocks = len(config.network.populations)
        # What a nudge does must have reached the other end before the shorter one is over.
        self._sweeps = max(sweeps, self._blocks // 2 + 1)
        self._number = 0
        self._snapshot = Snapshot(config, "bench")
        self._tally = Tally(self._snapshot.layout)

    def relax(self, factor: int = 1, beta: float = 0.0) -> tuple[float, float]:
        """Seconds of one relaxation, of the wall and of this thread, with all that a coordinator does about it.

        Of the thread, because a Ray driver's other threads take 4 ms of every second that passes, whatever it does.

        Without a nudge every block has the same to do: where a nudge has died away, on its way down a long chain, its
        differences no longer change, and what does not change costs no product.
        """
        self._number += 1
        phases = (Phase("nudged" if beta else "free", beta, factor * self._sweeps, fixed=True),)
        started = time.perf_counter(), time.thread_time()
        outcome = self._engine.relax(Relaxation(self._number, "train", self._rows, phases, self._couplings, STEP))
        self._tally.add(outcome)
        self._snapshot.relaxed("train", outcome)
        return time.perf_counter() - started[0], time.thread_time() - started[1]

    def cost(self, ticks: int) -> float:
        """Seconds for each block and tick, what a relaxation takes to begin and end left out.

        Parameters
        ----------
        ticks
            Of a sweep.
        """
        short, _ = self.relax()
        long, _ = self.relax(2)
        return (long - short) / (self._sweeps * ticks * self._blocks)

    def learn(self) -> None:
        """Settle with a nudge, learn from it, and settle again: all arrays that training needs are there then."""
        self.relax(beta=BETA)
        self._engine.learn(Update(BETA, len(self._rows), 1e-4, 1))
        self.relax(beta=BETA)


def held(model: str, blocks: int, neurons: int, minibatch: int, lanes: int) -> int:
    """Bytes that a chain holds in one process once it has settled and learned: arrays, and the objects around them."""
    config = configuration(model, blocks, neurons, minibatch, lanes)
    samples = data(neurons)
    # What is compiled at its first use is no part of a chain.
    _learned(configuration(model, 2, neurons, minibatch, lanes), samples).close()
    began = not tracemalloc.is_tracing()
    if began:
        tracemalloc.start(1)
    try:
        before, _ = tracemalloc.get_traced_memory()
        engine = _learned(config, samples)
        after, _ = tracemalloc.get_traced_memory()
        engine.close()
        return after - before
    finally:
        if began:
            tracemalloc.stop()


def _learned(config: RunConfig, samples: Dataset) -> LocalEngine:
    engine = LocalEngine(config, samples)
    Course(engine, config, 1).learn()
    return engine
