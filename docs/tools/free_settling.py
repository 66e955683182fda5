"""How long free-running actors take to settle behind real delays, plain and prospective, against theory.

A random skew-symmetric network, scaled to a spectral radius, settles on random inputs, every actor in real time. What
is measured is the time constant of the end of settling: the difference between the times to two tolerances, over the
logarithm of their ratio. Theory: the slowest mode of T·ȧ = −a + e[a(t−δ) + γδ(a(t−δ) − a(t−δ−s))/s] at the δ, T, γ and
s of the run. The two actors are on this machine, or on two nodes of the cluster at ``--address``.

    python docs/tools/free_settling.py --radius 5 --delays 10 20 40
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from typing import Any

import numpy as np
import ray

from dyadnet.config import RunConfig
from dyadnet.data import Dataset, Split
from dyadnet.dynamics.prospective import growths
from dyadnet.dynamics.request import Phase, Relaxation
from dyadnet.dynamics.step_size import REAL_AGE
from dyadnet_actors.cluster.actors import BlockActor
from dyadnet_actors.cluster.connection import connected
from dyadnet_actors.cluster.workers import RayWorkers
from dyadnet_actors.coordination.engine import ActorEngine

ROWS, TIMES = 20, 5
TOLERANCES = 1e-2, 1e-4


def configuration(prospective: str, delay: float, tolerance: float, address: str | None = None) -> RunConfig:
    """A free-running chain behind a delay in milliseconds."""
    return RunConfig.read(
        {
            "network": {"layered": {"inputs": 60, "hidden": [60, 60, 60], "outputs": 10, "lam": 0.0}},
            "dynamics": {
                "mode": {"kind": "free", "delay": delay, "budget": 60},
                "prospective": prospective,
                "tolerance": tolerance,
                "initial": "zero",
            },
            "learning": {"minibatch": ROWS, "evaluation_batch": ROWS},
            "cluster": {"actors": 2, "address": address, "placement": "strict-spread" if address else "pack"},
            "engine": "ray",
        }
    )


def seconds(config: RunConfig, radius: float, data: Any) -> tuple[float, float, float, float]:
    """Median time to settle; δ and T in seconds, and γ."""
    workers = RayWorkers(config, data, BlockActor)
    workers.start(lambda text: None)
    engine = ActorEngine(config, workers)
    couplings = tuple(projection.coupling for projection in config.network.recurrent)
    try:
        found = engine.spectral_radius(couplings, engine.timing.operator, 100)
        scaled = {
            name: {
                key: array * (radius / found) if key not in ("input", "bias") else array for key, array in own.items()
            }
            for name, own in engine.parameters().items()
        }
        engine.load(scaled)
        rule, taken = engine.timing.rule, []
        for number in range(1, 2 + TIMES):
            phases = (Phase("free", 0.0, 1),)
            step, gamma = rule.step(radius), rule.gamma(radius)
            began = time.perf_counter()
            outcome = engine.relax(Relaxation(number, "test", np.arange(ROWS), phases, couplings, step, gamma=gamma))
            taken.append(time.perf_counter() - began)
            assert not outcome.capped, "it did not settle"
        pace = engine.machinery().pace
        return statistics.median(taken[1:]), 1e-3 * pace["delay_ms"], 1e-3 * pace["time_constant_ms"], gamma
    finally:
        engine.close()


def time_of_theory(radius: float, delay: float, time_constant: float, gamma: float) -> float:
    """Seconds in which the slowest mode shrinks by e."""
    age = 4 * REAL_AGE
    eta = -math.expm1(-delay / (age * time_constant))
    modes = 1j * np.linspace(0.0, radius, 40)
    slowest = float(growths(eta, gamma, modes, age, age // 4).max())
    return -delay / age / math.log(slowest)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--radius", type=float, default=5.0)
    parser.add_argument("--delays", type=float, nargs="+", default=[10.0, 20.0, 40.0])
    parser.add_argument("--address")
    given = parser.parse_args()
    draws = np.random.default_rng(0).random((ROWS, 60))
    split = Split(draws, np.arange(ROWS) % 10)
    some = Dataset("random", split, split, 1.0, 10)
    heads = (
        "delay, ms",
        "prospective",
        "δ, ms",
        "T, ms",
        "γ",
        "to settle, ms",
        "time constant of the end",
        "in theory",
    )
    print(f"| {' | '.join(heads)} |")
    print("|---|---|---|---|---|---|---|---|")
    with connected(configuration("none", 10.0, 1e-2, given.address).cluster):
        data = ray.put(some)
        for delay in given.delays:
            for prospective in ("none", "auto"):
                configs = [configuration(prospective, delay, tolerance, given.address) for tolerance in TOLERANCES]
                coarse, *_ = seconds(configs[0], given.radius, data)
                fine, found, T, gamma = seconds(configs[1], given.radius, data)
                end = (fine - coarse) / math.log(TOLERANCES[0] / TOLERANCES[1])
                theory = time_of_theory(given.radius, found, T, gamma)
                numbers = f"{1e3 * found:.1f} | {1e3 * T:.0f} | {gamma:.2f} | {1e3 * fine:.0f} | {1e3 * end:.0f}"
                print(f"| {delay:g} | {prospective} | {numbers} | {1e3 * theory:.0f} |", flush=True)


if __name__ == "__main__":
    main()
