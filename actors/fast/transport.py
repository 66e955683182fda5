"""Letters between hosts by shared memory and ZeroMQ; see the package's docstring.

`FastTransport` is a host's: it implements `actors.transport.Transport` and `actors.inbox.Source`. `Desk` is the
coordinator's.
"""

from __future__ import annotations

import os
import queue
import time
from collections import Counter, deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors import wire
from actors.fast.board import Board, Council
from actors.fast.endpoint import Endpoint
from actors.fast.keys import Card
from actors.fast.letters import BOARD, DECISION, FAR, LARGEST, LETTER, REPORT, SEGMENT, counts, letter, pack, unpack
from actors.fast.segments import Foreign, Pool, Segment
from actors.inbox import Decision, Envelope, Letter
from actors.judges import LockstepJudge
from actors.post import Home, by_host
from actors.transport import Report
from dyadnet.messages import MessageError

INLINE = 2048
"""Bytes of numbers that travel in the notice itself."""
INLINE_FAR = 32 << 10
"""Bytes of numbers that travel to another machine in the frame of the letter: a copy costs less than one more frame."""
NAP = 0.02
"""Seconds after which a host that waits for a verdict looks again, should nobody have woken it."""


class FastTransport:
    """What a host sends and hears.

    Parameters
    ----------
    home
        Which host this is.
    lanes
        Of the network.
    slots
        Arrays of one size that can be held or under way at once, plus one; more are made where they are needed.
    """

    def __init__(self, home: Home, lanes: int, slots: int) -> None:
        self.hosts = max(home.homes.values()) + 1
        self.endpoint = Endpoint(home.index, home.label(home.index), self._taken)
        self.pool = Pool(self.hosts, slots, self._announce)
        self._index = home.index
        self._homes = home.homes
        self._lanes = lanes
        self._foreign: dict[tuple[int, int], Foreign] = {}
        self._letters: list[Letter] = []
        self._council: Council | None = None
        self._board: Board | None = None
        self._ready = False

    # Getting to know each other

    def know(self, cards: Sequence[Card]) -> None:
        """Learn of all endpoints; see `Endpoint.know`."""
        for lost in self.endpoint.know(cards):
            if lost < self.hosts:
                self.pool.forgive(lost)
                for key in [key for key in self._foreign if key[0] == lost]:
                    del self._foreign[key]
        self._council = self._board = None
        if all(self.endpoint.near(peer) for peer in self.endpoint.peers):
            tell = self._tell if self._index == 0 else None
            self._board = Board(self._index, by_host(self._homes), self._lanes)
            self._council = Council(self._board, self._index, self.endpoint.wake, tell)

    def greet(self, timeout: float) -> None:
        """Connect to everybody, and wait until everybody has connected.

        Raises
        ------
        PeerLostError
            If one is not there; it is named.
        """
        fresh = self.endpoint.connect()
        for peer in self.endpoint.peers:
            if peer < self.hosts and self.endpoint.near(peer):
                if peer in fresh:
                    for segment in self.pool.segments:
                        self._announce_to(peer, segment)
                if self._board is not None:
                    self.endpoint.send(peer, pack(BOARD), self._board.descriptor)
        self._ready = True
        self.endpoint.await_greetings(timeout)

    # Transport

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """An array that can be sent from where it lies."""
        return self.pool.empty(shape, dtype)

    def send(self, host: int, envelope: Envelope) -> int:
        """See `Transport`."""
        if not self.endpoint.near(host):
            return self._send_far(host, envelope)
        parts: list[Any] = []
        total = 0
        for header, numbers in zip(envelope.parts[::2], envelope.parts[1::2], strict=True):
            parts.append(header)
            total += numbers.nbytes
            parts.append(numbers.tobytes() if numbers.nbytes <= INLINE else self._lies(numbers, host))
        packet = pack(LETTER, envelope.round, envelope.origin, envelope.stamps, parts)
        total += len(packet)
        if self._council is not None:
            self._council.told(host)
        if len(packet) > LARGEST:
            packet = pack(FAR, *self._lies(np.frombuffer(packet, np.uint8), host))
        self.endpoint.send(host, packet)
        return total

    def report(self, report: Report) -> None:
        """See `Transport`."""
        if self._council is not None and self._council.sits:
            self._council.report(report)
        else:
            self._tell(report)

    def flush(self) -> None:
        """See `Transport`: wake who waits for a verdict only, and was sent nothing."""
        if self._council is not None:
            self._council.wake()

    def convene(self, judge: LockstepJudge | None) -> None:
        """See `Transport`."""
        if self._council is not None:
            if judge is None:
                self._council.adjourn()
            else:
                self._council.convene(judge)

    # Source

    def take(self, timeout: float | None) -> list[Letter]:
        """See `actors.inbox.Source`."""
        council = self._council
        if council is None or not council.waits:
            self.endpoint.receive(timeout if not self._letters else 0.0)
        elif timeout == 0.0 or self._letters:
            self.endpoint.receive(0.0)
            self._letters += council.decisions()
        else:
            self._letters += council.decisions()
            self._sleep(council, timeout)
        letters, self._letters = self._letters, []
        return letters

    def put(self, letter: Letter) -> None:
        """See `Source`."""
        self._letters.append(letter)
        self.endpoint.ring()

    def wake(self) -> None:
        """See `Source`."""
        self.endpoint.ring()

    @property
    def refused(self) -> Counter[str]:
        """See `Source`."""
        return self.endpoint.refused

    def close(self) -> None:
        """End every connection and let go of all memory."""
        self.endpoint.close()
        self.pool.close()

    def _sleep(self, council: Council, timeout: float | None) -> None:
        """Wait for a letter or a verdict, unless there is one."""
        if self._letters:
            self.endpoint.receive(0.0)
            return
        council.sleep()
        # A verdict that came while nobody knew of this sleep wakes nobody.
        self._letters += council.decisions()
        if self._letters:
            self.endpoint.receive(0.0)
        else:
            self.endpoint.receive(NAP if timeout is None else min(NAP, timeout))
            self._letters += council.decisions()
        council.rise()

    def _tell(self, report: Report) -> None:
        self.endpoint.send(self.hosts, pack(REPORT, wire.seal_report(report)))

    def _lies(self, numbers: NDArray[np.uint8], host: int) -> tuple[int, int, int]:
        """Segment, slot and length of an array, which is copied into a slot if it is not at the beginning of one."""
        found = self.pool.find(numbers)
        if found is None:
            copied = self.pool.empty((numbers.nbytes,), np.dtype(np.uint8))
            copied[...] = numbers
            found = self.pool.find(copied)
            assert found is not None
        segment, slot = found
        segment.send(slot, host)
        return segment.number, slot, numbers.nbytes

    def _send_far(self, host: int, envelope: Envelope) -> int:
        parts: list[Any] = []
        buffers: list[Any] = []
        for header, numbers in zip(envelope.parts[::2], envelope.parts[1::2], strict=True):
            parts.append(header)
            if numbers.nbytes <= INLINE_FAR:
                parts.append(numbers.tobytes())
            else:
                parts.append((len(buffers), numbers.nbytes))
                buffers.append(numbers)
        packet = pack(LETTER, envelope.round, envelope.origin, envelope.stamps, parts)
        self.endpoint.send(host, packet, buffers=buffers)
        return len(packet) + sum(int(buffer.nbytes) for buffer in buffers)

    def _announce(self, segment: Segment) -> None:
        if self._ready:
            for peer in self.endpoint.peers:
                if peer < self.hosts and self.endpoint.near(peer):
                    self._announce_to(peer, segment)

    def _announce_to(self, peer: int, segment: Segment) -> None:
        packet = pack(SEGMENT, segment.number, segment.slot, segment.slots, segment.readers)
        self.endpoint.send(peer, packet, segment.descriptor)

    def _taken(self, peer: int, fields: list[Any], descriptor: int, frames: Sequence[Any]) -> None:
        kind, *rest = fields
        if kind == LETTER:
            self._no(descriptor)
            self._letters.append(letter(rest, peer, lambda place: self._numbers(peer, place, frames)))
        elif kind == SEGMENT:
            try:
                number, slot, slots, readers = counts(rest, 4)
                if descriptor < 0 or peer >= self.hosts or number != sum(key[0] == peer for key in self._foreign):
                    raise MessageError("a segment out of turn")
            except MessageError:
                self._no(descriptor)
                raise
            self._foreign[peer, number] = Foreign(descriptor, slot, slots, readers, self._index)
        elif kind == BOARD and self._board is not None and descriptor >= 0 and peer < self.hosts:
            self._board.attach(peer, descriptor)
        elif kind == FAR:
            self._no(descriptor)
            kind, *rest = unpack(self._numbers(peer, rest, frames).data)
            if kind != LETTER:
                raise MessageError("far bytes that are no letter")
            self._letters.append(letter(rest, peer, lambda place: self._numbers(peer, place, frames)))
        elif kind == DECISION and peer == self.hosts and len(rest) == 1 and type(rest[0]) is bytes:
            self._no(descriptor)
            self._letters.append(wire.unseal_decision(rest[0]))
        else:
            self._no(descriptor)
            raise MessageError(f"a packet of kind {kind} that is not for a host")

    def _no(self, descriptor: int) -> None:
        if descriptor >= 0:
            os.close(descriptor)

    def _numbers(self, peer: int, place: Sequence[Any], frames: Sequence[Any]) -> NDArray[np.uint8]:
        """The numbers of a message, in the sender's memory or a frame."""
        if frames or not self.endpoint.near(peer):
            index, length = counts(place, 2)
            if index >= len(frames) or len(frames[index]) != length:
                raise MessageError("a frame that is not there")
            # A frame lies anywhere; arrays begin where products are as fast as everywhere else.
            found: NDArray[np.uint8] = np.empty(length, np.uint8)
            found[...] = np.frombuffer(frames[index].buffer, np.uint8)
            return found
        number, slot, length = counts(place, 3)
        foreign = self._foreign.get((peer, number))
        if foreign is None:
            raise MessageError(f"a segment {number} that nobody announced")
        return foreign.read(slot, length)


