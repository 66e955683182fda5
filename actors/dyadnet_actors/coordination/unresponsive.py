"""The coordinator's eye on actors that keep it waiting: asks each what it is at once nothing has come for a while."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from dyadnet_actors.protocol.failures import FailedError
from dyadnet_actors.protocol.host_status import Told
from dyadnet_actors.protocol.stall_diagnosis import Diagnosis, StallTimer, diagnose

ANSWER = 0.9
"""Seconds within which an actor that is not hung answers, as a rule."""
LOOK = 5.0
"""The same where nothing else is left to be done."""


class Inquiry(Protocol):
    """What all actors were asked at once."""

    def complete(self, timeout: float = 0.0) -> bool:
        """Whether all have answered, which is waited for up to `timeout` seconds."""

    def answers(self) -> Sequence[Told]:
        """What each says of itself, in order; of one that has not answered, that."""


class Watched(Protocol):
    """Whoever can be watched: `dyadnet_actors.coordination.engine.Workers`."""

    @property
    def labels(self) -> list[str]:
        """A name for each host."""

    @property
    def homes(self) -> Mapping[str, int]:
        """Host of every block."""

    def look(self) -> None:
        """Raise what is wrong with any host."""

    def inquire(self) -> Inquiry:
        """Ask every host what it is doing; does not wait."""


class ResponseMonitor:
    """Looks after actors while they are waited for.

    Parameters
    ----------
    workers
        The actors.
    patience
        Seconds of standstill after which they are asked.
    told
        Takes a diagnosis.

    Attributes
    ----------
    unresolved
        Of the standstill that there is now; None if there is none.
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
        """Something has come, or is asked for from now on."""
        self.unresolved = self._inquiry = None
        self._vigil.moved(time.monotonic())

    def look(self) -> None:
        """Call it often while something is waited for.

        Raises
        ------
        FailedError
            What is wrong with any actor; who waits for it is told before.
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
        """Who waits for whom, for a run that is about to end."""
        inquiry = self._workers.inquire()
        inquiry.complete(LOOK)
        return self._diagnosis(inquiry)

    def _say(self, now: float) -> None:
        inquiry, self._inquiry = self._inquiry, None
        assert inquiry is not None
        found = self._diagnosis(inquiry)
        silent = any(chain.cause in ("dead", "silent") for chain in found.chains)
        if not silent and found.still < min(self._patience, self._vigil.still(now) / 2):
            # They are busy with what takes long to be heard of.
            return
        self.unresolved = found
        self._told(found)

    def _diagnosis(self, inquiry: Inquiry) -> Diagnosis:
        return diagnose(self._workers.homes, self._workers.labels, inquiry.answers())
