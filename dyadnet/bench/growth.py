"""What a chain costs as it grows: seconds for each block and tick, and bytes for each block."""

from __future__ import annotations

import contextlib
import statistics
import time
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dyadnet.bench.networks import machine
from dyadnet.bench.products import Products
from dyadnet.config import RunConfig
from dyadnet.data import Dataset, Split
from dyadnet.dynamics.epoch_metrics import EpochMetrics
from dyadnet.dynamics.request import Phase, Relaxation, lane_slices
from dyadnet.engines.local import LocalEngine
from dyadnet.engines.protocol import Engine
from dyadnet.learning.update import Update
from dyadnet.network.description import FEEDFORWARD, MODELS, layered
from dyadnet.telemetry.snapshot import Snapshot

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


class ChainTimer:
    """One engine and chain, from measurement to measurement.

    Parameters
    ----------
    sweeps
        Of the shorter of two relaxations, by whose difference a sweep is timed.

    Attributes
    ----------
    sweeps
        The same, or as many more as a long chain needs.
    """

    def __init__(self, engine: Engine, config: RunConfig, sweeps: int) -> None:
        self._engine = engine
        self._rows = np.arange(config.learning.minibatch) % SAMPLES
        self._couplings = tuple(p.coupling for p in config.network.recurrent)
        self._blocks = len(config.network.populations)
        # What a nudge does must have reached the other end before the shorter one is over.
        self.sweeps = max(sweeps, self._blocks // 2 + 1)
        self._number = 0
        self._snapshot = Snapshot(config, "bench")
        self._tally = EpochMetrics(self._snapshot.layout)

    def relax(self, factor: int = 1, beta: float = 0.0) -> tuple[float, float]:
        """Seconds of one relaxation, of the wall and of this thread, with all that a coordinator does about it.

        Of the thread, because a Ray driver's other threads take 4 ms of every second that passes, whatever it does.

        Without a nudge every block has the same to do: where a nudge has died away, on its way down a long chain, its
        differences no longer change, and what does not change costs no product.
        """
        self._number += 1
        phases = (Phase("nudged" if beta else "free", beta, factor * self.sweeps, fixed=True),)
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
        return (long - short) / (self.sweeps * ticks * self._blocks)

    def learn(self) -> None:
        """Settle with a nudge, learn from it, and settle again: all arrays that training needs are there then."""
        self.relax(beta=BETA)
        self._engine.learn(Update(BETA, len(self._rows), 1e-4, 1))
        self.relax(beta=BETA)


def alone(
    sizes: Sequence[int],
    neurons: int,
    model: str,
    minibatch: int,
    lanes: int,
    sweeps: int,
    repetitions: int,
    told: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Costs of each chain on the local engine, and of its bare products: medians over interleaved repetitions.

    Ratios are to the first chain of the same repetition. Products are those of a free phase, in as many lanes, on as
    many threads, in arrays as many as those of the engine.

    Parameters
    ----------
    sizes
        Blocks of each chain; the first is what the others are compared with.
    sweeps
        See `ChainTimer`.
    """
    say = told or (lambda text: None)
    found: list[list[tuple[float, float]]] = []
    with contextlib.ExitStack() as stack:
        chains = [_Chain(model, size, neurons, minibatch, lanes, sweeps) for size in sizes]
        for chain in chains:
            stack.callback(chain.close)
        # The first repetition warms everything up.
        for repetition in range(repetitions + 1):
            say(f"repetition {repetition} of {repetitions}")
            costs = [chain.costs() for chain in chains]
            if repetition:
                found.append(costs)
    rows = []
    for index, size in enumerate(sizes):
        pairs = [(costs[index], costs[0]) for costs in found]
        grown = [[cost[k] / first[k] for cost, first in pairs] for k in (0, 1)]
        row: dict[str, Any] = {"blocks": size, "links_per_block": (size - 1) / size}
        row["links_ratio"] = row["links_per_block"] / ((sizes[0] - 1) / sizes[0])
        for k, name in enumerate(("local", "products")):
            cost = statistics.median(cost[k] for cost, _ in pairs)
            row[name] = {"cost_s": cost, "ratio": statistics.median(grown[k])}
        row["over_products"] = statistics.median(a / b for a, b in zip(*grown, strict=True))
        rows.append(row)
    return {
        "machine": machine(),
        "model": model,
        "neurons": neurons,
        "minibatch": minibatch,
        "lanes": lanes,
        "repetitions": repetitions,
        "rows": rows,
    }


class _Chain:
    """One chain on the local engine, and its bare products."""

    def __init__(self, model: str, size: int, neurons: int, minibatch: int, lanes: int, sweeps: int) -> None:
        config = configuration(model, size, neurons, minibatch, lanes)
        self._engine = LocalEngine(config, data(neurons))
        self._course = ChainTimer(self._engine, config, sweeps)
        rows = [len(lane) for lane in lane_slices(np.arange(minibatch), lanes).values()]
        # Feedback of means is what κ makes of it.
        self._products = Products([(neurons, neurons)] * (size - 1), rows, backward=MODELS[model] != FEEDFORWARD)
        self._size, self._sweeps = size, self._course.sweeps

    def costs(self) -> tuple[float, float]:
        """Seconds for each block and tick, of the engine and of the bare products."""
        ticks = self._engine.timing.sweep
        products = self._products.seconds(self._sweeps) / (self._sweeps * ticks * self._size)
        return self._course.cost(ticks), products

    def close(self) -> None:
        """End all threads."""
        self._products.close()
        self._engine.close()


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
    ChainTimer(engine, config, 1).learn()
    return engine
