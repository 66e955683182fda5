"""Who is told everything that metrics are made of, as it happens, by the coordinator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from dyadnet.dynamics.outcome import Outcome
from dyadnet.dynamics.request import Part
from dyadnet.errors import DivergedError


class MetricsCallback(Protocol):
    """Is told what a run does; it only looks, and must be quick, because training waits for it.

    Calls come from the thread that trains: `started` first; then, minibatch after minibatch, `relaxed`, `measures`
    and `learned`, now and then `recorded`; at the end of an epoch `relaxed` and `evaluated` for each part, then
    `epoch`, `machinery` and `saved`.
    """

    def started(self, minibatches: int, updates: int = 0) -> None:
        """Training begins, or goes on after so many updates; an epoch has so many minibatches."""

    def relaxed(self, part: Part, outcome: Outcome) -> None:
        """Samples of a part have been relaxed."""

    def measures(self, count: int) -> bool:
        """Whether the norms of the update of that number are to be measured."""

    def learned(self, settings: Mapping[str, Any], loss: float, scores: Mapping[str, float]) -> None:
        """The latest minibatch was learned from under these settings; loss and scores of the epoch so far."""

    def recorded(self, line: Mapping[str, Any]) -> None:
        """A minibatch has this line in the record."""

    def evaluated(self, part: Part, summary: Mapping[str, Any]) -> None:
        """A part was evaluated, with this entry in the record."""

    def epoch(self, line: Mapping[str, Any]) -> None:
        """An epoch ended, with this line in the record."""

    def machinery(self, line: Mapping[str, Any]) -> None:
        """The machinery's record has this line."""

    def saved(self, name: str, seconds: float, size: int) -> None:
        """So many bytes were saved under a name, for which training stood still so long.

        Names are those of weights, ``last`` and ``best``, and ``checkpoint``.
        """

    def compares(self, count: int) -> bool:
        """Whether the contrast of the update of that number is to be compared with the exact gradient."""

    def measured(self) -> None:
        """A relaxation beside the run has ended: for the exact gradient, or of an evaluation without imperfections."""

    def diverged(self, problem: DivergedError) -> None:
        """A relaxation ran away; the run ends."""


class Unobserved:
    """An observer that does not look."""

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
