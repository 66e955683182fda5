"""Measures the seconds until the first minibatch has settled, and their ratio to the start of as many empty actors."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import ray

from dyadnet.bench.networks import machine
from dyadnet.config import RunConfig
from dyadnet.config.presets import preset
from dyadnet.data import Dataset, load
from dyadnet_actors.bench.actors import EngineTimer
from dyadnet_actors.cluster.actors import BlockActor
from dyadnet_actors.cluster.placement import homes, release, reserve
from dyadnet_actors.cluster.workers import RayWorkers
from dyadnet_actors.coordination.engine import ActorEngine
from dyadnet_actors.hosts.host import prepare


class Empty:
    """An actor that imports what a block actor imports, and does nothing."""

    def ready(self) -> None:
        """Return once the actor is up."""


def measure(blocks: Sequence[int], repetitions: int, told: Callable[[str], None] | None = None) -> dict[str, Any]:
    """Measure the start for each number of blocks per layer, with one actor per block, on the digits.

    Results are medians over interleaved repetitions.
    """
    data = load("digits")
    rows = []
    for count in blocks:
        config = configuration(count)
        prepare(config)
        actors = len(set(homes(config).values()))
        found = []
        for number in range(repetitions):
            if told is not None:
                told(f"{actors} actors, {number + 1} of {repetitions}")
            found.append((_empty(config, actors), _first_minibatch(config, data)))
        rows.append(
            {
                "actors": actors,
                "empty_s": statistics.median(empty for empty, _ in found),
                "first_minibatch_s": statistics.median(first for _, first in found),
                "ratio": statistics.median(first / empty for empty, first in found),
            }
        )
    return {"machine": machine(), "repetitions": repetitions, "rows": rows}


def configuration(blocks: int) -> RunConfig:
    """Return the digits' network with `blocks` blocks per layer and one actor per block."""
    values = preset("digits", "sshm")
    values["network"]["layered"]["blocks"] = blocks
    values["cluster"] = {"actors": 2 * blocks + 1, "cpus_per_actor": 0.01}
    return RunConfig.read(values, "bench")


def _empty(config: RunConfig, actors: int) -> float:
    began = time.perf_counter()
    name = "dyadnet-bench-empty"
    reservation = reserve(config.cluster, actors, name, set())
    remote = ray.remote(Empty)
    handles = [remote.options(num_cpus=reservation.cpus).remote() for _ in range(actors)]
    ray.get([handle.ready.remote() for handle in handles])
    seconds = time.perf_counter() - began
    for handle in handles:
        ray.kill(handle)
    release(name)
    return seconds


def _first_minibatch(config: RunConfig, data: Dataset) -> float:
    stored = ray.put(data)
    began = time.perf_counter()
    workers = RayWorkers(config, stored, BlockActor)
    engine = ActorEngine(config, workers)
    try:
        workers.start(lambda text: None)
        EngineTimer(engine, config, data).rate(1)
        return time.perf_counter() - began
    finally:
        engine.close()
