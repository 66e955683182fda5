"""What can fail among the actors, as errors that say who it was: what a run may recover from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from dyadnet.errors import DyadnetError
from dyadnet.recovery import What


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
