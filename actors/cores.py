"""Which core of its machine each actor stays on, where actors are pinned.

Where more actors than cores wake each other every millisecond, a scheduler moves them about, and every move leaves a
cache behind. Blocks that follow each other share a core: they seldom have something to do at the same time.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from actors.placement import partition


def assigned(nodes: Sequence[str], loads: Sequence[float], available: Mapping[str, Sequence[int]]) -> list[int]:
    """The core of every actor: on each machine neighbours together, the cores as evenly loaded as can be.

    Parameters
    ----------
    nodes, loads
        Of each actor: its machine, and what its blocks cost.
    available
        Cores of each machine.
    """
    found = [0] * len(nodes)
    for node, cores in available.items():
        here = [index for index, where in enumerate(nodes) if where == node]
        parts = partition([loads[index] for index in here], min(len(cores), len(here)))
        for index, part in zip(here, parts, strict=True):
            found[index] = cores[part]
    return found


def usable() -> list[int]:
    """Those that this process may use; none where the system does not say."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def pin(core: int) -> None:
    """Keep this process, with all its threads, on one core."""
    for thread in Path("/proc/self/task").iterdir():
        # One that has ended meanwhile needs no core.
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread.name), {core})
