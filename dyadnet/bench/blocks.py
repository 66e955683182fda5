"""The cost of splitting layers into blocks: training time with many blocks relative to one block per layer."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from dyadnet.bench.networks import machine
from dyadnet.config import RunConfig
from dyadnet.config.overrides import merged
from dyadnet.config.presets import preset
from dyadnet.data import load
from dyadnet.engines.local import LocalEngine
from dyadnet.errors import ConfigError
from dyadnet.runs.watcher import Silent
from dyadnet.training.coordinator import Coordinator

IMPERFECT = {
    "dynamics": {
        "clock": {"kind": "bernoulli", "p": 0.5},
        "delay": {"kind": "uniform", "low": 1, "high": 5},
    },
    "imperfections": {"channel": {"loss": 0.1}},
}
"""Settings with randomly firing blocks, and delayed or lost messages."""


def configuration(model: str, blocks: int, epochs: int, imperfect: bool = False) -> RunConfig:
    """Return the preset of the digits with `blocks` blocks per hidden layer and at least `epochs` epochs.

    Raises
    ------
    ConfigError
        If a layer has fewer neurons than blocks.
    """
    values = preset("digits", model)
    size = min(values["network"]["layered"]["hidden"])
    if not 1 <= blocks <= size:
        raise ConfigError("--blocks", blocks, f"from 1 to {size} blocks of the digits' hidden layers")
    values = merged(values, {"engine": "local", "network": {"layered": {"blocks": blocks}}})
    values["learning"]["epochs"] = max(values["learning"]["epochs"], epochs)
    return RunConfig.read(merged(values, IMPERFECT) if imperfect else values)


def measure(
    blocks: Sequence[int],
    model: str,
    repetitions: int,
    minibatches: int | None = None,
    imperfect: bool = False,
    told: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Measure the training time of an epoch: medians over interleaved repetitions, and medians of their ratios.

    Every run trains one epoch in advance and one epoch per repetition, so that no measurement includes compilation or
    other one-time costs.

    Parameters
    ----------
    blocks
        Numbers of blocks per hidden layer; 1 is always measured as well.
    minibatches
        Number of minibatches per epoch; default: all.
    imperfect
        Whether runs use `IMPERFECT` settings. They are then also compared with an ideal run of one block per layer.
    """
    say = told or (lambda text: None)
    many = [number for number in dict.fromkeys(blocks) if number > 1]
    wanted = [(1, False)] + ([(1, True)] if imperfect else []) + [(number, imperfect) for number in many]
    configs = [configuration(model, number, repetitions + 1, flawed) for number, flawed in wanted]
    found: list[list[tuple[float, float]]] = []
    with contextlib.ExitStack() as stack:
        runs = [_Run(config, minibatches) for config in configs]
        for run in runs:
            stack.callback(run.close)
        for repetition in range(repetitions + 1):
            spent = []
            for run, (number, flawed) in zip(runs, wanted, strict=True):
                what = f"{number} block{'s' if number > 1 else ''} a layer{', imperfect' if flawed else ''}"
                say(f"repetition {repetition} of {repetitions}, {what}")
                spent.append(run.train(repetition))
            if repetition:
                found.append(spent)
        count = runs[0].minibatches
    same = 1 if imperfect else 0
    rows = [
        {
            "blocks": number,
            "imperfect": flawed,
            "seconds": statistics.median(row[index][0] for row in found),
            "sweeps": statistics.median(row[index][1] for row in found),
            "over_ideal": statistics.median(row[index][0] / row[0][0] for row in found),
            "over_same": statistics.median(row[index][0] / row[same if index else 0][0] for row in found),
        }
        for index, (number, flawed) in enumerate(wanted)
    ]
    return {
        "machine": machine(),
        "data": "digits",
        "model": model,
        "minibatches": count,
        "repetitions": repetitions,
        "imperfect": IMPERFECT if imperfect else None,
        "rows": rows,
    }


class _Run(Silent):
    """Trains epoch by epoch, and measures the engine's training time without evaluations."""

    def __init__(self, config: RunConfig, minibatches: int | None) -> None:
        # One sample of the other parts is enough, because evaluation is not timed.
        dataset = load("digits").limited(test=1)
        self._engine = LocalEngine(config, dataset)
        self._coordinator = Coordinator(config, dataset.sizes, self._engine, watcher=self)
        size = config.learning.minibatch
        if minibatches is not None:
            self._coordinator.train_rows = self._coordinator.train_rows[: minibatches * size]
        self._coordinator.validation_rows = self._coordinator.validation_rows[:1]
        self._seconds: float | None = None
        self.minibatches = self._coordinator.minibatches

    def train(self, number: int) -> tuple[float, float]:
        """Train an epoch. Return the seconds of training, and the mean sweeps per minibatch."""
        self._engine.machinery()
        self._seconds = None
        line = self._coordinator.epoch(number)
        assert self._seconds is not None
        return self._seconds, line["train"]["sweeps"]

    def evaluating(self, epoch: int, part: str) -> None:
        """See `ProgressCallback`."""
        if self._seconds is None:
            self._seconds = sum(self._engine.machinery().seconds.values())

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()
