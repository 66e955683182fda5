"""Chooses a core for each actor on its machine, if actors are pinned.

If more actors than cores wake each other every millisecond, a scheduler moves them about: it puts two busy actors on
one core, and every move leaves a warm cache behind. Linked blocks fire in turn, and so do their actors' lanes. So the
cores are divided between the two colours of the graph: of two neighbours, one works on one lane while the other works
on another lane.
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
    """Choose a core for every actor: balance the load on each machine, and put neighbours on different cores.

    Parameters
    ----------
    nodes, loads
        Machine of each actor, and cost of its blocks.
    available
        Usable cores of each machine.
    colours
        Colour of each actor's blocks, 0 or 1; None if they have both, or if the graph has no two-colouring.
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
    """Return the actors of each colour, and their part of the cores in proportion to their load."""
    classes = [[index for index in actors if colours[index] == colour] for colour in (0, 1)]
    if len(cores) < 2 or not all(classes) or sum(map(len, classes)) < len(actors):
        return [(list(actors), cores)]
    weight = sum(loads[index] for index in classes[0]) / sum(loads[index] for index in actors)
    first = min(max(round(weight * len(cores)), 1), len(cores) - 1)
    return [(classes[0], cores[:first]), (classes[1], cores[first:])]


def usable() -> list[int]:
    """Return the cores that this process may use; empty if the system does not say."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def pin(core: int) -> None:
    """Pin this process, with all its threads, to one core."""
    for thread in Path("/proc/self/task").iterdir():
        # A thread that has ended meanwhile needs no core.
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread.name), {core})
