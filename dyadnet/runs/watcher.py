"""Who is told how a run goes, in words and numbers for people."""

from __future__ import annotations

from typing import Any, Protocol

from dyadnet.config import RunConfig


class ProgressCallback(Protocol):
    """Is told how a run goes; a progress bar, say."""

    def started(self, config: RunConfig, minibatches: int) -> None:
        """The run begins; an epoch has so many minibatches."""

    def minibatch(self, epoch: int, index: int, loss: float, accuracy: float, sweeps: float) -> None:
        """A minibatch was learned from; loss and accuracy (NaN of numbers) are those of the epoch so far."""

    def evaluating(self, epoch: int, part: str) -> None:
        """A part of the data is about to be evaluated."""

    def epoch(self, line: dict[str, Any]) -> None:
        """An epoch ended with this line of the record."""

    def warning(self, text: str) -> None:
        """Something that a user should know and that does not stop the run."""

    def note(self, text: str) -> None:
        """Something good to know: where to look at the run, say."""


class Silent:
    """A watcher that says nothing."""

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
