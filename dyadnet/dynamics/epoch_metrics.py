"""Metrics of an epoch or an evaluation, summed over its relaxations in order."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from dyadnet.dynamics.block_metrics import RECORDED, reduced
from dyadnet.dynamics.outcome import Layout, Outcome, Reports, counted
from dyadnet.numerics.scores import Scale


class EpochMetrics:
    """Adds up the outcomes of relaxations. `summary` returns the values for the scientific record.

    Parameters
    ----------
    layout
        Layout of the reports of all blocks.
    scale
        Scale by which errors are measured, if targets are numbers; None if they are classes.
    """

    def __init__(self, layout: Layout, scale: Scale | None = None) -> None:
        self.layout = layout
        self.scale = scale
        self.samples = 0
        self.relaxations = 0
        self._loss = 0.0
        self._correct = 0
        self._squared = self._absolute = self._psnr = self._ssim = 0.0
        self._sweeps = 0.0
        self._most_sweeps = 0.0
        self._ticks = 0
        self._phases = 0
        self._capped = 0
        blocks = len(layout.blocks)
        self._sums = np.zeros((blocks, len(_SUMS)))
        self._largest = np.zeros((blocks, len(_LARGEST)))
        self._cells = np.zeros(blocks)
        # Sums of users' metrics. A maximum starts as NaN.
        self._samples = np.zeros(blocks)
        begun = [math.nan if metric.reduction == "max" else 0.0 for metric in layout.own]
        self._own = np.tile(begun, (blocks, 1))
        self._counts = np.zeros((len(layout.channels), len(layout.counted)), dtype=np.int64)
        self._last: Outcome | None = None

    @property
    def loss(self) -> float:
        """Mean loss per sample."""
        return self._loss / self.samples if self.samples else math.nan

    @property
    def accuracy(self) -> float:
        """Fraction of correct predictions; NaN if targets are numbers."""
        return self._correct / self.samples if self.samples and self.scale is None else math.nan

    @property
    def scores(self) -> dict[str, float]:
        """Scores by name: accuracy of classes; R², mean absolute and squared error of numbers; PSNR, SSIM of images."""
        if self.scale is None:
            return {"accuracy": self.accuracy}
        return self.scale.scores(self.samples, self._squared, self._absolute, self._psnr, self._ssim)

    @property
    def last_sweeps(self) -> float:
        """Number of sweeps of the latest relaxation."""
        return self._last.sweeps if self._last is not None else 0.0

    def add(self, outcome: Outcome) -> None:
        """Add the outcome of one relaxation."""
        self._last = outcome
        self.relaxations += 1
        self._sweeps += outcome.sweeps
        self._most_sweeps = max(self._most_sweeps, outcome.sweeps)
        self._ticks += outcome.ticks
        self._phases += outcome.phases
        self._capped += outcome.capped
        reports = outcome.reports
        for found in reports.predictions:
            self.samples += found.samples
            self._loss += found.loss
            self._correct += found.correct
            self._squared += found.squared
            self._absolute += found.absolute
            self._psnr += found.psnr
            self._ssim += found.ssim
        self._sums += reports.columns(_SUMS)
        self._cells += reports.column("samples") * reports.column("neurons")
        # NaN must not become the maximum.
        np.fmax(self._largest, reports.columns(_LARGEST), out=self._largest)
        if self.layout.own:
            self._add_own(reports)
        self._counts += reports.counts

    def _add_own(self, reports: Reports) -> None:
        self._samples += reports.column("samples")
        for index, metric in enumerate(self.layout.own):
            found, kept = reports.of_own[:, index], self._own[:, index]
            if metric.reduction == "max":
                np.fmax(kept, found, out=kept)
            elif metric.reduction == "last":
                kept[:] = found
            else:
                kept += found

    def plain(self) -> dict[str, Any]:
        """Return all sums, as plain values."""
        sums = {name: getattr(self, name) for name in _PLAIN}
        counts = counted(self.layout.channels, self._counts, self.layout.counted).values()
        edges = [[*channel, row] for channel, row in zip(self.layout.channels, counts, strict=True)]
        found = sums | {"blocks": self._blocks(), "edges": edges}
        if not self.layout.own:
            return found
        names = ("samples", *(metric.name for metric in self.layout.own))
        rows = np.column_stack([self._samples, self._own]).tolist()
        own = [dict(zip(names, row, strict=True)) for row in rows]
        return found | {"own": dict(zip(self.layout.blocks, own, strict=True))}

    @classmethod
    def from_plain(cls, layout: Layout, values: Mapping[str, Any], scale: Scale | None = None) -> EpochMetrics:
        """Restore the sums from plain values. The latest relaxation is not restored."""
        tally = cls(layout, scale)
        for name in _PLAIN:
            # Checkpoints of older versions lack errors or image scores. These are 0 for the targets of that time.
            setattr(tally, name, values.get(name, 0.0) if name in _ERRORS else values[name])
        for row, name in enumerate(layout.blocks):
            sums = values["blocks"][name]
            tally._sums[row] = [sums[column] for column in _SUMS]
            tally._largest[row] = [sums[column] for column in _LARGEST]
            tally._cells[row] = sums["cells"]
            if layout.own:
                # If a metric was not measured from the beginning of the epoch, its value for the epoch is unknown.
                own = values.get("own", {}).get(name, {})
                tally._samples[row] = own.get("samples", math.nan)
                tally._own[row] = [own.get(metric.name, math.nan) for metric in layout.own]
        of_channel = {tuple(channel): counts for *channel, counts in values["edges"]}
        for row, counts in enumerate(of_channel[channel] for channel in layout.channels):
            tally._counts[row] = [counts[column] for column in layout.counted]
        return tally

    def summary(self) -> dict[str, Any]:
        """Return means over samples, sums of counts, and largest residuals."""
        return {
            "loss": self.loss,
            **self.scores,
            "samples": self.samples,
            "sweeps": self._sweeps / self.relaxations,
            "most_sweeps": self._most_sweeps,
            "ticks": self._ticks / self.relaxations,
            "phases": self._phases,
            "capped": self._capped,
            "blocks": self._summaries(),
            "edges": counted(self.layout.channels, self._counts, self.layout.counted),
        }

    def _summaries(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for row, (name, sums) in enumerate(self._blocks().items()):
            found[name] = {column.recorded: reduced(column, sums[column.name], sums["cells"]) for column in RECORDED}
            for metric, value in zip(self.layout.own, self._own[row].tolist(), strict=True):
                mean = metric.reduction == "mean"
                found[name][metric.name] = value / float(self._samples[row]) if mean else value
        return found

    def latest(self) -> dict[str, Any]:
        """Return the summary of the latest relaxation alone, without edges."""
        assert self._last is not None
        alone = EpochMetrics(self.layout, self.scale)
        alone.add(self._last)
        return {key: value for key, value in alone.summary().items() if key != "edges"}

    def _blocks(self) -> dict[str, dict[str, float]]:
        rows = np.column_stack([self._sums, self._largest, self._cells]).tolist()
        names = (*_SUMS, *_LARGEST, "cells")
        return {name: dict(zip(names, row, strict=True)) for name, row in zip(self.layout.blocks, rows, strict=True)}


_SUMS = tuple(column.name for column in RECORDED if column.over != "max")
_LARGEST = tuple(column.name for column in RECORDED if column.over == "max")
_ERRORS = ("_squared", "_absolute", "_psnr", "_ssim")
_PLAIN = (
    *("samples", "relaxations", "_loss", "_correct", *_ERRORS),
    *("_sweeps", "_most_sweeps", "_ticks", "_phases", "_capped"),
)
