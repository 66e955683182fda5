"""Plain numbers that a snapshot keeps for each part of the data, each block and each channel."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dyadnet.dynamics.block_metrics import SHOWN, BlockMetric, of_blocks, own_of_blocks
from dyadnet.dynamics.outcome import BlockReport, Counts, Layout, Outcome, Reports
from dyadnet.network.topology import Topology
from dyadnet.telemetry.catalogue import SWEEPS

MOST = 256
"""Largest number of blocks or edges that are shown individually; more are aggregated by layer."""


@dataclass(slots=True)
class OfPart:
    """Counts over all relaxations of one part of the data.

    Attributes
    ----------
    sweeps
        Histogram: number of relaxations in each bin of `SWEEPS`; the last bin is open.
    total_sweeps
        Sum of sweeps over relaxations.
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


_UNKNOWN: dict[str, float | None] = {
    column.shown: None if column.perhaps else 0 if column.whole else math.nan for column in SHOWN
}


@dataclass(slots=True)
class OfBlock:
    """Values of one block, or of a layer of many: the latest training relaxation, and firings since the run began.

    Attributes
    ----------
    shown
        Built-in metrics, by `Column.shown`; NaN or None if unknown.
    own
        User-defined metrics, by name.
    """

    layer: str
    shown: dict[str, float | None] = field(default_factory=lambda: dict(_UNKNOWN))
    updates: int = 0
    own: dict[str, float] = field(default_factory=dict)

    def look(self, reports: Sequence[BlockReport], own: Sequence[BlockMetric]) -> None:
        """Store the reports of a training relaxation."""
        samples, neurons = reports[0].samples, [report.neurons for report in reports]
        cells = samples * sum(neurons)
        for column in SHOWN:
            self.shown[column.shown] = of_blocks(column, [getattr(report, column.name) for report in reports], cells)
        for index, metric in enumerate(own):
            values = [report.own[index] for report in reports]
            self.own[metric.name] = own_of_blocks(metric, values, samples, neurons)

    def plain(self) -> dict[str, Any]:
        """Return the values as the live page reads them."""
        shown = {name: _finite(value) for name, value in self.shown.items()}
        own = {name: _finite(value) for name, value in self.own.items()}
        return {"layer": self.layer, **shown, "updates": self.updates, "own": own}


class Names:
    """Display names of blocks and edges: their own, or those of their layers if there are too many.

    Parameters
    ----------
    topology
        Defines all blocks and edges.
    """

    def __init__(self, topology: Topology) -> None:
        self._layers = {name: spec.population.name for name, spec in topology.blocks.items()}
        self.by_block = len(topology.blocks) <= MOST
        self.by_edge = 2 * len(topology.links) <= MOST

    def layer(self, block: str) -> str:
        """Return the population of a block."""
        return self._layers[block]

    def block(self, block: str) -> str:
        """Return the display name of a block."""
        return block if self.by_block else self._layers[block]

    def edge(self, source: str, target: str) -> str:
        """Return the display name of the edge between two blocks."""
        return f"{source}>{target}" if self.by_edge else f"{self._layers[source]}>{self._layers[target]}"


Edges = dict[tuple[str, str], Counter[str]]
"""Counts by (edge, kind)."""


def blocks(names: Names, layout: Layout, latest: Reports | None, updates: Sequence[int]) -> dict[str, OfBlock]:
    """Return the current values of every block, or of every layer if there are too many blocks.

    Parameters
    ----------
    latest
        Reports of the latest training relaxation; None before the first one.
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
            block.look([latest[row] for row in members], layout.own)
    return found


def edges(names: Names, layout: Layout, counts: Counts, itemsize: int) -> Edges:
    """Return the counts of each channel since the run began, or those between layers if there are too many."""
    found: Edges = {}
    for (source, target, kind), row in zip(layout.channels, counts.tolist(), strict=True):
        sums = found.setdefault((names.edge(source, target), kind), Counter())
        sums.update(dict(zip(layout.counted, row, strict=True)))
    for sums in found.values():
        sums["bytes"] = sums["values"] * itemsize
    return found


def cosine(outcome: Outcome) -> float | None:
    """Return the cosine of the latest compared contrast to the exact gradient, over all blocks; None if unknown."""
    if outcome.reports.agreement is None:
        return None
    product, own, exact = outcome.reports.agreement
    return product / math.sqrt(own * exact) if own and exact else None


def _finite(value: Any) -> Any:
    """Replace NaN and infinity by None, because JSON has neither."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
