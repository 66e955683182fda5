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
from dyadnet.engine.local import LocalEngine
from dyadnet.relaxation import Phase, Relaxation

SWEEPS = 25
"""Sweeps of one timed relaxation; two relaxations that differ by so many give the time of a sweep."""
STEP = 0.05
"""Small, so that no stream stands still, and costs no product any more, before the timing ends."""


def measure(inputs: int, hidden: Sequence[int], minibatch: int, repetitions: int) -> dict[str, Any]:
    """Ratios for each model: medians over interleaved repetitions.

    Returns
    -------
    dict
        ``kernel`` by model: seconds of the bare products of a sweep, seconds of the engine's sweep, and their ratio;
        ``cores`` by model: sweeps a second in two lanes on two threads over one thread.
    """
    results: dict[str, Any] = {"machine": machine(), "network": [inputs, *hidden, 10], "minibatch": minibatch}
    results["kernel"] = {m: _kernel(m, inputs, hidden, minibatch, repetitions) for m in ("sshm", "hm", "ffm")}
    results["cores"] = {m: _cores(m, inputs, hidden, minibatch, repetitions) for m in ("sshm", "hm", "ffm")}
    return results


def _kernel(model: str, inputs: int, hidden: Sequence[int], minibatch: int, repetitions: int) -> dict[str, float]:
    engine = _engine(model, inputs, hidden, minibatch, lanes=1, threads=1)
    products = _bare_products(model, hidden, minibatch)
    sweep = _sweep(engine, minibatch)
    bare, own = [], []
    try:
        with threadpool_limits(limits=1, user_api="blas"):
            products()
            sweep()
            for _ in range(repetitions):
                bare.append(_timed(products) / SWEEPS)
                own.append(sweep())
    finally:
        engine.close()
    ratio = statistics.median(b / o for b, o in zip(bare, own, strict=True))
    return {"products_s": statistics.median(bare), "sweep_s": statistics.median(own), "ratio": ratio}


def _cores(model: str, inputs: int, hidden: Sequence[int], minibatch: int, repetitions: int) -> dict[str, float]:
    one = _engine(model, inputs, hidden, minibatch, lanes=1, threads=1)
    two = _engine(model, inputs, hidden, minibatch, lanes=2, threads=2)
    try:
        single, double = _sweep(one, minibatch), _sweep(two, minibatch)
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


def _engine(model: str, inputs: int, hidden: Sequence[int], minibatch: int, lanes: int, threads: int) -> LocalEngine:
    dynamics = {"fixed": True, "lanes": lanes, "initial": "zero", "step": STEP}
    config = configuration(model, inputs, hidden, minibatch=minibatch, dynamics=dynamics)
    return LocalEngine(config, images(inputs, minibatch), threads=threads)


def _sweep(engine: LocalEngine, minibatch: int) -> Callable[[], float]:
    """Seconds of one sweep: the difference of two dyadic relaxations of different length, start-up cancelled."""
    couplings = tuple(p.coupling for p in engine.config.network.recurrent)
    number = 0

    def relax(sweeps: int) -> float:
        nonlocal number
        number += 1
        phases = (Phase("dyadic", 0.1, sweeps, fixed=True),)
        return _timed(lambda: engine.relax(Relaxation(number, "train", np.arange(minibatch), phases, couplings, STEP)))

    def once() -> float:
        short = relax(SWEEPS)
        return (relax(2 * SWEEPS) - short) / SWEEPS

    return once


def _bare_products(model: str, hidden: Sequence[int], minibatch: int) -> Callable[[], None]:
    """The products that one sweep needs, into arrays that are there already: stacked means and differences."""
    generator = np.random.Generator(np.random.Philox(1))
    rows = minibatch if model == "ffm" else 2 * minibatch
    work = []
    layers = [*hidden, 10]
    for below, above in itertools.pairwise(layers):
        theta = generator.standard_normal((above, below)).astype(np.float32)
        up = generator.random((rows, below)).astype(np.float32)
        down = generator.random((rows, above)).astype(np.float32)
        work.append((up, theta, down, np.empty_like(down), np.empty_like(up)))

    def products() -> None:
        for up, theta, down, forward, backward in work:
            np.matmul(up, theta.T, out=forward)
            np.matmul(down, theta, out=backward)

    def repeated() -> None:
        for _ in range(SWEEPS):
            products()

    return repeated


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
