"""A host's post: messages packed and counted on the way out, checked and counted on the way in."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.inbox import Envelope
from actors.transport import Transport, packed
from dyadnet.messages import KINDS, Address, Kind, Message, MessageError, decode
from dyadnet.topology import Topology

REASONS = ("malformed", "late", "twice", "of another relaxation", "of an earlier incarnation", "unauthenticated")
"""For which a message is not taken."""


@dataclass(frozen=True, slots=True)
class Home:
    """Where a host stands in its network.

    Attributes
    ----------
    index
        Of this host.
    homes
        Host of every block, in block order.
    incarnation
        Which life of the network this is; messages from another one are dropped.
    """

    index: int
    homes: Mapping[str, int]
    incarnation: int = 0

    @property
    def blocks(self) -> list[str]:
        """Blocks of this host, in block order."""
        return [name for name, host in self.homes.items() if host == self.index]

    def label(self, host: int) -> str:
        """A name for a host that a user recognises: its blocks."""
        return "+".join(name for name, home in self.homes.items() if home == host)


def by_host(homes: Mapping[str, int]) -> list[list[str]]:
    """Blocks of every host, by index, in block order."""
    return [[name for name, host in homes.items() if host == index] for index in range(max(homes.values()) + 1)]


class Post:
    """What leaves a host and what comes in.

    Parameters
    ----------
    home
        Which blocks live here, and where the others do.
    topology
        What messages there can be.
    transport
        Takes letters elsewhere.

    Attributes
    ----------
    round
        That letters are sent in.
    widths
        Neurons that each channel into the blocks here carries.
    sending
        Seconds spent on sending.
    dropped
        Messages by the reason for which they were dropped.
    sent
        Letters to each other host.
    cut
        Hosts to which letters are lost, on purpose.
    """

    def __init__(self, home: Home, topology: Topology, transport: Transport) -> None:
        self.round = 0
        self.widths = _widths(topology, home.blocks)
        self.sending = 0.0
        self.dropped: Counter[str] = Counter()
        self.traffic: Counter[str] = Counter()
        self.sent: Counter[int] = Counter()
        self.cut: set[int] = set()
        self._home = home
        self._transport = transport
        self._waiting: dict[int, list[Message]] = {}

    def parcel(self, source: str, target: str, kind: Kind, vector: NDArray[Any], step: int) -> Message:
        """A vector of a power iteration as a message."""
        payload = vector.astype(np.float64).reshape(1, 1, -1)
        life = self._home.incarnation
        return Message(source, target, kind, step, step, 0, 0, 0, payload, True, False, step, step, life)

    def carry(self, messages: Sequence[Message], accept: Callable[[Message], Any]) -> None:
        """Messages to blocks of this host stay in memory and are accepted, the others go out together."""
        self.collect(messages, accept)
        self.release()

    def collect(self, messages: Sequence[Message], accept: Callable[[Message], Any]) -> None:
        """As `carry`, but what is to go out waits for `release`."""
        for message in messages:
            host = self._home.homes[message.target]
            if host == self._home.index:
                accept(message)
            else:
                self._waiting.setdefault(host, []).append(message)

    def release(self) -> None:
        """Send what was collected, to each host in one letter."""
        waiting, self._waiting = self._waiting, {}
        for host, messages in waiting.items():
            self.send(host, messages)
        self._transport.flush()

    def send(self, host: int, messages: Sequence[Message], stamps: tuple[float, ...] = ()) -> None:
        """Send messages to one other host."""
        started = time.perf_counter()
        envelope = Envelope(self.round, self._home.index, packed(messages), stamps)
        self.sent[host] += 1
        if host not in self.cut:
            self.traffic["bytes"] += self._transport.send(host, envelope)
        self.traffic["letters"] += 1
        self.traffic["messages"] += len(messages)
        self.sending += time.perf_counter() - started

    def opened(self, envelope: Envelope, rows: Mapping[int, int], dtype: np.dtype[Any]) -> Iterator[Message]:
        """The messages of an envelope that are as they should be; others are counted and dropped.

        Parameters
        ----------
        rows, dtype
            Samples of each lane and type of the numbers that are expected.
        """
        for header, buffer in zip(envelope.parts[::2], envelope.parts[1::2], strict=False):
            try:
                message = decode(header, buffer, self.widths, rows, dtype)
            except MessageError:
                self.dropped["malformed"] += 1
                continue
            if message.incarnation != self._home.incarnation:
                self.dropped["of an earlier incarnation"] += 1
                continue
            yield message


def _widths(topology: Topology, blocks: Iterable[str]) -> dict[Address, int]:
    here = set(blocks)
    widths: dict[Address, int] = {}
    for link in topology.links:
        if link.post.name in here:
            widths[link.pre.name, link.post.name, KINDS[0]] = link.pre.size
        if link.pre.name in here:
            widths[link.post.name, link.pre.name, KINDS[1]] = link.pre.size
    return widths
