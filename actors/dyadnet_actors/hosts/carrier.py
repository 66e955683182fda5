"""Carries messages between hosts that do not share memory: sends those of its host's blocks, and mirrors the others'.

The compiled program does not know the carrier. A thread watches the words by which the host announces its progress. The
data written since the last word goes out together with the new word. The receiver writes the data into its mirror
before it stores the word. Both sides derive the place of all data from the network alone, so no offset or length is
taken from a packet.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from dyadnet.dynamics.messages import MessageError
from dyadnet.engines.group import Group
from dyadnet.program import tables as c
from dyadnet.program.sync.crossing import Geometry, Region
from dyadnet.program.tables import J_WIDTH, M_WIDTH
from dyadnet_actors.hosts.shared_memory import Segments

Array = NDArray[Any]


class LateError(MessageError):
    """A packet whose word is not newer than the last one."""


Item = tuple[int, int, bytes, bytes]
"""A state: index of its sender, its own number, its metadata, and its values."""
Send = Callable[[int, bytes], int]
"""Sends a packet to a host; returns the number of bytes sent."""
SLICE = 0.05
"""Seconds between two checks whether the carrier was closed."""


@dataclass(frozen=True)
class Place:
    """Place of a block's messages of one kind in a lane's region, counted in numbers.

    Attributes
    ----------
    start, slot
        Offset of the ring, and distance from one slot to the next; 0 if there is only one slot.
    width
        Number of neurons.
    up
        Whether the message is a state, else feedback. If κ is 0, the differences of a state and the means of feedback
        are not sent.
    projection
        Index of the projection whose κ counts.
    """

    start: int
    slot: int
    width: int
    up: bool
    projection: int

    def streams(self, coupled: bool, dyadic: bool) -> range:
        """Return which of the streams (m, d) are sent."""
        if self.up:
            return range(1 + (dyadic and coupled))
        return range(0 if coupled else 1, 1 + dyadic)


@dataclass(frozen=True)
class Sender:
    """The messages that one block sends to another host.

    Attributes
    ----------
    meta
        Row of the metadata of the first state in its ring.
    depth
        Number of states in the ring.
    places
        Places of the messages, in the order in which they travel.
    """

    name: str
    meta: int
    depth: int
    places: tuple[Place, ...]


def senders(geometry: Geometry, homes: dict[str, int], source: int, target: int, region: Region) -> list[Sender]:
    """Return what the blocks of one host send to another host."""
    topology, found = geometry.topology, []
    order = {projection.name: number for number, projection in enumerate(topology.network.recurrent)}
    for name in topology.blocks:
        if homes[name] != source:
            continue
        places = []
        up = [link for link in geometry.efferent[name] if homes[link.post.name] == target]
        # All readers share the ring; it carries differences if any reader needs them.
        for link in up:
            index, width = order[link.projection.name], link.pre.size
            places.append(Place(region.places["ring", name], geometry.slot(width), width, True, index))
            if geometry.coarse(link):
                start = region.places["state", link.post.name, name]
                places.append(Place(start, geometry.slot(width), width, True, index))
        for link in geometry.afferent[name]:
            if homes[link.pre.name] != target:
                continue
            index, width, key = order[link.projection.name], link.pre.size, (name, link.pre.name)
            fixed = ("feedback", *key) in region.places
            slot = geometry.slot(width)
            places.append(Place(region.places["cache", *key], 0 if fixed else slot, width, False, index))
            if fixed:
                places.append(Place(region.places["feedback", *key], slot, width, False, index))
        if places:
            meta = region.places["meta", name] * geometry.itemsize // (8 * M_WIDTH)
            found.append(Sender(name, meta, geometry.depth(name), tuple(dict.fromkeys(places))))
    return found


class Carrier:
    """The carrier of one host.

    Parameters
    ----------
    group, segments
        Group and segments of the host.
    others
        Hosts that do not share its memory.
    send
        Sends packets to them.

    Attributes
    ----------
    traffic
        Packets ("letters"), messages and bytes that were sent.
    refused
        Number of refused packets, by reason.
    """

    def __init__(self, group: Group, segments: Segments, others: Sequence[int], send: Send) -> None:
        self._group, self._segments, self._send = group, segments, send
        self._others = list(others)
        self.index = segments.index
        self._life = group.home.incarnation
        self.refused: Counter[str] = Counter()
        geometry, homes = group.arena.geometry, dict(group.home.homes)
        regions = segments.layout.regions
        self._out = {h: senders(geometry, homes, self.index, h, regions[self.index]) for h in others}
        self._in = {h: senders(geometry, homes, h, self.index, regions[h]) for h in others}
        self._lanes = range(geometry.config.dynamics.lanes)
        self._shipped = dict.fromkeys(self._lanes, 0)
        self._counts = {lane: dict[str, int]() for lane in self._lanes}
        self._ticks = {lane: dict[str, int]() for lane in self._lanes}
        self._steps: list[tuple[int, bytes]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dyadnet-carrier", daemon=True)
        self.traffic = {"letters": 0, "messages": 0, "bytes": 0}
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop the thread."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()

    def step(self, value: int, vectors: Callable[[int], list[bytes]], squares: bytes) -> None:
        """Send the vectors of a step of a power iteration to the other hosts, before the step's word counts as sent.

        Parameters
        ----------
        vectors
            Returns the parts for a host, in the order in which it reads them.
        """
        with self._lock:
            for host in self._others:
                self._post(host, ["step", self.index, self._life, value, squares, vectors(host)], 0)
            self._shipped[0] = value
            self._segments.carried(0, value)

    def _run(self) -> None:
        """Watch the words, and send what has been written since."""
        while not self._over.is_set():
            if not self.flush():
                self._segments.doze(list(self._shipped.values()), SLICE)

    def flush(self) -> bool:
        """Send everything that this host has announced so far; return whether there was anything."""
        moved = False
        with self._lock:
            for lane in self._lanes:
                word = self._segments.come(self.index, lane)
                if word > self._shipped[lane]:
                    self._ship(lane, word)
                    self._shipped[lane] = word
                    self._segments.carried(lane, word)
                    moved = True
        return moved

    def _ship(self, lane: int, word: int) -> None:
        """Send everything that this word announces, together with the lane's small board."""
        state, board = self._group.lane(lane).state, self._segments.board(self.index, lane).tobytes()
        rows = self._group.lane(lane).rows
        round_, stage = word >> 32, (word & 0xFFFFFFFF) - int(self._group.arena.actual.own[2]) - 1
        counts = self._counts[lane]
        if self._shipped[lane] >> 32 != round_:
            counts.clear()
            self._ticks[lane].clear()
        fresh: dict[str, list[tuple[int, Array]]] = {}
        numbers = {name: number for number, name in enumerate(self._group.blocks)}
        for name, number in numbers.items():
            meta = self._group.arena.actual.blocks[number, [c.B_META, c.B_DEPTH]]
            fresh[name] = []
            count = counts.get(name, -1) + 1
            born = (word & 0xFFFFFFFF) > number if stage < 0 else True
            while born and count <= int(state.blocks[number, c.S_COUNT]):
                row = state.meta[int(meta[0]) + (count & (int(meta[1]) - 1))]
                tick = int(row[c.M_TICK])
                # Later than this word, or so recent that only the number of the firing is there yet.
                if count and not self._ticks[lane].get(name, 0) < tick <= stage:
                    break
                fresh[name].append((count, row.copy()))
                counts[name], self._ticks[lane][name] = count, tick
                count += 1
        for host in self._others:
            items = self._items(host, lane, fresh)
            messages = sum(len(self._out[host][ordinal].places) for ordinal, count, *_ in items if count)
            self._post(host, ["slots", self.index, self._life, lane, word, rows, board, items], messages)

    def _items(self, host: int, lane: int, fresh: Mapping[str, Sequence[tuple[int, Array]]]) -> list[Item]:
        """Return states in the format of a packet.

        Parameters
        ----------
        fresh
            Numbers of each block's new states, and their metadata.
        """
        own = self._group.lane(lane)
        X, rows, kappas = own.memory.X, own.rows, self._group.couplings
        start, items = self._group.arena.shared_start(self.index), list[Item]()
        for ordinal, sender in enumerate(self._out[host]):
            for count, row in fresh[sender.name]:
                parts = []
                for place in sender.places:
                    size = rows * place.width
                    at = start + place.start + (count & (sender.depth - 1)) * place.slot
                    streams = place.streams(kappas[place.projection] != 0.0, bool(row[c.M_DYADIC]))
                    if len(streams):
                        parts.append(X[at + streams.start * size : at + streams.stop * size].tobytes())
                items.append((ordinal, count, row.tobytes(), b"".join(parts)))
        return items

    def _post(self, host: int, packet: list[Any], messages: int) -> None:
        if self._segments.is_cut(host):
            return
        self.traffic["bytes"] += self._send(host, bytes(msgpack.packb(packet)))
        self.traffic["letters"] += 1
        self.traffic["messages"] += messages

    # Incoming packets

    def take(self, origin: int, packet: Any) -> None:
        """Write a packet of another host into its mirror; an invalid packet is counted and dropped as a whole."""
        try:
            self._take(origin, packet)
        except LateError:
            self.refused["late"] += 1
        except MessageError:
            self.refused["malformed"] += 1

    def _take(self, origin: int, packet: Any) -> None:
        try:
            kind, claimed, life, *fields = msgpack.unpackb(packet)
            if claimed != origin or origin not in self._in:
                raise MessageError(f"a packet of host {claimed!r}")
            if life != self._life:
                self.refused["of an earlier incarnation"] += 1
            elif kind == "step":
                self._take_step(origin, *fields)
            elif kind == "slots":
                self._take_slots(origin, *fields)
            elif kind == "heard":
                self._take_receipt(origin, *fields)
            else:
                raise MessageError(f"a packet of kind {kind!r}")
        except (ValueError, TypeError, OverflowError, RecursionError, msgpack.exceptions.UnpackException) as problem:
            raise MessageError(f"no packet: {problem}") from None

    def _take_slots(self, origin: int, lane: Any, word: Any, rows: Any, board: Any, items: Any) -> None:
        self._check_word(origin, lane, word)
        writes = self._checked(origin, lane, rows, board, items)
        self._write(origin, lane, writes)
        self._segments.board(origin, lane)[:] = np.frombuffer(board, np.uint8)
        self._segments.tell(origin, lane, word)

    def _check_word(self, origin: int, lane: Any, word: Any) -> None:
        if type(lane) is not int or lane not in self._lanes or type(word) is not int or not 0 < word < 2**62:
            raise MessageError("a lane or a word that is none")
        if word <= self._segments.come(origin, lane):
            raise LateError("a word that is late")

    def _checked(self, origin: int, lane: int, rows: Any, board: Any, items: Any) -> list[tuple[int, bytes]]:
        """Check a packet; return what to write where, in bytes of a lane's region of the sending host."""
        own = self._group.lane(lane)
        if type(board) is not bytes or len(board) != 16 * J_WIDTH or (items and rows != own.rows):
            raise MessageError("a board or rows of another size")
        kappas, itemsize = self._group.couplings, self._group.arena.geometry.itemsize
        writes: list[tuple[int, bytes]] = []
        for ordinal, count, meta, numbers in items:
            sender = self._in[origin][self._whole(ordinal, len(self._in[origin]))]
            slot = self._whole(count, 2**62) & (sender.depth - 1)
            if type(meta) is not bytes or len(meta) != 8 * M_WIDTH or type(numbers) is not bytes:
                raise MessageError("a state of other fields")
            dyadic = bool(np.frombuffer(meta, np.int64)[c.M_DYADIC])
            at = 0
            for place in sender.places:
                streams = place.streams(kappas[place.projection] != 0.0, dyadic)
                size = own.rows * place.width * itemsize
                if not len(streams):
                    continue
                into = (place.start + slot * place.slot) * itemsize + streams.start * size
                writes.append((into, numbers[at : at + len(streams) * size]))
                at += len(streams) * size
            if at != len(numbers):
                raise MessageError(f"{len(numbers)} bytes of numbers where {at} belong")
            writes.append(((sender.meta + slot) * 8 * M_WIDTH, self._local(origin, meta)))
        return writes

    def _local(self, origin: int, meta: bytes) -> bytes:
        """Return the metadata of another host's state, as they are kept here."""
        return meta

    def _take_receipt(self, origin: int, *fields: Any) -> None:
        raise MessageError("a receipt that nobody waits for")

    def _take_step(self, origin: int, word: Any, squares: Any, vectors: Any) -> None:
        if type(word) is not int or not 0 < word < 2**62:
            raise MessageError("a word that is none")
        if type(squares) is not bytes or type(vectors) is not list or any(type(data) is not bytes for data in vectors):
            raise MessageError("squares or vectors that are none")
        if word <= self._segments.come(origin, 0):
            raise LateError("a word that is late")
        parity = word & 1
        place = self._segments.squares(origin, parity)
        if squares and len(squares) != place.nbytes:
            raise MessageError("squares of another number of blocks")
        regions = self._segments.layout.regions[origin]
        geometry = self._group.arena.geometry
        writes = []
        keys = vector_keys(geometry, dict(self._group.home.homes), origin, self.index)
        if vectors and len(vectors) != len(keys):
            raise MessageError("vectors of other blocks")
        for (key, width), data in zip(keys, vectors, strict=False):
            if len(data) != width * geometry.itemsize:
                raise MessageError("a vector of another length")
            writes.append(((regions.places[key] + parity * -(-width // 16) * 16) * geometry.itemsize, data))
        if squares:
            place[:] = np.frombuffer(squares, np.float64)
        self._write(origin, 0, writes)
        self._segments.tell(origin, 0, word)

    def _write(self, origin: int, lane: int, writes: list[tuple[int, bytes]]) -> None:
        if writes:
            # A host whose blocks are not linked with ours has no region here, and nothing to write.
            region = self._segments.region(origin, lane)
            for into, data in writes:
                region[into : into + len(data)] = np.frombuffer(data, np.uint8)

    @staticmethod
    def _whole(value: Any, end: int) -> int:
        if type(value) is not int or not 0 <= value < end:
            raise MessageError(f"{value!r} where a whole number below {end} belongs")
        return value


def vector_keys(
    geometry: Geometry, homes: dict[str, int], source: int, target: int
) -> list[tuple[tuple[str, ...], int]]:
    """Return what a host sends another in a step of a power iteration: keys of places, and the length of each."""
    found: list[tuple[tuple[str, ...], int]] = []
    for name, spec in geometry.topology.blocks.items():
        if homes[name] != source:
            continue
        if any(homes[link.post.name] == target for link in geometry.efferent[name]):
            found.append((("vector", name), spec.size))
        for link in geometry.afferent[name]:
            if homes[link.pre.name] == target:
                found.append((("response", name, link.pre.name), link.pre.size))
    return found
