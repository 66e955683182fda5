"""Line plots of a study: metrics over one axis, or over each of several axes, drawn from its table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from dyadnet.reporting.plots import literal, panels, spared
from dyadnet.study.axes import Axis
from dyadnet.study.columns import MEASURES
from dyadnet.study.definition import Study
from dyadnet.study.intervals import NAMES, Interval
from dyadnet.study.maps import GUESSING, dress_scale, percent, position, reference, save, unit
from dyadnet.study.table import Row, cell

COLOURS = {"hm": "#c1542b", "ffm": "#2a7f62", "sshm": "#1f6fb4", "asymmetric": "#8a5aa8", "": "#333333"}
CLOSE = 0.5
"""If all accuracies are above this, the y axis need not include the level of guessing."""
BAND = 0.16
"""Opacity of a band."""
SHORT = {"t95": "95 % confidence", "se": "standard error", "sd": "standard deviation"}
MARKERS = {"hm": "s", "ffm": "o", "sshm": "^", "asymmetric": "D", "": "o"}


@spared
def line_plots(study: Study, rows: Sequence[Row], metrics: Sequence[str], path: Path) -> None:
    """Draw metrics over each axis, one colour per model.

    A grid axis shows the mean over all trials of each value, with the study's interval as a band. A random axis shows
    one dot per trial. Dashed lines show the base alone, dotted lines guessing, and crosses at the bottom trials that
    did not end well. Columns are variants and axes; if there is only one column, metrics are arranged two in a row.
    """
    columns = [(variant, axis) for variant in study.variant_names for axis in study.axes]
    paired = len(columns) == 1 and len(metrics) > 1
    wide, high = (2, -(-len(metrics) // 2)) if paired else (len(columns), len(metrics))
    figure, grid = panels(high, wide, (3.6 * wide + 0.4, 2.5 * high + 0.6), sharey=False if paired else "row")
    for unused in grid.flat[len(metrics) * len(columns) :]:
        unused.set_axis_off()
    for row, metric in enumerate(metrics):
        for column, (variant, axis) in enumerate(columns):
            axes = grid.flat[row * len(columns) + column]
            panel(axes, study, rows, metric, variant, axis)
            if column:
                axes.set_ylabel("")
            if not paired and row < high - 1:
                axes.set_xlabel("")
            if row == 0 and variant:
                axes.set_title(literal(study.variants[variant].title or variant), fontsize=9)
    legend(grid[0, 0], study, rows)
    figure.suptitle(literal(study.title or study.name), fontsize=11)
    save(figure, path)


def panel(axes: Axes, study: Study, rows: Sequence[Row], metric: str, variant: str, axis: Axis) -> None:
    """Draw one metric over one axis for all models, on the given matplotlib axes."""
    for number, model in enumerate(study.model_names):
        chosen = [r for r in rows if r["in_plan"] and (r["variant"], r["model"]) == (variant, model)]
        _curve(axes, chosen, metric, axis, model, study.interval)
        _crosses(axes, chosen, axis, model, height=0.02 + 0.045 * number)
        level = reference(rows, metric, model)
        if level is not None:
            axes.axhline(percent(metric, level), color=COLOURS[model], lw=0.9, ls="--", alpha=0.7, zorder=1)
    _dress(axes, rows, metric, axis)
    axes.set_ylabel(MEASURES[metric].label + unit(metric), fontsize=9)
    axes.set_xlabel(literal(axis.title), fontsize=9)


def _curve(axes: Axes, rows: Sequence[Row], metric: str, axis: Axis, model: str, interval: Interval) -> None:
    place = position(axis)
    colour, marker = COLOURS[model], MARKERS[model]
    if axis.grid is None:
        ended = [row for row in rows if row["status"] == "ok" and row[metric] is not None]
        x = [place(row[axis.column]) for row in ended]
        axes.scatter(x, [percent(metric, row[metric]) for row in ended], color=colour, marker=marker, s=12, alpha=0.7)
        return
    points: list[tuple[float, float, float]] = []
    for value in axis.grid:
        found = cell(rows, metric, {axis.column: value}, interval)
        if found.mean is not None:
            points.append((place(value), percent(metric, found.mean), percent(metric, found.margin or 0.0)))
    x = [point[0] for point in points]
    low, high = [p[1] - p[2] for p in points], [p[1] + p[2] for p in points]
    if MEASURES[metric].scale == "fraction" and metric != "gap" and not MEASURES[metric].signed:
        low, high = [max(value, 0.0) for value in low], [min(value, 100.0) for value in high]
    axes.plot(x, [point[1] for point in points], color=colour, marker=marker, ms=4, lw=1.4, zorder=3)
    axes.fill_between(x, low, high, color=colour, alpha=BAND, lw=0, zorder=2)


def _dress(axes: Axes, rows: Sequence[Row], metric: str, axis: Axis) -> None:
    dress_scale(axes, axis, "x")
    axes.tick_params(which="both", labelsize=7.5)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="y", color="#eeeeee", lw=0.8)
    axes.set_axisbelow(True)
    values = [row[metric] for row in rows if row[metric] is not None]
    if MEASURES[metric].scale == "count" and not MEASURES[metric].signed:
        axes.set_yscale("log" if all(value > 0 for value in values) else "symlog")
    if metric in GUESSING and values:
        axes.axhline(percent(metric, rows[0]["chance"]), color="#888888", lw=0.9, ls=":", zorder=1)
        # If all values are far above guessing, a full axis would hide their differences.
        axes.set_ylim(10 * math.floor(10 * min(values)) - 5 if min(values) > CLOSE else 0, 101)


def _crosses(axes: Axes, rows: Sequence[Row], axis: Axis, model: str, height: float) -> None:
    """Draw a cross near the bottom for every trial that did not end well."""
    place = position(axis)
    bad = [place(row[axis.column]) for row in rows if row["status"] != "ok"]
    floor = axes.get_xaxis_transform()
    axes.scatter(bad, [height] * len(bad), transform=floor, marker="x", color=COLOURS[model], s=22, lw=1.3, zorder=4)


def legend(axes: Axes, study: Study, rows: Sequence[Row]) -> None:
    """Add a legend of lines, bands and crosses to the given axes."""
    entries: list[Artist] = [
        Line2D([], [], color=COLOURS[model], marker=MARKERS[model], ms=4, lw=1.4, label=model.upper())
        for model in study.models
    ]
    if study.interval in NAMES and len(study.seeds) > 1:
        entries.append(Patch(color="#666666", alpha=BAND, lw=0, label=f"± {SHORT[study.interval]}"))
    if study.reference:
        entries.append(Line2D([], [], color="#666666", lw=0.9, ls="--", label="base alone"))
    if study.metrics[0] in GUESSING and rows and rows[0]["chance"] is not None:
        label = f"guessing ({100 * rows[0]['chance']:.3g} %)"
        entries.append(Line2D([], [], color="#888888", lw=0.9, ls=":", label=label))
    if any(row["status"] != "ok" for row in rows):
        entries.append(Line2D([], [], color="#666666", marker="x", ls="", label="did not end well"))
    if entries:
        axes.legend(handles=entries, frameon=False, fontsize=7, loc="best")
