"""Exchanges vectors between hosts in a power iteration; see `dyadnet.dynamics.spectral_radius`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.engines.group import Group
from dyadnet.program import tables as c
from dyadnet.program.sync.crossing import whole
from dyadnet_actors.hosts.carrier import Carrier, vector_keys
from dyadnet_actors.hosts.shared_memory import Segments

Array = NDArray[Any]
Copy = tuple[int, int, int]
"""A part's offset in a lane's arena, its offset in a vector of all neurons or all links, and its length."""


class Paths:
    """Lists the parts of a vector that a host sends to others, and the parts that it takes from them.

    Parameters
    ----------
    group
        Group of the host.

    Attributes
    ----------
    told, taken
        Parts of √F times the vector that are sent and taken.
    fed, heard
        Parts of the feedback that are sent and taken.
    """

    def __init__(self, group: Group) -> None:
        arena, homes, own = group.arena, group.home.homes, len(group.blocks)
        self.told: list[Copy] = []
        self.taken: list[Copy] = []
        self.fed: list[Copy] = []
        self.heard: list[Copy] = []
        for number, spec in enumerate(arena.specs):
            at = arena.shared_place(homes[spec.name], "vector", spec.name)
            if at is not None:
                (self.told if number < own else self.taken).append((at, int(group.starts[number]), spec.size))
        for number, link in enumerate(arena.links):
            post = link.post.name
            at = arena.shared_place(homes[post], "response", post, link.pre.name)
            if at is not None:
                place = int(arena.actual.links[number, c.L_RESPONSE])
                (self.fed if post in group.blocks else self.heard).append((at, place, link.pre.size))


class Vectors:
    """One power iteration; implements `dyadnet.engines.power_iteration.Exchange`.

    Parameters
    ----------
    group, segments, paths
        Those of the host.
    carrier
        Carrier to hosts that do not share its memory; None if all do.
    number
        Number of the round.
    wait
        Waits until a host's word of the first lane is at least a value.
    """

    def __init__(
        self,
        group: Group,
        segments: Segments,
        paths: Paths,
        carrier: Carrier | None,
        number: int,
        wait: Callable[[int, int], None],
    ) -> None:
        self._group, self._segments, self._paths, self._carrier = group, segments, paths, carrier
        self._number, self._wait = number, wait
        self._home = group.home
        self._X = group.lane(0).memory.X
        self._step = 0
        self._tell(range(self._home.hosts), b"")

    def squares(self, own: list[float]) -> list[float]:
        """See `Exchange`."""
        segments, step, hosts = self._segments, self._step, range(self._home.hosts)
        mine = segments.squares(self._home.index, step)
        mine[:] = own
        self._tell(hosts, mine.tobytes())
        parts = [iter(segments.squares(host, step).tolist()) for host in hosts]
        return [next(parts[host]) for host in self._home.homes.values()]

    def vectors(self, v: Array, feedback: Array) -> None:
        """See `Exchange`."""
        X, paths, parity = self._X, self._paths, self._step & 1
        for copies, vector in ((paths.told, v), (paths.fed, feedback)):
            for at, place, size in copies:
                X[at + parity * whole(size) :][:size] = vector[place : place + size]
        self._tell(self._group.arena.hosts, None)
        for copies, vector in ((paths.taken, v), (paths.heard, feedback)):
            for at, place, size in copies:
                vector[place : place + size] = X[at + parity * whole(size) :][:size]

    def _tell(self, hosts: Any, squares: bytes | None) -> None:
        """Announce the next step and wait until `hosts` have reached it; send vectors unless squares are given."""
        mine, value = self._home.index, (self._number << 32) + self._step
        if self._carrier is not None:
            self._carrier.step(value, self._parts if squares is None else lambda host: [], squares or b"")
        self._segments.tell(mine, 0, value)
        for host in hosts:
            if host != mine:
                self._wait(host, value)
        self._step += 1

    def _parts(self, host: int) -> list[bytes]:
        """Return what a host without shared memory reads of this step, in the order of `vector_keys`."""
        arena, parity, found = self._group.arena, self._step & 1, list[bytes]()
        for key, width in vector_keys(arena.geometry, dict(self._home.homes), self._home.index, host):
            at = arena.shared_place(self._home.index, *key)
            assert at is not None
            found.append(np.ascontiguousarray(self._X[at + parity * whole(width) :][:width]).tobytes())
        return found
