"""Transports of packets between actors: the base class for users' own, and their registry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from dyadnet.registry import Registry


class Transport(ABC):
    """One actor's end of a user's transport, registered by ``dyadnet.register("transport", name)``.

    Every actor creates one object in each of its lives, and a new one after each recovery. The transport carries
    opaque packets, about one for each tick, neighbour and lane. It must deliver the packets from one actor to another
    complete and in order. If a packet is lost, its reader waits until ``cluster.timeout`` ends the run and names both
    actors.

    Parameters
    ----------
    host
        Index of this actor: 0, 1, ...
    deliver
        Call it with the sender's index and a received packet, from any thread.
    """

    def __init__(self, host: int, deliver: Callable[[int, bytes], None]) -> None:
        self.host = host
        self.deliver = deliver

    @abstractmethod
    def listen(self, node: str) -> Any:
        """Start to receive packets, before the other actors know the address.

        Parameters
        ----------
        node
            IP address of this actor's machine, as the cluster knows it.

        Returns
        -------
        Any
            Address of this actor and any secret needed to reach it. Any object that can be pickled; it travels
            through Ray.
        """

    @abstractmethod
    def connect(self, addresses: Sequence[Any]) -> None:
        """Receive the return values of all actors' `listen`, in order of index. All actors are listening by then."""

    @abstractmethod
    def send(self, host: int, packet: bytes) -> None:
        """Send a packet to an actor. A dedicated thread calls this. An exception ends the actor."""

    @abstractmethod
    def close(self) -> None:
        """Release ports and connections when this life of the actor ends."""


def _problem(_: str, thing: Any) -> str | None:
    if not (isinstance(thing, type) and issubclass(thing, Transport)):
        return f"it has to be a class that derives from {Transport.__module__}.{Transport.__name__}"
    lacks = sorted(getattr(thing, "__abstractmethods__", ()))
    return f"it lacks {' and '.join(lacks)}" if lacks else None


TRANSPORTS: Registry[type[Transport] | None] = Registry("transport", {"fast": None, "ray": None}, _problem)
"""All transports by name. The value is None for those that the actors' package implements."""
