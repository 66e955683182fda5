"""Line plots of a study: metrics over one axis, or over each of several, drawn from its table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from dyadnet.study.axes import Axis
from dyadnet.study.columns import METRICS
from dyadnet.study.definition import Study
from dyadnet.study.maps import GUESSING, dress_scale, percent, position, reference, save, unit
from dyadnet.study.table import Row, cell

COLOURS = {"hm": "#c1542b", "ffm": "#2a7f62", "sshm": "#1f6fb4", "": "#333333"}
MARKERS = {"hm": "s", "ffm": "o", "sshm": "^", "": "o"}


def line_plots(study: Study, rows: Sequence[Row], metrics: Sequence[str], path: Path) -> None:
    """Draw metrics (panels one below the other) over each axis (side by side), one colour a model.

    Grids give means over all trials of a value with the 95 % confidence interval of the mean (Student's t) as a band,
    random axes one dot a trial. Dashed: the base alone; dotted: guessing; a cross on the floor: a trial that did not
    end well. Variants are told apart by panels.
    """
    variants = study.variant_names
    models = study.model_names
    wide, high = len(study.axes) * len(variants), len(metrics)
    figure, panels = plt.subplots(
        high, wide, figsize=(3.5 * wide + 0.5, 2.6 * high + 0.9), squeeze=False, layout="constrained", sharey="row"
    )
    for row, metric in enumerate(metrics):
        for column in range(wide):
            variant, axis = variants[column // len(study.axes)], study.axes[column % len(study.axes)]
            axes = panels[row, column]
            for model in models:
                chosen = [r for r in rows if r["in_plan"] and (r["variant"], r["model"]) == (variant, model)]
                _curve(axes, chosen, metric, axis, model)
                level = reference(rows, metric, model)
                if level is not None:
                    axes.axhline(percent(metric, level), color=COLOURS[model], lw=0.9, ls="--", alpha=0.7, zorder=1)
            _dress(axes, rows, metric, axis)
            if column == 0:
                axes.set_ylabel(METRICS[metric].label + unit(metric))
            if row == high - 1:
                axes.set_xlabel(axis.title)
            if row == 0 and variant:
                axes.set_title(study.variants[variant].title or variant, fontsize=9)
        for column in range(wide):
            _floor(panels[row, column], rows, study, variants[column // len(study.axes)], column % len(study.axes))
    _legend(panels[0, 0], study, models)
    figure.suptitle(study.title or study.name, fontsize=11)
    save(figure, path)


def _curve(axes: Axes, rows: Sequence[Row], metric: str, axis: Axis, model: str) -> None:
    place = position(axis)
    colour, marker = COLOURS[model], MARKERS[model]
    if axis.grid is None:
        ended = [row for row in rows if row["status"] == "ok" and row[metric] is not None]
        x = [place(row[axis.column]) for row in ended]
        axes.scatter(x, [percent(metric, row[metric]) for row in ended], color=colour, marker=marker, s=12, alpha=0.7)
        return
    points: list[tuple[float, float, float]] = []
    for value in axis.grid:
        found = cell(rows, metric, {axis.column: value})
        if found.mean is not None:
            points.append((place(value), percent(metric, found.mean), percent(metric, found.margin or 0.0)))
    x = [point[0] for point in points]
    low, high = [p[1] - p[2] for p in points], [p[1] + p[2] for p in points]
    if METRICS[metric].scale == "fraction" and metric != "gap":
        low, high = [max(value, 0.0) for value in low], [min(value, 100.0) for value in high]
    axes.plot(x, [point[1] for point in points], color=colour, marker=marker, ms=4, lw=1.4, zorder=3)
    axes.fill_between(x, low, high, color=colour, alpha=0.16, lw=0, zorder=2)


def _dress(axes: Axes, rows: Sequence[Row], metric: str, axis: Axis) -> None:
    dress_scale(axes, axis, "x")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="y", color="#eeeeee", lw=0.8)
    axes.set_axisbelow(True)
    if METRICS[metric].scale == "count":
        axes.set_yscale("symlog", linthresh=1)
    if metric in GUESSING and rows:
        axes.axhline(percent(metric, rows[0]["chance"]), color="#888888", lw=0.9, ls=":", zorder=1)
        axes.set_ylim(0, 102)


def _floor(axes: Axes, rows: Sequence[Row], study: Study, variant: str, index: int) -> None:
    """A cross on the floor for every value at which a trial did not end well."""
    axis = study.axes[index]
    place = position(axis)
    for offset, model in enumerate(study.model_names):
        bad: list[Any] = [
            place(row[axis.column])
            for row in rows
            if row["in_plan"] and row["status"] != "ok" and (row["variant"], row["model"]) == (variant, model)
        ]
        height = 0.02 + 0.045 * offset
        axes.scatter(
            bad,
            [height] * len(bad),
            transform=axes.get_xaxis_transform(),
            marker="x",
            color=COLOURS[model],
            s=22,
            lw=1.3,
            zorder=4,
        )


def _legend(axes: Axes, study: Study, models: Sequence[str]) -> None:
    entries = [
        Line2D([], [], color=COLOURS[model], marker=MARKERS[model], ms=4, lw=1.4, label=model.upper())
        for model in models
        if model
    ]
    if study.reference:
        entries.append(Line2D([], [], color="#666666", lw=0.9, ls="--", label="base alone"))
    if study.metrics[0] in GUESSING:
        entries.append(Line2D([], [], color="#888888", lw=0.9, ls=":", label="guessing"))
    entries.append(Line2D([], [], color="#666666", marker="x", ls="", label="diverged"))
    axes.legend(handles=entries, frameon=False, fontsize=7, loc="best")
