"""Sweeps to settle: a small fixed step compared with the automatic one, by weight scale and by delay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dyadnet.bench.networks import configuration, images, machine
from dyadnet.data import Dataset
from dyadnet.dynamics.request import Phase, Relaxation
from dyadnet.engines.local import LocalEngine
from dyadnet.training.coordinator import COLD_ITERATIONS

SMALL_STEP = 0.05
"""The paper's η."""
GAINS = (1.0, 2.0, 3.0)
DELAYS = (1, 2, 5, 10)
RESIDUAL = 1e-3


def measure(
    inputs: int,
    hidden: Sequence[int],
    minibatch: int,
    cap: int,
    dataset: Dataset | None = None,
    told: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Measure the sweeps of a free phase until every block's largest |A*−A| is under 1e-3, and ticks under delays.

    Parameters
    ----------
    cap
        Sweeps (synchronous ticks for η = 0.05) after which a relaxation counts as never settling.
    dataset
        Inputs; default: synthetic ones.
    told
        Progress callback, called with a description of the current measurement.
    """
    dataset = dataset or images(inputs, minibatch)
    task = _Task(inputs, hidden, minibatch, cap, dataset)
    rows: list[dict[str, Any]] = []
    for model in ("sshm", "hm"):
        for gain in GAINS:
            for delay in DELAYS:
                if delay > 1 and gain != GAINS[0]:
                    continue
                if told is not None:
                    told(f"{model}, gain {gain}, delay {delay}")
                rows.append(_row(model, gain, delay, task))
    return {"machine": machine(), "network": [inputs, *hidden, 10], "data": dataset.name, "cap": cap, "rows": rows}


@dataclass(frozen=True, slots=True)
class _Task:
    """The network and data that all measurements share."""

    inputs: int
    hidden: Sequence[int]
    minibatch: int
    cap: int
    data: Dataset


def _row(model: str, gain: float, delay: int, task: _Task) -> dict[str, Any]:
    small = {"clock": "every-tick", "step": SMALL_STEP}
    synchronous = {"clock": "every-tick", "step": "auto"}
    row: dict[str, Any] = {"model": model, "gain": gain, "delay": delay}
    for name, dynamics in (("small", small), ("synchronous", synchronous), ("auto", {})):
        ticks, sweeps, radius, step = _settle(model, gain, delay, task, dynamics)
        row["radius"] = radius
        row[name] = {"ticks": ticks, "sweeps": sweeps, "step": step}
    few, many = row["auto"]["sweeps"], row["small"]["sweeps"]
    row["ratio"] = None if few is None or many is None else many / few
    return row


def _settle(
    model: str, gain: float, delay: int, task: _Task, dynamics: dict[str, Any]
) -> tuple[int | None, float | None, float, float]:
    settings = dynamics | {"delay": delay, "tolerance": RESIDUAL, "initial": "zero", "patience": task.cap}
    config = configuration(model, task.inputs, task.hidden, gain=gain, minibatch=task.minibatch, dynamics=settings)
    engine = LocalEngine(config, task.data)
    try:
        couplings = tuple(p.coupling for p in config.network.recurrent)
        radius = engine.spectral_radius(couplings, engine.timing.operator, COLD_ITERATIONS)
        step, gamma = engine.timing.rule.step(radius), engine.timing.rule.gamma(radius)
        phases = (Phase("free", 0.0, task.cap),)
        relaxation = Relaxation(1, "train", np.arange(task.minibatch), phases, couplings, step, gamma=gamma)
        (lane,) = engine.relax(relaxation).lanes
        (phase,) = lane
        return (phase.ticks, phase.sweeps, radius, step) if phase.settled else (None, None, radius, step)
    finally:
        engine.close()
