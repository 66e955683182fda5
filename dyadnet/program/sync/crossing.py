"""What processes of one network read of each other: places in a segment of memory that one of them alone writes.

Each host of blocks has a segment: for each lane a region with the rings of what its blocks send to blocks elsewhere.
Where everything lies follows from the network, the settings and who lives where, so that every host knows it of every
other, and nothing that is read from another is ever an index or a length.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dyadnet.config import RunConfig
from dyadnet.config.dynamics import FreeRunning
from dyadnet.dynamics.virtual_time import Timing, delay_of
from dyadnet.network.topology import BlockSlice, Link, Topology
from dyadnet.program import tables as c
from dyadnet.timing.clocks import Periodic

Array = NDArray[Any]
Key = tuple[str, ...]
"""Names a place: what it is for, and of which block or of which link (post, pre)."""

ALIGNMENT = 16
"""Numbers to which offsets in an arena are rounded up."""
PAGE = 4096
DEPTH, DEPTH_OF_CHANGES = 8, 32
"""Updates of a block that others may still read in real time; where some messages are of changes only."""


def whole(numbers: int) -> int:
    """Rounded up to `ALIGNMENT`."""
    return -(-numbers // ALIGNMENT) * ALIGNMENT


@dataclass
class Room:
    """Hands out places in an array that is made once it is known how long it has to be."""

    size: int = 0

    def take(self, numbers: int) -> int:
        """Offset of the next so many numbers."""
        offset = self.size
        self.size += whole(numbers)
        return offset


@dataclass(frozen=True)
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
    def hosts(self) -> int:
        """How many there are."""
        return max(self.homes.values()) + 1

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


class SegmentMemory(Protocol):
    """The segments of a network's hosts, as one of them has them."""

    def arena(self, lane: int, hosts: list[int], private: int) -> Array:
        """Bytes in a row: a lane's regions of some hosts, and as many of this process's own as asked for."""

    def words(self, lane: int) -> Array:
        """Address of the word by which each host tells how far a lane has come; then that of what has been carried."""

    def boards(self, lane: int) -> Array:
        """Address of what each host tells of a lane at check ticks."""

    def writing(self, lane: int) -> Array:
        """Address of the number of the update that each host is about to write, in real time."""

    def limits(self) -> Array:
        """Address of the word with which each host loses what it tells this one, on purpose; then of one that is 0."""


class Geometry:
    """Sizes of what is sent, which follow from settings and network alone.

    Parameters
    ----------
    config, topology, timing
        The run.
    rows
        Samples in a lane, at most.

    Attributes
    ----------
    free
        Whether blocks update in real time.
    """

    def __init__(self, config: RunConfig, topology: Topology, timing: Timing, rows: int) -> None:
        self.config, self.topology, self.timing, self.rows = config, topology, timing, rows
        # Where compartments take turns, what was held at a tick is read once more after it.
        self._kept = int(config.dynamics.phases == "in-turn")
        self.itemsize = np.dtype(config.dynamics.dtype).itemsize
        self.free = isinstance(config.dynamics.mode, FreeRunning)
        self.afferent: dict[str, list[Link]] = {name: [] for name in topology.blocks}
        self.efferent: dict[str, list[Link]] = {name: [] for name in topology.blocks}
        for link in topology.links:
            self.afferent[link.post.name].append(link)
            self.efferent[link.pre.name].append(link)

    def largest_delay(self, name: str) -> int:
        """Of any channel of a block, in ticks."""
        links = [*self.afferent[name], *self.efferent[name]]
        return max((delay_of(self.config.dynamics, link.projection).largest for link in links), default=1)

    def period(self, name: str) -> int:
        """Ticks between two firings, at least."""
        clock = self.timing.clocks[name]
        return clock.period if isinstance(clock, Periodic) else 1

    def depth(self, name: str) -> int:
        """Firings whose messages somebody may still read: the newest, and those within the largest delay."""
        if self.free:
            links = [*self.afferent[name], *self.efferent[name]]
            changes = [self.config.imperfections.channel_of(link.projection.name).send_on_delta for link in links]
            return DEPTH if all(change.ideal() for change in changes) else DEPTH_OF_CHANGES
        return power(1 + -(-(self.largest_delay(name) + self._kept) // self.period(name)))

    def slack(self, name: str) -> int:
        """Ticks by which readers elsewhere may be behind a block that writes over its oldest message."""
        return (self.depth(name) - 1) * self.period(name) - self.largest_delay(name) - self._kept + 1

    def slot(self, width: int) -> int:
        """Numbers of (m, d) of so many neurons in every row, with their padding."""
        return whole(2 * self.rows * width)

    def meta(self, name: str) -> int:
        """Numbers of the arena that what is written down of a ring's states takes."""
        return whole(self.depth(name) * 8 * c.M_WIDTH // self.itemsize)

    def coarse(self, link: Link) -> bool:
        """Whether a link's messages are sent coarser than they are computed."""
        return bool(self.config.imperfections.channel_of(link.projection.name).coarse)

    def reads(self, spec: BlockSlice) -> bool:
        """Whether reading a block's synapses is noisy."""
        return not self.config.imperfections.device_of(spec.name).read_noise.ideal()


@dataclass
class Region:
    """The layout of one lane's part of a host's segment.

    Attributes
    ----------
    places
        Offsets, in numbers.
    size
        Numbers, whole pages.
    """

    places: dict[Key, int] = field(default_factory=dict)
    size: int = 0

    @classmethod
    def of(cls, geometry: Geometry, home: Home, host: int) -> Region:
        """What others read of a host."""
        room, places = Room(), dict[Key, int]()

        def put(numbers: int, *key: str) -> None:
            places[key] = room.take(numbers)

        for name in geometry.topology.blocks:
            if home.homes[name] != host:
                continue
            up = [link for link in geometry.efferent[name] if home.homes[link.post.name] != host]
            down = [link for link in geometry.afferent[name] if home.homes[link.pre.name] != host]
            spec, depth = geometry.topology.blocks[name], geometry.depth(name)
            if up or down:
                put(geometry.meta(name), "meta", name)
            if up:
                put(depth * geometry.slot(spec.size), "ring", name)
                put(2 * whole(spec.size), "vector", name)
            for link in up:
                if geometry.coarse(link):
                    put(depth * geometry.slot(spec.size), "state", link.post.name, name)
            for link in down:
                slot = geometry.slot(link.pre.size)
                own = geometry.coarse(link) or geometry.reads(spec)
                put((1 if own else depth) * slot, "cache", name, link.pre.name)
                put(2 * whole(link.pre.size), "response", name, link.pre.name)
                if own:
                    put(depth * slot, "feedback", name, link.pre.name)
        page = PAGE // geometry.itemsize
        return cls(places, -(-room.size // page) * page)


def power(number: int) -> int:
    """The smallest power of two that is at least this and at least two."""
    return max(2, 1 << (number - 1).bit_length())
