"""Compares the settled samples per second of one actor per layer with those of the local engine on all cores.

Both engines run the same relaxations.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import ray

from dyadnet.bench.networks import images, machine
from dyadnet.config import RunConfig
from dyadnet.config.presets import preset
from dyadnet.data import Dataset
from dyadnet.dynamics.request import Phase, Relaxation
from dyadnet.dynamics.virtual_time import timing
from dyadnet.engines.local import LocalEngine
from dyadnet.engines.protocol import Engine
from dyadnet.network.topology import Topology
from dyadnet.training.coordinator import COLD_ITERATIONS
from dyadnet_actors.cluster.actors import BlockActor
from dyadnet_actors.cluster.workers import RayWorkers
from dyadnet_actors.coordination.engine import ActorEngine

SAMPLES = 2048
"""Number of synthetic inputs."""
BETA = 0.1


@dataclass(frozen=True, slots=True)
class Layers:
    """Settings that all measured configurations share.

    Attributes
    ----------
    inputs, hidden
        Layer sizes of a chain, which has ten outputs.
    lanes
        Lanes of both engines.
    pin
        Whether every actor stays on one core.
    """

    inputs: int
    hidden: Sequence[int]
    lanes: int
    pin: bool = False


def measure(
    layers: Layers,
    minibatches: Sequence[int],
    models: Sequence[str],
    relaxations: int,
    repetitions: int,
    dataset: Dataset | None = None,
    told: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Measure the rates for each model and minibatch size: medians over interleaved repetitions.

    Every relaxation uses the settings at the start of training: the presets' weights, phases, tolerances and step. Both
    engines settle the same minibatches; the function checks that they need the same number of sweeps.
    """
    data = dataset or images(layers.inputs, SAMPLES)
    rows = []
    for model in models:
        for minibatch in minibatches:
            if told is not None:
                told(f"{model}, minibatch {minibatch}")
            config = configuration(model, layers, minibatch)
            rows.append(_row(model, config, relaxations, repetitions, data))
    return {
        "machine": machine(),
        "network": [layers.inputs, *layers.hidden, 10],
        "data": data.name,
        "lanes": layers.lanes,
        "relaxations": relaxations,
        "repetitions": repetitions,
        "pin": layers.pin,
        "rows": rows,
    }


def configuration(model: str, layers: Layers, minibatch: int) -> RunConfig:
    """Return the preset of the image data sets with the sizes of `layers`."""
    values = preset("mnist", model)
    values["network"]["layered"] |= {"inputs": layers.inputs, "hidden": list(layers.hidden)}
    values["dynamics"]["lanes"] = layers.lanes
    values["learning"]["minibatch"] = minibatch
    return RunConfig.read(values | {"cluster": {"transport": "fast", "pin": layers.pin}}, "bench")


def _row(model: str, config: RunConfig, relaxations: int, repetitions: int, data: Dataset) -> dict[str, Any]:
    workers = RayWorkers(config, ray.put(data), BlockActor)
    actors = ActorEngine(config, workers)
    local = LocalEngine(config, data)
    try:
        workers.start(lambda text: None)
        runs = [EngineTimer(engine, config, data) for engine in (local, actors)]
        for run in runs:
            run.rate(max(relaxations // 2, 1))
        found = [tuple(run.rate(relaxations) for run in runs) for _ in range(repetitions)]
        assert runs[0].sweeps == runs[1].sweeps
        return {
            "model": model,
            "minibatch": config.learning.minibatch,
            "sweeps": statistics.mean(runs[0].sweeps),
            "local_per_s": statistics.median(one for one, _ in found),
            "actors_per_s": statistics.median(other for _, other in found),
            "ratio": statistics.median(other / one for one, other in found),
        }
    finally:
        actors.close()
        local.close()


class EngineTimer:
    """Times one engine; all timers run the same sequence of relaxations.

    Attributes
    ----------
    sweeps
        Sweeps of each relaxation so far.
    """

    def __init__(self, engine: Engine, config: RunConfig, data: Dataset) -> None:
        self.sweeps: list[float] = []
        self._engine = engine
        self._minibatch = config.learning.minibatch
        self._samples = data.sizes.train
        self._couplings = tuple(p.coupling for p in config.network.recurrent)
        found = timing(config, Topology(config.network))
        radius = 0.0
        if found.rule.needs_radius:
            radius = engine.spectral_radius(self._couplings, found.operator, COLD_ITERATIONS)
        self._step, self._gamma = found.rule.step(radius), found.rule.gamma(radius)
        self._phases = phases(config)

    def rate(self, relaxations: int) -> float:
        """Run some relaxations; return the settled samples per second."""
        started = time.perf_counter()
        for _ in range(relaxations):
            number = len(self.sweeps) + 1
            rows = (np.arange(self._minibatch) + number * self._minibatch) % self._samples
            outcome = self._engine.relax(
                Relaxation(number, "train", rows, self._phases, self._couplings, self._step, gamma=self._gamma)
            )
            self.sweeps.append(outcome.sweeps)
        return relaxations * self._minibatch / (time.perf_counter() - started)


def phases(config: RunConfig) -> tuple[Phase, ...]:
    """Return the phases of training, with the same β for all models."""
    dynamics = config.dynamics
    if any(p.coupling > 0 for p in config.network.recurrent):
        return (Phase("free", 0.0, dynamics.sweeps), Phase("nudged", BETA, dynamics.nudged_sweeps))
    return (Phase("dyadic", BETA, dynamics.sweeps),)
