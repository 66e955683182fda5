"""Sums over the relaxations of an epoch or an evaluation, in their order."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from dyadnet.relaxation import EdgeReport, Outcome, added


class Tally:
    """Adds up outcomes; `summary` is what goes into the scientific record."""

    def __init__(self) -> None:
        self.samples = 0
        self.relaxations = 0
        self._loss = 0.0
        self._correct = 0
        self._sweeps = 0.0
        self._most_sweeps = 0.0
        self._ticks = 0
        self._phases = 0
        self._capped = 0
        self._blocks: dict[str, dict[str, float]] = {}
        self._edges: tuple[EdgeReport, ...] = ()
        self._last: Outcome | None = None

    @property
    def loss(self) -> float:
        """Mean loss a sample."""
        return self._loss / self.samples if self.samples else math.nan

    @property
    def accuracy(self) -> float:
        """Fraction of correct predictions."""
        return self._correct / self.samples if self.samples else math.nan

    @property
    def last_sweeps(self) -> float:
        """Sweeps of the latest relaxation."""
        return self._last.sweeps if self._last is not None else 0.0

    def add(self, outcome: Outcome) -> None:
        """Count one relaxation."""
        self._last = outcome
        self.relaxations += 1
        self._sweeps += outcome.sweeps
        self._most_sweeps = max(self._most_sweeps, outcome.sweeps)
        self._ticks += outcome.ticks
        self._phases += outcome.phases
        self._capped += outcome.capped
        self._edges = added((*self._edges, *(edge for report in outcome.reports for edge in report.edges)))
        for report in outcome.reports:
            if report.loss is not None and report.correct is not None:
                self.samples += report.samples
                self._loss += report.loss
                self._correct += report.correct
            sums = self._blocks.setdefault(report.block, dict.fromkeys(_SUMS, 0.0) | dict.fromkeys(_LARGEST, 0.0))
            for name in _SUMS:
                sums[name] += getattr(report, name)
            sums["cells"] = sums.get("cells", 0.0) + report.samples * report.neurons
            for name in _LARGEST:
                sums[name] = max(sums[name], getattr(report, name))

    def plain(self) -> dict[str, Any]:
        """All sums, as plain values."""
        edges = [[edge.source, edge.target, edge.kind, dict(edge.counts)] for edge in self._edges]
        sums = {name: getattr(self, name) for name in _PLAIN}
        return sums | {"blocks": {name: dict(block) for name, block in self._blocks.items()}, "edges": edges}

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> Tally:
        """From plain values; the latest relaxation is not among them."""
        tally = cls()
        for name in _PLAIN:
            setattr(tally, name, values[name])
        tally._blocks = {name: dict(sums) for name, sums in values["blocks"].items()}
        tally._edges = tuple(EdgeReport(*edge) for edge in values["edges"])
        return tally

    def summary(self) -> dict[str, Any]:
        """Means over samples, sums of counts, largest residuals."""
        return {
            "loss": self.loss,
            "accuracy": self.accuracy,
            "samples": self.samples,
            "sweeps": self._sweeps / self.relaxations,
            "most_sweeps": self._most_sweeps,
            "ticks": self._ticks / self.relaxations,
            "phases": self._phases,
            "capped": self._capped,
            "blocks": {
                name: {
                    "saturated": sums["saturated"] / sums["cells"],
                    "mean_norm": math.sqrt(sums["mean_square"] / sums["cells"]),
                    "difference_norm": math.sqrt(sums["difference_square"] / sums["cells"]),
                    **{largest: sums[largest] for largest in _LARGEST},
                    **{count: int(sums[count]) for count in ("updates", "messages", "values", "stale")},
                }
                for name, sums in self._blocks.items()
            },
            "edges": {edge.name: dict(edge.counts) for edge in self._edges},
        }

    def latest(self) -> dict[str, Any]:
        """The latest relaxation by itself; edges are left to the epochs."""
        assert self._last is not None
        alone = Tally()
        alone.add(self._last)
        return {key: value for key, value in alone.summary().items() if key != "edges"}


_SUMS = ("saturated", "mean_square", "difference_square", "updates", "messages", "values", "stale")
_LARGEST = ("residual_mean", "residual_difference")
_PLAIN = ("samples", "relaxations", "_loss", "_correct", "_sweeps", "_most_sweeps", "_ticks", "_phases", "_capped")
