"""The interface through which the coordinator reports everything that metrics are computed from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from dyadnet.dynamics.outcome import Outcome
from dyadnet.dynamics.request import Part
from dyadnet.errors import DivergedError


class MetricsCallback(Protocol):
    """Observes a run without changing it. Its methods must be quick, because training waits for them.

    Calls come from the thread that trains: `started` first; then, minibatch after minibatch, `relaxed`, `measures`
    and `learned`, now and then `recorded`; at the end of an epoch `relaxed` and `evaluated` for each part, then
    `epoch`, `machinery` and `saved`.
    """

    def started(self, minibatches: int, updates: int = 0) -> None:
        """Called when training begins, or resumes after `updates` minibatches; `minibatches` are those of an epoch."""

    def relaxed(self, part: Part, outcome: Outcome) -> None:
        """Called after a relaxation of samples of a part."""

    def measures(self, count: int) -> bool:
        """Return whether to measure the norms of the update with this number."""

    def learned(self, settings: Mapping[str, Any], loss: float, scores: Mapping[str, float]) -> None:
        """Called after the update of a minibatch, with its settings, and loss and scores of the epoch so far."""

    def recorded(self, line: Mapping[str, Any]) -> None:
        """Called with each line of a minibatch in the record."""

    def evaluated(self, part: Part, summary: Mapping[str, Any]) -> None:
        """Called after the evaluation of a part, with its entry in the record."""

    def epoch(self, line: Mapping[str, Any]) -> None:
        """Called at the end of an epoch, with its line in the record."""

    def machinery(self, line: Mapping[str, Any]) -> None:
        """Called with each line of the performance record."""

    def saved(self, name: str, seconds: float, size: int) -> None:
        """Called after a save, with the seconds that training was paused for and the number of bytes.

        `name` is ``last`` or ``best`` for weights, or ``checkpoint``.
        """

    def compares(self, count: int) -> bool:
        """Return whether to compare the contrast of the update with this number with the exact gradient."""

    def measured(self) -> None:
        """Called after an additional relaxation: for the exact gradient, or an evaluation without imperfections."""

    def diverged(self, problem: DivergedError) -> None:
        """Called when a relaxation has diverged; the run ends."""


class Unobserved:
    """An observer that ignores everything."""

    def started(self, minibatches: int, updates: int = 0) -> None:
        """See `MetricsCallback`."""

    def relaxed(self, part: Part, outcome: Outcome) -> None:
        """See `MetricsCallback`."""

    def measures(self, count: int) -> bool:
        """See `MetricsCallback`."""
        return False

    def learned(self, settings: Mapping[str, Any], loss: float, scores: Mapping[str, float]) -> None:
        """See `MetricsCallback`."""

    def recorded(self, line: Mapping[str, Any]) -> None:
        """See `MetricsCallback`."""

    def evaluated(self, part: Part, summary: Mapping[str, Any]) -> None:
        """See `MetricsCallback`."""

    def epoch(self, line: Mapping[str, Any]) -> None:
        """See `MetricsCallback`."""

    def machinery(self, line: Mapping[str, Any]) -> None:
        """See `MetricsCallback`."""

    def saved(self, name: str, seconds: float, size: int) -> None:
        """See `MetricsCallback`."""

    def compares(self, count: int) -> bool:
        """See `MetricsCallback`."""
        return False

    def measured(self) -> None:
        """See `MetricsCallback`."""

    def diverged(self, problem: DivergedError) -> None:
        """See `MetricsCallback`."""
