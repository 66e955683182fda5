"""The cost of a chain as it grows: seconds per block and tick, and bytes per block."""

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
"""Step, so small that no stream settles during the timing; settled streams need no more products."""
BIAS = 0.5
"""Bias of every neuron, so that every block relaxes towards its own state at any distance from the input."""
BETA = 0.1
SAMPLES = 512


def data(neurons: int) -> Dataset:
    """Create random samples with as many features and classes as a block has neurons."""
    generator = np.random.Generator(np.random.Philox(0))
    split = Split(generator.random((SAMPLES, neurons)), generator.integers(0, neurons, SAMPLES))
    return Dataset("random", split, split, 1.0, neurons)


def configuration(
    model: str, blocks: int, neurons: int, minibatch: int, lanes: int, cluster: dict[str, Any] | None = None
) -> RunConfig:
    """Return the configuration of a chain of `blocks` blocks of equal size; the last one is the output."""
    network = layered(neurons, [neurons] * (blocks - 1), neurons, lam=MODELS[model], bias=BIAS)
    dynamics = {"fixed": True, "lanes": lanes, "initial": "zero", "step": STEP}
    values = {"network": network, "dynamics": dynamics, "learning": {"minibatch": minibatch}}
    return RunConfig.read(values | {"cluster": cluster or {}, "seed": 1}, "bench")


class ChainTimer:
    """Repeats measurements of one engine and chain.

    Parameters
    ----------
    sweeps
        Sweeps of the shorter of two relaxations; the difference of their times gives the time of a sweep.

    Attributes
    ----------
    sweeps
        The same number, or more if a long chain needs more.
    """

    def __init__(self, engine: Engine, config: RunConfig, sweeps: int) -> None:
        self._engine = engine
        self._rows = np.arange(config.learning.minibatch) % SAMPLES
        self._couplings = tuple(p.coupling for p in config.network.recurrent)
        self._blocks = len(config.network.populations)
        # The effect of a nudge must reach the other end of the chain before the shorter relaxation is over.
        self.sweeps = max(sweeps, self._blocks // 2 + 1)
        self._number = 0
        self._snapshot = Snapshot(config, "bench")
        self._tally = EpochMetrics(self._snapshot.layout)

    def relax(self, factor: int = 1, beta: float = 0.0) -> tuple[float, float]:
        """Run one relaxation, with all related work of a coordinator. Return its wall time and this thread's CPU time.

        The thread's time is measured because the other threads of a Ray driver always take 4 ms per second.

        Without a nudge all blocks have the same work. A nudge decays along a long chain, and differences that no longer
        change need no products.
        """
        self._number += 1
        phases = (Phase("nudged" if beta else "free", beta, factor * self.sweeps, fixed=True),)
        started = time.perf_counter(), time.thread_time()
        outcome = self._engine.relax(Relaxation(self._number, "train", self._rows, phases, self._couplings, STEP))
        self._tally.add(outcome)
        self._snapshot.relaxed("train", outcome)
        return time.perf_counter() - started[0], time.thread_time() - started[1]

    def cost(self, ticks: int) -> float:
        """Return the seconds per block and tick, without the time to begin and end a relaxation.

        Parameters
        ----------
        ticks
            Number of ticks in a sweep.
        """
        # The other chains have taken the caches; bringing them back must not count as beginning.
        self.relax()
        short, _ = self.relax()
        long, _ = self.relax(2)
        return (long - short) / (self.sweeps * ticks * self._blocks)

    def learn(self) -> None:
        """Settle with a nudge, update the weights, and settle again, so that all arrays for training are allocated."""
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
    """Measure the cost of each chain on the local engine, and of its bare products, with interleaved repetitions.

    Results are medians. Ratios are to the first chain in the same repetition. The products are those of a free phase,
    with the same number of lanes, threads and arrays as in the engine.

    Parameters
    ----------
    sizes
        Number of blocks of each chain; the other chains are compared with the first.
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
        # Means have feedback unless κ = 0.
        self._products = Products([(neurons, neurons)] * (size - 1), rows, backward=MODELS[model] != FEEDFORWARD)
        self._size, self._sweeps = size, self._course.sweeps

    def costs(self) -> tuple[float, float]:
        """Return the seconds per block and tick of the engine, and of the bare products."""
        ticks = self._engine.timing.sweep
        products = self._products.seconds(self._sweeps) / (self._sweeps * ticks * self._size)
        return self._course.cost(ticks), products

    def close(self) -> None:
        """Stop all threads."""
        self._products.close()
        self._engine.close()


def held(model: str, blocks: int, neurons: int, minibatch: int, lanes: int) -> int:
    """Return the bytes that a chain holds in one process after settling and an update: arrays and Python objects."""
    config = configuration(model, blocks, neurons, minibatch, lanes)
    samples = data(neurons)
    # Compile everything first, because compiled code is not part of a chain.
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