class Desk:
    """Where the coordinator hears of all hosts.

    Parameters
    ----------
    hosts
        How many there are.
    lockstep
        Whether they go in lockstep, so that on one machine they give the verdicts themselves.
    """

    def __init__(self, hosts: int, *, lockstep: bool) -> None:
        self.hosts = hosts
        self._lockstep = lockstep
        self.endpoint = Endpoint(hosts, "the coordinator", self._taken)
        self._reports: deque[Report] = deque()
        self._council = False

    def know(self, cards: Sequence[Card]) -> None:
        """Learn of all hosts; see `Endpoint.know`."""
        self.endpoint.know(cards)
        self._council = self._lockstep and all(self.endpoint.near(peer) for peer in self.endpoint.peers)

    def greet(self, timeout: float) -> None:
        """Connect to every host, and wait until each has connected; see `FastTransport.greet`."""
        self.endpoint.connect()
        self.endpoint.await_greetings(timeout)

    def decide(self, decision: Decision) -> None:
        """Tell every host a decision; verdicts, which are words, only where they do not give them themselves."""
        if self._council and isinstance(decision.content, str):
            return
        packet = pack(DECISION, wire.seal_decision(decision))
        for host in range(self.hosts):
            self.endpoint.send(host, packet)

    def get(self, timeout: float) -> Report:
        """The next report of any host.

        Raises
        ------
        queue.Empty
            If none comes within `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while not self._reports:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise queue.Empty
            self.endpoint.receive(remaining)
        return self._reports.popleft()

    def close(self) -> None:
        """End every connection."""
        self.endpoint.close()

    def _taken(self, peer: int, fields: list[Any], descriptor: int, frames: Sequence[Any]) -> None:
        if descriptor >= 0:
            os.close(descriptor)
        kind, *rest = fields
        if kind != REPORT or len(rest) != 1 or type(rest[0]) is not bytes:
            raise MessageError(f"a packet of kind {kind} that is not for the coordinator")
        report = wire.unseal_report(rest[0])
        if report.host != peer:
            raise MessageError(f"a report of host {report.host}")
        self._reports.append(report)
