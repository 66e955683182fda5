"""Carries messages in real time between hosts that do not share memory: only the newest ones, without a queue.

Few packets are in flight at a time: a packet goes out only once an earlier one was acknowledged. Receipts also tell the
offset between the clocks of two machines: of the last round trips, the shortest one counts, and a packet is assumed to
take half of it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgpack
import numpy as np

from dyadnet.dynamics.messages import MessageError
from dyadnet.engines.group import Group
from dyadnet.program import tables as c
from dyadnet.program.sync.crossing import DEPTH
from dyadnet_actors.hosts.carrier import Array, Carrier, Send
from dyadnet_actors.hosts.shared_memory import Segments

UNDER_WAY = 2
"""Maximum number of packets to one host that have not been acknowledged."""
REMEMBERED = 32
"""Number of recent round trips, of which the shortest tells most about the clock offset."""


@dataclass
class PeerClock:
    """State of a host's connection to another host.

    Attributes
    ----------
    shipped
        Newest word that was sent.
    pending
        Words that have not been acknowledged.
    sent
        Number of each block's newest state that was sent in this round.
    trips
        Latest receipts, in nanoseconds: the round trip, and how far the other clock is ahead.
    """

    shipped: int = 0
    pending: deque[int] = field(default_factory=deque)
    sent: dict[str, int] = field(default_factory=dict)
    trips: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def acknowledge(self, word: int) -> None:
        """Note that all words up to this one have arrived."""
        while self.pending and self.pending[0] <= word:
            self.pending.popleft()

    @property
    def ahead(self) -> int | None:
        """Nanoseconds by which the other clock is ahead; None before the first receipt."""
        return min(self.trips)[1] if self.trips else None


class FreeCarrier(Carrier):
    """The carrier of one host in real time; see `Carrier`."""

    def __init__(self, group: Group, segments: Segments, others: Sequence[int], send: Send) -> None:
        super().__init__(group, segments, others, send)
        self._lines = {host: PeerClock() for host in others}

    def flush(self) -> bool:
        """Send the newest states to each host that has acknowledged enough; return whether there was anything."""
        with self._lock:
            word = self._segments.come(self.index, 0)
            self._shipped[0] = word
            moved = [self._ship_newest(host, line, word) for host, line in self._lines.items()]
            return any(moved)

    def step(self, value: int, vectors: Any, squares: bytes) -> None:
        """See `Carrier.step`."""
        super().step(value, vectors, squares)
        for line in self._lines.values():
            line.shipped = max(line.shipped, value)

    def _ship_newest(self, host: int, line: PeerClock, word: int) -> bool:
        if word <= line.shipped or len(line.pending) >= UNDER_WAY:
            return False
        if word >> 32 != line.shipped >> 32:
            line.sent.clear()
            line.pending.clear()
        lane, fresh = self._group.lane(0), dict[str, list[tuple[int, Array]]]()
        stage = ((word & 0xFFFFFFFF) & (c.FINISHED - 1)) - int(self._group.arena.actual.own[2]) - 1
        for number, name in enumerate(self._group.blocks):
            first, depth = (int(lane.tables.blocks[number, column]) for column in (c.B_META, c.B_DEPTH))
            sent = line.sent.get(name, -1)
            counts: list[int] = [0] if sent < 0 and (word & 0xFFFFFFFF) > number else []
            if stage > max(sent, 0):
                counts += range(max(sent, 0) + 1 if depth > DEPTH else stage, stage + 1)[-(depth - 2) :]
            fresh[name] = [(count, lane.state.meta[first + (count & (depth - 1))].copy()) for count in counts]
        items = self._items(host, 0, fresh)
        if any(self._written_over(count, fresh) for _, count, *_ in items if count):
            # The host is faster than this thread: a newer state is there by now.
            return True
        for name, states in fresh.items():
            line.sent[name] = max([line.sent.get(name, -1), *(count for count, _ in states)])
        line.shipped = word
        line.pending.append(word)
        board = self._segments.board(self.index, 0).tobytes()
        messages = sum(len(self._out[host][ordinal].places) for ordinal, count, *_ in items if count)
        packet = ["slots", self.index, self._life, 0, word, lane.rows, board, items, time.monotonic_ns()]
        self._post(host, packet, messages)
        return True

    def _written_over(self, count: int, fresh: dict[str, list[tuple[int, Array]]]) -> bool:
        depth = min(int(self._group.arena.actual.blocks[number, c.B_DEPTH]) for number in range(len(fresh)))
        return self._segments.about_to_write(self.index, 0) - count >= depth

    # Incoming packets

    def _take_slots(
        self, origin: int, lane: Any, word: Any, rows: Any, board: Any, items: Any, sent: Any = None
    ) -> None:
        self._check_word(origin, lane, word)
        if type(sent) is not int:
            raise MessageError("a packet that was sent at no time")
        self._heard_at, now = sent, time.monotonic_ns()
        writes = self._checked(origin, lane, rows, board, items)
        if items:
            self._segments.write(origin, lane, max(count for _, count, *_ in items))
        self._write(origin, lane, writes)
        self._segments.board(origin, lane)[:] = np.frombuffer(board, np.uint8)
        self._segments.tell(origin, lane, word)
        if not self._segments.is_cut(origin):
            self._send(origin, bytes(msgpack.packb(["heard", self.index, self._life, word, sent, now])))

    def _take_receipt(self, origin: int, *fields: Any) -> None:
        if len(fields) != 3 or any(type(number) is not int or not 0 <= number < 2**62 for number in fields):
            raise MessageError("a receipt of other fields")
        word, sent, theirs = fields
        now, line = time.monotonic_ns(), self._lines[origin]
        line.acknowledge(word)
        if 0 < sent <= now:
            line.trips.append((now - sent, theirs - (sent + now) // 2))

    def _local(self, origin: int, meta: bytes) -> bytes:
        """Convert the time stamp to this machine's clock; until the offset is known, use the packet's arrival."""
        row, now = np.frombuffer(meta, np.int64).copy(), time.monotonic_ns()
        if row[c.M_STAMP] > 0:
            ahead = self._lines[origin].ahead
            late = max(self._heard_at - int(row[c.M_STAMP]), 0)
            row[c.M_STAMP] = min(max(now - late if ahead is None else int(row[c.M_STAMP]) - ahead, 1), now)
        return row.tobytes()
