"""What can fail among the actors, as errors that say who it was: what a run may recover from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from dyadnet.config.recovery import What
from dyadnet.errors import DyadnetError

COLOURS = re.compile(r"\x1b\[[0-9;]*m")
IN_CREATION = "error raised in its creation task"
"""So Ray says of an actor whose construction raised something; the traceback follows, and its last lines say what."""
IMPORTED = (
    "what a program registers has to be importable where actors run: install its module there, or use --ship-code"
)
"""What to do if a module is found here and not there."""
ADVICE = re.compile(r" (Some common causes include|There are some potential root causes)\b.*", re.DOTALL)
"""What Ray says of every death, whatever it was."""


def cause_of(problem: BaseException, longest: int = 300) -> str:
    """What an error of Ray's comes from, in one line, without the colours of a terminal and the pages that may follow.

    Of a task and of an actor's construction this is the exception that ended it; of an actor that died, how it did.
    """
    cause = getattr(problem, "cause", None)
    if isinstance(cause, Exception):
        return _line([f"{type(cause).__name__}: {cause}"], longest)
    lines = [line for line in COLOURS.sub("", str(problem)).splitlines() if line.strip()]
    if not lines:
        return type(problem).__name__
    if IN_CREATION in lines[0]:
        # Behind the last line of the traceback's frames.
        frames = [number for number, line in enumerate(lines) if line.startswith(" ")]
        return _line(lines[max(frames, default=0) + 1 :] or lines, longest)
    # Who died, and how; not its numbers, which are set in, nor what may lead to such a death.
    deaths = [line for line in lines[1:] if line.startswith("The actor is dead")]
    return _line([lines[0], *deaths], longest)


def _line(parts: Sequence[str], longest: int) -> str:
    return ADVICE.sub("", " ".join(" ".join(parts).split()))[:longest]


def check_made(problem: BaseException, who: str) -> None:
    """Whether an actor that is dead ever began; one whose construction fails would fail again, unless Ray was at fault.

    Raises
    ------
    NotMadeError
        Naming the actor and what ended its construction.
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
        Which kind of failure it counts as.
    hosts
        Indices of the hosts that have to be started anew.
    """

    what: ClassVar[What] = "actor"

    def __init__(self, message: str, hosts: Sequence[int] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hosts = tuple(hosts)

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.message, self.hosts))


class ActorLostError(FailedError):
    """An actor died or hangs, or failed with something that is no user's mistake; names it and its blocks."""


class LinkLostError(FailedError):
    """Letters between two actors were lost; names both."""

    what: ClassVar[What] = "link"


class CoordinatorLostError(FailedError):
    """The coordinator died or hangs."""

    what: ClassVar[What] = "coordinator"


class StalledError(FailedError):
    """No actor has said anything for too long; names each and what it waits for."""

    what: ClassVar[What] = "stall"


class NotMadeError(DyadnetError):
    """An actor's construction failed, as it would again; names the actor and the cause."""


class RayLostError(DyadnetError):
    """Ray itself died or hangs: nothing can go on where it did."""


class MemoryShortError(DyadnetError):
    """The machine has no room for what actors share."""


class HostStoppedError(DyadnetError):
    """A host was told to stop while it computed."""


class TransportError(Exception):
    """A user's transport raised something; the actor that it served fails with it."""
