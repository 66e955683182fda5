"""Ways of packets between actors: what one of a user's own has, and the registry of all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from dyadnet.registry import Registry


class Transport(ABC):
    """One actor's end of a transport that a user writes and registers: ``dyadnet.register("transport", name)``.

    Every actor makes one in each of its lives, and again after it was recovered. What it carries are opaque packets,
    about one for each tick, neighbour and lane. Packets from one actor to another have to come whole and in order; one
    that does not come leaves its reader waiting, until ``cluster.timeout`` ends the run and names both.

    Parameters
    ----------
    host
        Index of this actor: 0, 1, ...
    deliver
        Takes the index of a sender and a packet of its; may be called from any thread.
    """

    def __init__(self, host: int, deliver: Callable[[int, bytes], None]) -> None:
        self.host = host
        self.deliver = deliver

    @abstractmethod
    def listen(self, node: str) -> Any:
        """Begin to take packets, before anybody knows where.

        Parameters
        ----------
        node
            IP address of this actor's machine, as the cluster knows it.

        Returns
        -------
        Any
            Where others reach this actor, and with what secret: anything that can be pickled. It travels through Ray.
        """

    @abstractmethod
    def connect(self, addresses: Sequence[Any]) -> None:
        """Learn what every actor's `listen` returned, by its index; all listen by now."""

    @abstractmethod
    def send(self, host: int, packet: bytes) -> None:
        """Take a packet to an actor; a thread of its own calls it. What it raises ends the actor, with that cause."""

    @abstractmethod
    def close(self) -> None:
        """Let go of ports and connections: this life of the actor is over."""


def _problem(_: str, thing: Any) -> str | None:
    if not (isinstance(thing, type) and issubclass(thing, Transport)):
        return f"it has to be a class that derives from {Transport.__module__}.{Transport.__name__}"
    lacks = sorted(getattr(thing, "__abstractmethods__", ()))
    return f"it lacks {' and '.join(lacks)}" if lacks else None


TRANSPORTS: Registry[type[Transport] | None] = Registry("transport", {"fast": None, "ray": None}, _problem)
"""Every transport by name; None: the actors' package has it."""
