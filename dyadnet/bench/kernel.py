"""How much of a sweep is matrix products: the bare products over the engine's own sweep, on one core; and two cores."""

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
"""Sweeps of one timed relaxation of large networks, and of tiny ones, whose sweeps would be too short to be timed.

Two relaxations that differ by so many give the time of a sweep.
"""
WORK = 256 * 505_000
"""Multiplications, one way and both streams, of a sweep of a network that is large; a smaller one makes more sweeps."""
PATH = 1.25
"""Sum of the steps of so many sweeps: small, so that no stream stands still, and costs no product, before the end."""


def measure(inputs: int, hidden: Sequence[int], minibatch: int, repetitions: int) -> dict[str, Any]:
    """Ratios for each model: medians over interleaved repetitions.

    Returns
    -------
    dict
        ``kernel`` by model: seconds of the bare products of a sweep by the BLAS that the engine calls, called from
        compiled code, seconds of the engine's sweep, and their ratio; ``products_numpy_s`` and ``ratio_numpy`` are of
        the same products by `numpy.matmul`.
        ``cores`` by model: sweeps a second in two lanes on two threads over one thread.
    """
    sweeps = enough(hidden, minibatch)
    results: dict[str, Any] = {"machine": machine(), "network": [inputs, *hidden, 10], "minibatch": minibatch}
    results |= {"repetitions": repetitions, "sweeps": sweeps}
    results["kernel"] = {m: _kernel(m, inputs, hidden, minibatch, repetitions, sweeps) for m in ("sshm", "hm", "ffm")}
    results["cores"] = {m: _cores(m, inputs, hidden, minibatch, repetitions, sweeps) for m in ("sshm", "hm", "ffm")}
    return results


def enough(hidden: Sequence[int], minibatch: int) -> int:
    """Sweeps of a timed relaxation: the smaller the network, the more, because a timer wants milliseconds."""
    work = 2 * minibatch * sum(below * above for below, above in links(hidden))
    return min(max(SWEEPS, SWEEPS * WORK // work), MOST)


def links(hidden: Sequence[int]) -> list[tuple[int, int]]:
    """Sizes of the lower and the upper block of each link of a chain, the input left out."""
    return list(itertools.pairwise([*hidden, 10]))


def _kernel(
    model: str, inputs: int, hidden: Sequence[int], minibatch: int, repetitions: int, sweeps: int
) -> dict[str, float]:
    engine = _engine(model, inputs, hidden, minibatch, sweeps, lanes=1, threads=1)
    # Both streams go both ways, but in a feedforward network: there means go up and differences down.
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
    """Seconds of one sweep: the difference of two dyadic relaxations of different length, start-up cancelled."""
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
