"""The layout of shared memory between the processes of a network; each segment has one writer, its host.

Each host of blocks has a segment. It has a region for each lane, with the rings of what the host's blocks send to
blocks on other hosts. The layout follows from the network, the settings and the hosts of all blocks, so that every host
knows the layout of every other. Nothing that is read from another host is ever used as an index or a length.
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
"""Key of an entry: its purpose, then its block or its link (post, pre)."""

ALIGNMENT = 16
"""Offsets in an arena are rounded up to a multiple of this many numbers."""
PAGE = 4096
DEPTH, DEPTH_OF_CHANGES = 8, 32
"""Depth of a ring in real time, in updates; the second applies if some messages contain changes only."""


def whole(numbers: int) -> int:
    """Round up to a multiple of `ALIGNMENT`."""
    return -(-numbers // ALIGNMENT) * ALIGNMENT


@dataclass
class Room:
    """Allocates places in an array that is created later, when its length is known."""

    size: int = 0

    def take(self, numbers: int) -> int:
        """Reserve room for `numbers` numbers, and return its offset."""
        offset = self.size
        self.size += whole(numbers)
        return offset


@dataclass(frozen=True)
class Home:
    """The place of a host in its network.

    Attributes
    ----------
    index
        Index of this host.
    homes
        Host of every block, in block order.
    incarnation
        Number of the network's incarnation; messages from another one are dropped.
    """

    index: int
    homes: Mapping[str, int]
    incarnation: int = 0

    @property
    def hosts(self) -> int:
        """The number of hosts."""
        return max(self.homes.values()) + 1

    @property
    def blocks(self) -> list[str]:
        """Blocks of this host, in block order."""
        return [name for name, host in self.homes.items() if host == self.index]

    def label(self, host: int) -> str:
        """Return a name for a host that a user recognises: its blocks."""
        return "+".join(name for name, home in self.homes.items() if home == host)


def by_host(homes: Mapping[str, int]) -> list[list[str]]:
    """Return the blocks of every host, by index, in block order."""
    return [[name for name, host in homes.items() if host == index] for index in range(max(homes.values()) + 1)]


class SegmentMemory(Protocol):
    """The segments of a network's hosts, as one of the hosts sees them."""

    def arena(self, lane: int, hosts: list[int], private: int) -> Array:
        """Return contiguous bytes: a lane's regions of some hosts, then `private` bytes of this process's own."""

    def words(self, lane: int) -> Array:
        """Addresses of each host's word, which tells its progress in a lane; then of the word of the carriers."""

    def boards(self, lane: int) -> Array:
        """Addresses of each host's report on a lane at check ticks."""

    def writing(self, lane: int) -> Array:
        """Addresses of the number of the update that each host is about to write, in real time."""

    def limits(self) -> Array:
        """Addresses of words that limit on purpose what this process hears of each host; then of a word that is 0."""


class Geometry:
    """Sizes of what is sent, which follow from settings and network alone.

    Parameters
    ----------
    config, topology, timing
        The run.
    rows
        Largest number of samples in a lane.

    Attributes
    ----------
    free
        Whether blocks update in real time.
    """

    def __init__(self, config: RunConfig, topology: Topology, timing: Timing, rows: int) -> None:
        self.config, self.topology, self.timing, self.rows = config, topology, timing, rows
        # If compartments take turns, what was held at a tick is read once more after it.
        self._kept = int(config.dynamics.phases == "in-turn")
        self.itemsize = np.dtype(config.dynamics.dtype).itemsize
        self.free = isinstance(config.dynamics.mode, FreeRunning)
        self.afferent: dict[str, list[Link]] = {name: [] for name in topology.blocks}
        self.efferent: dict[str, list[Link]] = {name: [] for name in topology.blocks}
        for link in topology.links:
            self.afferent[link.post.name].append(link)
            self.efferent[link.pre.name].append(link)

    def largest_delay(self, name: str) -> int:
        """Return the largest delay of any channel of a block, in ticks."""
        links = [*self.afferent[name], *self.efferent[name]]
        return max((delay_of(self.config.dynamics, link.projection).largest for link in links), default=1)

    def period(self, name: str) -> int:
        """Return the smallest number of ticks between two firings."""
        clock = self.timing.clocks[name]
        return clock.period if isinstance(clock, Periodic) else 1

    def depth(self, name: str) -> int:
        """Return the depth of a ring: it keeps the newest firing and those within the largest delay."""
        if self.free:
            links = [*self.afferent[name], *self.efferent[name]]
            changes = [self.config.imperfections.channel_of(link.projection.name).send_on_delta for link in links]
            return DEPTH if all(change.ideal() for change in changes) else DEPTH_OF_CHANGES
        return power(1 + -(-(self.largest_delay(name) + self._kept) // self.period(name)))

    def slack(self, name: str) -> int:
        """Return how many ticks readers on other hosts may lag behind a block that overwrites its oldest message."""
        return (self.depth(name) - 1) * self.period(name) - self.largest_delay(name) - self._kept + 1

    def slot(self, width: int) -> int:
        """Return the size of (m, d) of `width` neurons for all rows, with padding, in numbers."""
        return whole(2 * self.rows * width)

    def meta(self, name: str) -> int:
        """Return the size of the metadata of a ring, in numbers of the arena."""
        return whole(self.depth(name) * 8 * c.M_WIDTH // self.itemsize)

    def coarse(self, link: Link) -> bool:
        """Whether a link's messages are sent with less precision than they are computed."""
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
        Size in numbers; a whole number of pages.
    """

    places: dict[Key, int] = field(default_factory=dict)
    size: int = 0

    @classmethod
    def of(cls, geometry: Geometry, home: Home, host: int) -> Region:
        """Return the layout of what other hosts read of a host."""
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
    """Return the smallest power of two that is at least `number` and at least two."""
    return max(2, 1 << (number - 1).bit_length())
