"""Failures among the actors, from which a run may recover, as errors that name the actors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from dyadnet.config.recovery import What
from dyadnet.errors import DyadnetError

COLOURS = re.compile(r"\x1b\[[0-9;]*m")
IN_CREATION = "error raised in its creation task"
"""Ray's text about an actor whose construction raised an error; the traceback follows, and its last lines name it."""
IMPORTED = (
    "what a program registers has to be importable where actors run: install its module there, or use --ship-code"
)
"""Advice for a module that is found on the driver but not where actors run."""
ADVICE = re.compile(r" (Some common causes include|There are some potential root causes)\b.*", re.DOTALL)
"""General advice that Ray adds to every message about a death."""


def cause_of(problem: BaseException, longest: int = 300) -> str:
    """Return the cause of a Ray error in one line, without terminal colours and the pages of text that may follow.

    For a task and for an actor's construction, this is the exception that ended it; for a dead actor, how it died.
    """
    cause = getattr(problem, "cause", None)
    if isinstance(cause, Exception):
        return _line([f"{type(cause).__name__}: {cause}"], longest)
    lines = [line for line in COLOURS.sub("", str(problem)).splitlines() if line.strip()]
    if not lines:
        return type(problem).__name__
    if IN_CREATION in lines[0]:
        # The error follows the last frame of the traceback.
        frames = [number for number, line in enumerate(lines) if line.startswith(" ")]
        return _line(lines[max(frames, default=0) + 1 :] or lines, longest)
    # Keep who died, and how; drop the indented details and the possible reasons for such a death.
    deaths = [line for line in lines[1:] if line.startswith("The actor is dead")]
    return _line([lines[0], *deaths], longest)


def _line(parts: Sequence[str], longest: int) -> str:
    return ADVICE.sub("", " ".join(" ".join(parts).split()))[:longest]


def check_made(problem: BaseException, who: str) -> None:
    """Check that a dead actor had begun; a construction that failed would fail again, unless Ray was at fault.

    Raises
    ------
    NotMadeError
        If the actor's construction failed; the message names the actor and the error.
    """
    if IN_CREATION in str(problem) and not cause_of(problem).startswith("ray.exceptions."):
        cause = cause_of(problem)
        advice = f"; {IMPORTED}" if cause.startswith("ModuleNotFoundError") else ""
        raise NotMadeError(f"{who} could not begin: {cause}{advice}") from None


class FailedError(DyadnetError):
    """Something among the actors failed.

    Attributes
    ----------
    what
        Kind of failure.
    hosts
        Indices of the hosts that must be restarted.
    """

    what: ClassVar[What] = "actor"

    def __init__(self, message: str, hosts: Sequence[int] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hosts = tuple(hosts)

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.message, self.hosts))


class ActorLostError(FailedError):
    """An actor died, hangs, or failed for a reason that is not a user's mistake; names the actor and its blocks."""


class LinkLostError(FailedError):
    """Packets between two actors were lost; names both actors."""

    what: ClassVar[What] = "link"


class CoordinatorLostError(FailedError):
    """The coordinator died or hangs."""

    what: ClassVar[What] = "coordinator"


class StalledError(FailedError):
    """No actor has reported anything for too long; names each actor and what it waits for."""

    what: ClassVar[What] = "stall"


class NotMadeError(DyadnetError):
    """An actor's construction failed and would fail again; names the actor and the cause."""


class RayLostError(DyadnetError):
    """Ray itself died or hangs: the run cannot continue on this cluster."""


class MemoryShortError(DyadnetError):
    """The machine has too little memory for what the actors share."""


class HostStoppedError(DyadnetError):
    """A host was told to stop while it computed."""


class TransportError(Exception):
    """A user-defined transport raised an error; the actor that it served fails with it."""
