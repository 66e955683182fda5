"""An endpoint: everything by which a host or the coordinator is reached and reaches others.

`local` reaches peers on the same machine, and `tcp` reaches the others; the peers' cards tell which is which. Invalid
input is counted, logged once for each sender and reason, and dropped.
"""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dyadnet.dynamics.messages import MessageError
from dyadnet_actors.transports.identity import Card, new_card
from dyadnet_actors.transports.local import LocalSockets, PeerLostError
from dyadnet_actors.transports.notices import HELLO, pack, unpack
from dyadnet_actors.transports.tcp import Tcp

LOG = logging.getLogger("dyadnet.transport")
MOST_LOGGED = 100
"""Maximum number of logged senders and reasons, so that a sender with a new name for every frame fills no disk."""


@dataclass(frozen=True, slots=True)
class PeerNetwork:
    """How an endpoint is reached from other machines.

    Attributes
    ----------
    host
        The node's own address.
    ports
        First and last port at which to receive packets.
    largest
        Maximum size of a frame in bytes.
    insecure
        Whether to do without CURVE.
    """

    host: str
    ports: tuple[int, int]
    largest: int
    insecure: bool


class HostEndpoint:
    """The connections of a host, or of the coordinator, to the others, for one life.

    Parameters
    ----------
    index, label
        Index and name of this endpoint.
    taken
        Called with the peer, the fields of each packet, the attached descriptor (-1: none) and the frames that follow.
        It raises `MessageError` for an invalid packet.

    Attributes
    ----------
    refused
        Number of refused packets, by reason.
    """

    def __init__(self, index: int, label: str, taken: Callable[[int, list[Any], int, Sequence[Any]], None]) -> None:
        self.refused: Counter[str] = Counter()
        self.card = new_card(index, label)
        self._taken = taken
        self._logged: set[tuple[str, str]] = set()
        self._local = LocalSockets(self.card, self.refuse)
        self._tcp: Tcp | None = None
        self._cards: dict[int, Card] = {}
        self._greeted: dict[int, str] = {}

    def open(self, network: PeerNetwork) -> None:
        """Accept packets from other machines too.

        Raises
        ------
        ConfigError
            If no port is free.
        """
        tcp = Tcp(
            self.card.secret,
            network.host,
            network.ports,
            network.largest,
            insecure=network.insecure,
            refuse=self.refuse,
        )
        self._tcp = tcp
        self._local.watch(tcp.descriptor)
        self.card = replace(self.card, address=tcp.address, key=tcp.key)

    def know(self, cards: Sequence[Card]) -> list[int]:
        """Learn the cards of all endpoints, this one included; return the peers whose earlier life is now forgotten."""
        before = self._cards
        self._cards = {card.index: card for card in cards if card.index != self.card.index}
        self._local.know({index: card.life for index, card in self._cards.items()})
        if self._tcp is not None:
            self._tcp.know({index: card for index, card in self._cards.items() if not self.near(index)})
        return [index for index, card in before.items() if self._cards[index].life != card.life]

    def near(self, peer: int) -> bool:
        """Return whether a peer shares this machine's memory."""
        return self._cards[peer].machine == self.card.machine

    @property
    def peers(self) -> list[int]:
        """Indices of all other endpoints."""
        return list(self._cards)

    def connect(self) -> list[int]:
        """Connect to every peer that is not connected yet; return these peers.

        Raises
        ------
        PeerLostError
            If a peer on this machine is not there, or if this endpoint or a peer on another machine opens no port.
        """
        fresh = []
        for index, card in self._cards.items():
            if self.near(index):
                if self._local.connect(card):
                    fresh.append(index)
            elif self._tcp is None or not card.address:
                raise PeerLostError(f"{card.label} and {self.card.label} are on different machines and open no port")
            elif self._tcp.connect(card):
                self._tcp.send(index, self.card.index, pack(HELLO, self.card.life))
                fresh.append(index)
        return fresh

    def await_greetings(self, timeout: float) -> None:
        """Wait until every peer has said hello.

        Raises
        ------
        PeerLostError
            If a peer has not within `timeout` seconds; the message names it.
        """
        deadline = time.monotonic() + timeout
        while missing := [card for card in self._cards.values() if self._life_of(card.index) != card.life]:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                names = ", ".join(f"{card.label} at {card.address or 'this machine'}" for card in missing)
                raise PeerLostError(
                    f"{self.card.label} at {self.card.address or 'this machine'} has heard nothing of {names} within "
                    f"{timeout:g} s; let the ports of cluster.ports through between the nodes, or use --transport ray"
                )
            self.receive(min(remaining, 0.2))

    def send(self, peer: int, packet: bytes, descriptor: int = -1, buffers: Sequence[Any] = ()) -> None:
        """Send a packet; a descriptor can go only to a near peer, and buffers, as frames, only to a far one."""
        if self.near(peer):
            self._local.send(peer, packet, descriptor)
        else:
            assert self._tcp is not None
            self._tcp.send(peer, self.card.index, packet, buffers)

    def receive(self, timeout: float | None) -> None:
        """Process what has arrived; wait up to `timeout` seconds for something (None: without limit)."""
        if self._tcp is not None and self._take_far():
            timeout = 0.0
        for peer, packet, descriptor in self._local.receive(timeout):
            self._take(peer, packet, descriptor, ())
        if self._tcp is not None:
            self._take_far()

    def ring(self) -> None:
        """Make this endpoint's `receive` return; callable from any thread."""
        self._local.ring()

    def refuse(self, sender: str, reason: str, why: str) -> None:
        """Count something that is refused, and log it if it is the first of its kind from its sender."""
        self.refused[reason] += 1
        key = (sender, reason)
        if key not in self._logged and len(self._logged) < MOST_LOGGED:
            self._logged.add(key)
            LOG.warning(
                "%s dropped what %s sent: %s (%s); further ones are only counted", self.card.label, sender, reason, why
            )

    def close(self, linger: float = 0.0) -> None:
        """End every connection; see `Tcp.close`."""
        self._local.close()
        if self._tcp is not None:
            self._tcp.close(linger)

    def _life_of(self, peer: int) -> str | None:
        return self._local.greeted.get(peer) if self.near(peer) else self._greeted.get(peer)

    def _take_far(self) -> bool:
        assert self._tcp is not None
        came = False
        for peer, packet, frames in self._tcp.receive():
            came = True
            self._take(peer, packet, -1, frames)
        return came

    def _take(self, peer: int, packet: Any, descriptor: int, frames: Sequence[Any]) -> None:
        kept = False
        try:
            fields = unpack(packet)
            if fields[0] == HELLO:
                if len(fields) == 2 and type(fields[1]) is str:
                    self._greeted[peer] = fields[1]
            else:
                kept = True
                self._taken(peer, fields, descriptor, frames)
        except MessageError as problem:
            self.refuse(self._name(peer), "malformed", str(problem))
        finally:
            if descriptor >= 0 and not kept:
                os.close(descriptor)

    def _name(self, peer: int) -> str:
        card = self._cards.get(peer)
        return f"host {peer}" if card is None else card.label
