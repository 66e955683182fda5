"""Monitors actors that keep the coordinator waiting: asks each what it is doing if nothing has come for a while."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from dyadnet_actors.protocol.failures import FailedError
from dyadnet_actors.protocol.host_status import Told
from dyadnet_actors.protocol.stall_diagnosis import Diagnosis, StallTimer, diagnose

ANSWER = 0.9
"""Seconds within which an actor that does not hang usually answers."""
LOOK = 5.0
"""The same, if nothing else is left to do."""


class Inquiry(Protocol):
    """A question to all actors at once."""

    def complete(self, timeout: float = 0.0) -> bool:
        """Wait up to `timeout` seconds; return whether all actors have answered."""

    def answers(self) -> Sequence[Told]:
        """Return each actor's report, in order; `NoAnswer` for an actor that has not answered."""


class Watched(Protocol):
    """Hosts that can be monitored: `dyadnet_actors.coordination.engine.Workers`."""

    @property
    def labels(self) -> list[str]:
        """A name for each host."""

    @property
    def homes(self) -> Mapping[str, int]:
        """Host of every block."""

    def look(self) -> None:
        """Raise an error if something is wrong with any host."""

    def inquire(self) -> Inquiry:
        """Ask every host what it is doing, without waiting for the answers."""


class ResponseMonitor:
    """Monitors actors while the coordinator waits for them.

    Parameters
    ----------
    workers
        The actors.
    patience
        Seconds of standstill after which the actors are asked.
    told
        Called with a diagnosis.

    Attributes
    ----------
    unresolved
        Diagnosis of the present standstill; None if there is none.
    """

    def __init__(self, workers: Watched, patience: float, told: Callable[[Diagnosis], None]) -> None:
        self.unresolved: Diagnosis | None = None
        self._workers = workers
        self._patience = patience
        self._told = told
        self._vigil = StallTimer(patience)
        self._inquiry: Inquiry | None = None
        self._asked = 0.0

    def moved(self) -> None:
        """Note progress, or the beginning of a new wait."""
        self.unresolved = self._inquiry = None
        self._vigil.moved(time.monotonic())

    def look(self) -> None:
        """Check the actors; call this often during a wait.

        Raises
        ------
        FailedError
            If something is wrong with any actor. If a standstill is under examination, its diagnosis is reported first.
        """
        now = time.monotonic()
        try:
            self._workers.look()
        except FailedError:
            if self._inquiry is not None:
                self._say(now)
            raise
        if self._inquiry is not None:
            if self._inquiry.complete() or now - self._asked >= ANSWER:
                self._say(now)
        elif self._vigil.due(now):
            self._inquiry, self._asked = self._workers.inquire(), now

    def last(self) -> Diagnosis:
        """Return who waits for whom, for a run that is about to end."""
        inquiry = self._workers.inquire()
        inquiry.complete(LOOK)
        return self._diagnosis(inquiry)

    def _say(self, now: float) -> None:
        inquiry, self._inquiry = self._inquiry, None
        assert inquiry is not None
        found = self._diagnosis(inquiry)
        silent = any(chain.cause in ("dead", "silent") for chain in found.chains)
        if not silent and found.still < min(self._patience, self._vigil.still(now) / 2):
            # The actors are busy with long work.
            return
        self.unresolved = found
        self._told(found)

    def _diagnosis(self, inquiry: Inquiry) -> Diagnosis:
        return diagnose(self._workers.homes, self._workers.labels, inquiry.answers())
