"""The share of matrix products in a sweep: the bare products relative to the engine's sweep, on one core; two cores."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from dyadnet.bench.networks import configuration, images, machine
from dyadnet.bench.products import Products
from dyadnet.dynamics.request import Phase, Relaxation
from dyadnet.engines.local import LocalEngine

SWEEPS, MOST = 25, 800
"""Sweeps of one timed relaxation, for large and for tiny networks. Few sweeps of a tiny network are too short to time.

The time of a sweep follows from two relaxations that differ by this number of sweeps.
"""
WORK = 256 * 505_000
"""Multiplications (one direction, both streams) in a sweep of a large network; smaller networks make more sweeps."""
PATH = 1.25
"""Sum of the steps of these sweeps, so small that no stream settles before the end; settled ones need no products."""


def measure(inputs: int, hidden: Sequence[int], minibatch: int, repetitions: int) -> dict[str, Any]:
    """Measure ratios for each model: medians over interleaved repetitions.

    Returns
    -------
    dict
        ``kernel`` by model: seconds of a sweep's bare products, computed from compiled code by the same BLAS as in the
        engine; seconds of the engine's sweep; and their ratio. ``products_numpy_s`` and ``ratio_numpy`` are for the
        same products by `numpy.matmul`. ``cores`` by model: sweeps per second in two lanes on two threads, relative to
        one thread.
    """
    sweeps = enough(hidden, minibatch)
    results: dict[str, Any] = {"machine": machine(), "network": [inputs, *hidden, 10], "minibatch": minibatch}
    results |= {"repetitions": repetitions, "sweeps": sweeps}
    results["kernel"] = {m: _kernel(m, inputs, hidden, minibatch, repetitions, sweeps) for m in ("sshm", "hm", "ffm")}
    results["cores"] = {m: _cores(m, inputs, hidden, minibatch, repetitions, sweeps) for m in ("sshm", "hm", "ffm")}
    return results


def enough(hidden: Sequence[int], minibatch: int) -> int:
    """Return the sweeps of a timed relaxation, more for smaller networks, so that it takes at least milliseconds."""
    work = 2 * minibatch * sum(below * above for below, above in links(hidden))
    return min(max(SWEEPS, SWEEPS * WORK // work), MOST)


def links(hidden: Sequence[int]) -> list[tuple[int, int]]:
    """Return the sizes of the lower and the upper block of each link in a chain, without the input."""
    return list(itertools.pairwise([*hidden, 10]))


def _kernel(
    model: str, inputs: int, hidden: Sequence[int], minibatch: int, repetitions: int, sweeps: int
) -> dict[str, float]:
    engine = _engine(model, inputs, hidden, minibatch, sweeps, lanes=1, threads=1)
    # Both streams go in both directions. In a feedforward network, means go up and differences down.
    products = Products(links(hidden), [minibatch if model == "ffm" else 2 * minibatch])
    sweep = _sweep(engine, minibatch, sweeps)
    found = []
    try:
        with threadpool_limits(limits=1, user_api="blas"):
            # The first one warms everything up.
            for repetition in range(repetitions + 1):
                once = products.seconds(sweeps) / sweeps, products.numpy_seconds(sweeps) / sweeps, sweep()
                if repetition:
                    found.append(once)
    finally:
        products.close()
        engine.close()
    bare, matmul, own = zip(*found, strict=True)
    return {
        "products_s": statistics.median(bare),
        "products_numpy_s": statistics.median(matmul),
        "sweep_s": statistics.median(own),
        "ratio": statistics.median(b / o for b, o in zip(bare, own, strict=True)),
        "ratio_numpy": statistics.median(m / o for m, o in zip(matmul, own, strict=True)),
    }


def _cores(
    model: str, inputs: int, hidden: Sequence[int], minibatch: int, repetitions: int, sweeps: int
) -> dict[str, float]:
    one = _engine(model, inputs, hidden, minibatch, sweeps, lanes=1, threads=1)
    two = _engine(model, inputs, hidden, minibatch, sweeps, lanes=2, threads=2)
    try:
        single, double = _sweep(one, minibatch, sweeps), _sweep(two, minibatch, sweeps)
        single()
        double()
        pairs = [(single(), double()) for _ in range(repetitions)]
    finally:
        one.close()
        two.close()
    return {
        "one_s": statistics.median(a for a, _ in pairs),
        "two_s": statistics.median(b for _, b in pairs),
        "ratio": statistics.median(a / b for a, b in pairs),
    }


def _engine(
    model: str, inputs: int, hidden: Sequence[int], minibatch: int, sweeps: int, *, lanes: int, threads: int
) -> LocalEngine:
    dynamics = {"fixed": True, "lanes": lanes, "initial": "zero", "step": PATH / sweeps}
    config = configuration(model, inputs, hidden, minibatch=minibatch, dynamics=dynamics)
    return LocalEngine(config, images(inputs, minibatch), threads=threads)


def _sweep(engine: LocalEngine, minibatch: int, sweeps: int) -> Callable[[], float]:
    """Return a function that times one sweep, as the difference of two dyadic relaxations, without start-up costs."""
    step, rows = PATH / sweeps, np.arange(minibatch)
    couplings = tuple(p.coupling for p in engine.config.network.recurrent)
    number = 0

    def relax(count: int) -> float:
        nonlocal number
        number += 1
        phases = (Phase("dyadic", 0.1, count, fixed=True),)
        started = time.perf_counter()
        engine.relax(Relaxation(number, "train", rows, phases, couplings, step))
        return time.perf_counter() - started

    def once() -> float:
        short = relax(sweeps)
        return (relax(2 * sweeps) - short) / sweeps

    return once
