"""What is kept of each part of the data, each block and each channel: plain numbers that reports add to."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dyadnet.dynamics.outcome import BlockReport, Counts, Layout, Outcome, Reports
from dyadnet.network.topology import Topology
from dyadnet.telemetry.catalogue import SWEEPS

MOST = 256
"""Blocks or edges that are shown one by one; of more, only those of whole layers."""


@dataclass(slots=True)
class OfPart:
    """Counts over every relaxation of one part of the data.

    Attributes
    ----------
    sweeps
        Relaxations by the bounds of `SWEEPS`, the last open.
    total_sweeps
        Sum over relaxations.
    """

    samples: int = 0
    phases: int = 0
    capped: int = 0
    sweeps: list[int] = field(default_factory=lambda: [0] * (len(SWEEPS) + 1))
    total_sweeps: float = 0.0

    def add(self, outcome: Outcome) -> None:
        """Count a relaxation."""
        self.samples += int(outcome.reports.column("samples")[0])
        self.phases += sum(len(lane) for lane in outcome.lanes)
        self.capped += outcome.capped
        self.sweeps[bisect_left(SWEEPS, outcome.sweeps)] += 1
        self.total_sweeps += outcome.sweeps


@dataclass(slots=True)
class OfBlock:
    """One block, or a layer of many: the latest training relaxation, and firings since the run began."""

    layer: str
    residual: float = math.nan
    residual_difference: float = math.nan
    saturated: float = math.nan
    mean_norm: float = math.nan
    difference_norm: float = math.nan
    age: int = 0
    weight_norm: float | None = None
    update_norm: float | None = None
    updates: int = 0

    def look(self, reports: Sequence[BlockReport]) -> None:
        """Take over how a training relaxation ended."""
        cells = sum(report.samples * report.neurons for report in reports)
        self.residual = max(report.residual_mean for report in reports)
        self.residual_difference = max(report.residual_difference for report in reports)
        self.saturated = sum(report.saturated for report in reports) / cells
        self.mean_norm = math.sqrt(sum(report.mean_square for report in reports) / cells)
        self.difference_norm = math.sqrt(sum(report.difference_square for report in reports) / cells)
        self.age = max(report.age for report in reports)
        self.weight_norm = _norm([report.weight_norm for report in reports])
        self.update_norm = _norm([report.update_norm for report in reports])

    def plain(self) -> dict[str, Any]:
        """As the page reads it."""
        return {name: _finite(getattr(self, name)) for name in self.__slots__}


class Names:
    """Which blocks and edges are shown by themselves, and under which name the others are.

    Parameters
    ----------
    topology
        All of them.
    """

    def __init__(self, topology: Topology) -> None:
        self._layers = {name: spec.population.name for name, spec in topology.blocks.items()}
        self.by_block = len(topology.blocks) <= MOST
        self.by_edge = 2 * len(topology.links) <= MOST

    def layer(self, block: str) -> str:
        """The population that a block is of."""
        return self._layers[block]

    def block(self, block: str) -> str:
        """What a block is shown as."""
        return block if self.by_block else self._layers[block]

    def edge(self, source: str, target: str) -> str:
        """What the channel between two blocks is shown as."""
        return f"{source}>{target}" if self.by_edge else f"{self._layers[source]}>{self._layers[target]}"


Edges = dict[tuple[str, str], Counter[str]]
"""Counts by (edge, kind)."""


def blocks(names: Names, layout: Layout, latest: Reports | None, updates: Sequence[int]) -> dict[str, OfBlock]:
    """Every block as it stands, or every layer of many.

    Parameters
    ----------
    latest
        Of the latest training relaxation; None before there was one.
    updates
        Firings of each block since the run began.
    """
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(layout.blocks):
        rows.setdefault(names.block(name), []).append(row)
    found: dict[str, OfBlock] = {}
    for name, members in rows.items():
        block = found[name] = OfBlock(names.layer(layout.blocks[members[0]]))
        block.updates = sum(updates[row] for row in members)
        if latest is not None:
            block.look([latest[row] for row in members])
    return found


def edges(names: Names, layout: Layout, counts: Counts, itemsize: int) -> Edges:
    """What has gone over each channel since the run began, or over those between layers with many."""
    found: Edges = {}
    for (source, target, kind), row in zip(layout.channels, counts.tolist(), strict=True):
        sums = found.setdefault((names.edge(source, target), kind), Counter())
        sums.update(dict(zip(layout.counted, row, strict=True)))
    for sums in found.values():
        sums["bytes"] = sums["values"] * itemsize
    return found


def cosine(outcome: Outcome) -> float | None:
    """Of the latest contrast that was compared, over all blocks, to the exact gradient; None before there is one."""
    if outcome.reports.agreement is None:
        return None
    product, own, exact = outcome.reports.agreement
    return product / math.sqrt(own * exact) if own and exact else None


def _norm(norms: list[float | None]) -> float | None:
    known = [norm for norm in norms if norm is not None]
    return math.sqrt(sum(norm * norm for norm in known)) if known else None


def _finite(value: Any) -> Any:
    """JSON knows no NaN and no infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
