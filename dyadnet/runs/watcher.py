"""The interface through which a run reports its progress to people."""

from __future__ import annotations

from typing import Any, Protocol

from dyadnet.config import RunConfig


class ProgressCallback(Protocol):
    """Receives progress reports of a run; for example, a progress bar."""

    def started(self, config: RunConfig, minibatches: int) -> None:
        """Called when the run begins; `minibatches` is their number per epoch."""

    def minibatch(self, epoch: int, index: int, loss: float, accuracy: float, sweeps: float) -> None:
        """Called after a minibatch; loss and accuracy (NaN where targets are numbers) are those of the epoch so far."""

    def evaluating(self, epoch: int, part: str) -> None:
        """Called before a part of the data is evaluated."""

    def epoch(self, line: dict[str, Any]) -> None:
        """Called at the end of an epoch, with its line of the record."""

    def warning(self, text: str) -> None:
        """Called with a warning that does not stop the run."""

    def note(self, text: str) -> None:
        """Called with useful information, for example the address of the live page."""


class Silent:
    """A watcher that ignores all reports."""

    def started(self, config: RunConfig, minibatches: int) -> None:
        """See `ProgressCallback`."""

    def minibatch(self, epoch: int, index: int, loss: float, accuracy: float, sweeps: float) -> None:
        """See `ProgressCallback`."""

    def evaluating(self, epoch: int, part: str) -> None:
        """See `ProgressCallback`."""

    def epoch(self, line: dict[str, Any]) -> None:
        """See `ProgressCallback`."""

    def warning(self, text: str) -> None:
        """See `ProgressCallback`."""

    def note(self, text: str) -> None:
        """See `ProgressCallback`."""
