"""Small runs for tests of checkpoints."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dyadnet.config import RunConfig
from dyadnet.config.overrides import merged
from dyadnet.runs.summary import Summary
from dyadnet.runs.watcher import Silent
from dyadnet.training.api import train
from dyadnet.training.run import Run

EPOCHS, MINIBATCHES = 2, 7
SMALL: dict[str, Any] = {
    "network": {"layered": {"inputs": 64, "hidden": [20, 16], "outputs": 10, "lam": 0.0, "gain": 1.4}},
    "data": {"limit_train": 150, "limit_test": 40},
    "learning": {"epochs": EPOCHS, "minibatch": 20, "radius_every": 4},
    "record": {"every": 3},
    "checkpoint": {"every_seconds": None},
    "engine": "local",
    "seed": 3,
}
"""Two epochs of seven minibatches, the last of them short."""


@contextlib.contextmanager
def room_for(size: int) -> Iterator[None]:
    """A disk on which no file can have more bytes."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limit[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)


def settings(**values: Any) -> RunConfig:
    """A small run, with other settings laid over."""
    return RunConfig.read(merged(SMALL, values))


class Watching(Silent):
    """Does something after a minibatch, counted from 1 over all epochs, and keeps what it is told."""

    def __init__(self, after: int = 0, strike: Callable[[], None] = lambda: None) -> None:
        self.count = 0
        self.warnings: list[str] = []
        self.notes: list[str] = []
        self._after = after
        self._strike = strike

    def minibatch(self, epoch: int, index: int, loss: float, accuracy: float, sweeps: float) -> None:
        """See `ProgressCallback`."""
        self.count += 1
        if self.count == self._after:
            self._strike()

    def warning(self, text: str) -> None:
        """See `ProgressCallback`."""
        self.warnings.append(text)

    def note(self, text: str) -> None:
        """See `ProgressCallback`."""
        self.notes.append(text)


def stopping(after: int) -> Watching:
    """Stops a run as Ctrl-C or the end of a job does."""
    return Watching(after, lambda: os.kill(os.getpid(), signal.SIGTERM))


def outcome(summary: Summary | Run, out: Path) -> tuple[str, bytes, float, int]:
    """What must be the same: weights, scientific record, and the best weights' merit."""
    return (summary.weights_sha256, (out / "metrics.jsonl").read_bytes(), summary.test_accuracy, summary.best_epoch)


def uninterrupted(config: RunConfig, out: Path) -> tuple[str, bytes, float, int]:
    """The outcome of a run that nobody stops."""
    return outcome(train(config, out), out)


def checkpoints(out: Path) -> list[str]:
    """Names of a run's checkpoints, oldest first."""
    return sorted(path.name for path in (out / "checkpoints").iterdir() if path.name[:1].isdigit())
