"""What is kept of each part of the data, each block and each channel: plain numbers that reports add to."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dyadnet.metrics.catalogue import SWEEPS
from dyadnet.relaxation import BlockReport, Outcome
from dyadnet.topology import Topology

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
        self.samples += outcome.reports[0].samples
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

    def look(self, reports: list[BlockReport]) -> None:
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

    def grouped(self, outcome: Outcome) -> dict[str, list[BlockReport]]:
        """Reports by what their blocks are shown as."""
        groups: dict[str, list[BlockReport]] = {}
        for report in outcome.reports:
            groups.setdefault(self.block(report.block), []).append(report)
        return groups


Edges = dict[tuple[str, str], Counter[str]]
"""Counts by (edge, kind)."""


def count_edges(edges: Edges, names: Names, outcome: Outcome, itemsize: int) -> None:
    """Add up what went over each channel in a relaxation."""
    for report in outcome.reports:
        for edge in report.edges:
            counts: Mapping[str, int] = edge.counts
            sums = edges.setdefault((names.edge(edge.source, edge.target), edge.kind), Counter())
            sums.update(counts)
            sums["bytes"] += counts.get("values", 0) * itemsize


def cosine(outcome: Outcome) -> float | None:
    """Of the latest contrast that was compared, over all blocks, to the exact gradient; None before there is one."""
    product = own = exact = 0.0
    for report in outcome.reports:
        if report.agreement is None:
            return None
        product, own, exact = product + report.agreement[0], own + report.agreement[1], exact + report.agreement[2]
    return product / math.sqrt(own * exact) if own and exact else None


def _norm(norms: list[float | None]) -> float | None:
    known = [norm for norm in norms if norm is not None]
    return math.sqrt(sum(norm * norm for norm in known)) if known else None


def _finite(value: Any) -> Any:
    """JSON knows no NaN and no infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
