"""Gives the hosts of a network, and its coordinator, access to each other's segments.

On one machine, the descriptors of segments travel over sockets that vanish with their process. Once every endpoint has
all descriptors, nothing more is sent. Between machines, a carrier's packets travel as frames
(`dyadnet_actors.transports.tcp`).
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from dyadnet.dynamics.messages import MessageError
from dyadnet_actors.hosts.host import Host
from dyadnet_actors.hosts.shared_memory import Box, DeskSegments, SegmentLayout, attached
from dyadnet_actors.transports.endpoint import HostEndpoint, PeerNetwork
from dyadnet_actors.transports.identity import Card
from dyadnet_actors.transports.local import PeerLostError
from dyadnet_actors.transports.notices import SEGMENT, SLOTS, pack


class Connection:
    """A host's connection to the others.

    Parameters
    ----------
    host
        The host.

    Attributes
    ----------
    orders
        Box of the coordinator's questions, if the coordinator shares memory with this host.
    """

    def __init__(self, host: Host) -> None:
        self.endpoint = HostEndpoint(host.home.index, host.home.label(host.home.index), self._taken)
        self.orders: Box | None = None
        self._host = host
        self._hosts = host.home.hosts
        self._lacking: set[int] = set()
        self._together = self._ended = False
        self._queue: deque[tuple[int, bytes, bytes]] = deque()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def card(self) -> Card:
        """Card by which others find this host."""
        return self.endpoint.card

    def open(self, network: PeerNetwork) -> None:
        """Accept frames from other machines too; see `HostEndpoint.open`."""
        self.endpoint.open(network)

    def know(self, cards: Sequence[Card]) -> None:
        """Learn of all endpoints; see `HostEndpoint.know`."""
        self.endpoint.know(cards)
        self._together = all(self.endpoint.near(peer) for peer in self.endpoint.peers)
        self._lacking = {peer for peer in self.endpoint.peers if self._shares(peer)}

    def greet(self, timeout: float) -> None:
        """Connect to every other endpoint, and attach the segments of this machine.

        Raises
        ------
        PeerLostError
            If an endpoint is not there; the message names it.
        """
        deadline = time.monotonic() + timeout
        self.endpoint.connect()
        host, far = self._host, []
        for peer in self.endpoint.peers:
            if self._shares(peer):
                self.endpoint.send(peer, pack(SEGMENT), host.segments.descriptor)
            elif peer < self._hosts:
                host.segments.mirror(peer)
                far.append(peer)
        self.endpoint.await_greetings(timeout)
        while self._lacking:
            if time.monotonic() > deadline:
                names = ", ".join(str(peer) for peer in sorted(self._lacking))
                raise PeerLostError(f"{self.card.label} has no segment of host {names} within {timeout:g} s")
            self.endpoint.receive(0.2)
        host.join()
        if far:
            carrier = host.carrier_to(far, self._send)
            carrier.refused = self.endpoint.refused
            host.carry(carrier)
            self._thread = threading.Thread(target=self._run, name="dyadnet-frames", daemon=True)
            self._thread.start()
        else:
            # Nothing more is sent here, but the coordinator may still have to receive our greeting.
            self._end(max(0.0, deadline - time.monotonic()))
            host.ledger.refused.update(self.endpoint.refused)

    def close(self) -> None:
        """End every connection."""
        self._over.set()
        if self._thread is not None:
            self.endpoint.ring()
            self._thread.join()
        self._end()

    def _end(self, linger: float = 0.0) -> None:
        if not self._ended:
            self._ended = True
            self.endpoint.close(linger)

    def _shares(self, peer: int) -> bool:
        """Return whether a peer has a segment for this host; the coordinator has one only if all are on its machine."""
        return self.endpoint.near(peer) and (peer < self._hosts or self._together)

    def _send(self, host: int, packet: bytes) -> int:
        self._queue.append((host, pack(SLOTS), packet))
        self.endpoint.ring()
        return len(packet)

    def _run(self) -> None:
        while not self._over.is_set():
            while self._queue:
                host, notice, packet = self._queue.popleft()
                with contextlib.suppress(PeerLostError):
                    self.endpoint.send(host, notice, buffers=[packet])
            self.endpoint.receive(0.05)

    def _taken(self, peer: int, fields: list[Any], descriptor: int, frames: Sequence[Any]) -> None:
        kind, *rest = fields
        try:
            if kind == SEGMENT and not rest and descriptor >= 0 and peer in self._lacking:
                if peer == self._hosts:
                    self.orders = attached(descriptor)
                else:
                    self._host.segments.attach(peer, descriptor)
                self._lacking.discard(peer)
                descriptor = -1
            elif kind == SLOTS and not rest and len(frames) == 1 and self._host.carrier is not None:
                self._host.carrier.take(peer, bytes(frames[0].buffer))
            else:
                raise MessageError(f"a packet of kind {kind} that is not for a host")
        finally:
            if descriptor >= 0:
                os.close(descriptor)


class CoordinatorTransport:
    """The coordinator's connection to all hosts.

    Parameters
    ----------
    layout
        Layout of the segments.
    largest
        Maximum size of a question in bytes.

    Attributes
    ----------
    segments
        Memory shared with all hosts; None before `know`, or if a host is on another machine.
    """

    def __init__(self, layout: SegmentLayout, largest: int) -> None:
        self.hosts = layout.home.hosts
        self.segments: DeskSegments | None = None
        self._layout, self._largest = layout, largest
        self.endpoint = HostEndpoint(self.hosts, "the coordinator", self._taken)
        self._ended = False
        self._lacking: set[int] = set()

    def know(self, cards: Sequence[Card]) -> None:
        """Learn of all hosts; see `HostEndpoint.know`."""
        self.endpoint.know(cards)
        if all(self.endpoint.near(peer) for peer in self.endpoint.peers):
            self.segments = DeskSegments(self._layout, self._largest)
            self._lacking = set(range(self.hosts))

    def announce(self) -> None:
        """Connect to every host, and send it the coordinator's segment."""
        self.endpoint.connect()
        if self.segments is not None:
            for host in range(self.hosts):
                self.endpoint.send(host, pack(SEGMENT), self.segments.descriptor)

    def greet(self, timeout: float) -> None:
        """Wait until every host has connected and sent its segment; see `Connection.greet`."""
        deadline = time.monotonic() + timeout
        self.endpoint.await_greetings(timeout)
        while self._lacking:
            if time.monotonic() > deadline:
                names = ", ".join(str(peer) for peer in sorted(self._lacking))
                raise PeerLostError(f"the coordinator has no segment of host {names} within {timeout:g} s")
            self.endpoint.receive(0.2)
        self._end()

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self.endpoint.close()

    def close(self) -> None:
        """Release what is shared."""
        self._end()
        if self.segments is not None:
            self.segments.close()

    def _taken(self, peer: int, fields: list[Any], descriptor: int, frames: Sequence[Any]) -> None:
        if fields[0] == SEGMENT and descriptor >= 0 and self.segments is not None:
            try:
                self.segments.attach(peer, descriptor)
                self._lacking.discard(peer)
            except MessageError:
                os.close(descriptor)
                raise
        else:
            if descriptor >= 0:
                os.close(descriptor)
            raise MessageError(f"a packet of kind {fields[0]} that is not for the coordinator")
