"""Which core of its machine each actor stays on, where actors are pinned.

Where more actors than cores wake each other every millisecond, a scheduler moves them about, puts two that have work
on one core, and every move leaves a cache behind. Blocks that are linked fire in turn, and so do their actors' lanes:
cores are shared out between the two colours of the graph, so that of two neighbours one works on one lane and the
other on another.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path


def assigned(
    nodes: Sequence[str],
    loads: Sequence[float],
    available: Mapping[str, Sequence[int]],
    colours: Sequence[int | None] = (),
) -> list[int]:
    """The core of every actor: on each machine as evenly loaded as can be, and neighbours on different ones.

    Parameters
    ----------
    nodes, loads
        Of each actor: its machine, and what its blocks cost.
    available
        Cores of each machine.
    colours
        Of each actor's blocks, 0 or 1; None where they have both, or the graph has none.
    """
    found = [0] * len(nodes)
    for node, cores in available.items():
        here = [index for index, where in enumerate(nodes) if where == node]
        for actors, some in _shared_out(here, loads, cores, colours or [None] * len(nodes)):
            busy = dict.fromkeys(some, 0.0)
            for index in sorted(actors, key=lambda index: -loads[index]):
                core = min(some, key=lambda core: busy[core])
                found[index] = core
                busy[core] += loads[index]
    return found


def _shared_out(
    actors: Sequence[int], loads: Sequence[float], cores: Sequence[int], colours: Sequence[int | None]
) -> list[tuple[list[int], Sequence[int]]]:
    """The actors of each colour, and their part of the cores in proportion to what they cost."""
    classes = [[index for index in actors if colours[index] == colour] for colour in (0, 1)]
    if len(cores) < 2 or not all(classes) or sum(map(len, classes)) < len(actors):
        return [(list(actors), cores)]
    weight = sum(loads[index] for index in classes[0]) / sum(loads[index] for index in actors)
    first = min(max(round(weight * len(cores)), 1), len(cores) - 1)
    return [(classes[0], cores[:first]), (classes[1], cores[first:])]


def usable() -> list[int]:
    """Those that this process may use; none where the system does not say."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def pin(core: int) -> None:
    """Keep this process, with all its threads, on one core."""
    for thread in Path("/proc/self/task").iterdir():
        # One that has ended meanwhile needs no core.
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread.name), {core})
