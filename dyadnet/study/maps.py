"""Maps of a study with two axes: one panel per model and variant, drawn from its table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from dyadnet.reporting.plots import literal, panels, spared, written
from dyadnet.study.axes import Axis
from dyadnet.study.columns import MEASURES, OF_CLASSES
from dyadnet.study.definition import REFERENCE, Study
from dyadnet.study.summary import behind, shown
from dyadnet.study.table import Cell, Row, cell

GUESSING = tuple(metric for metric in OF_CLASSES if metric != "gap")
"""Metrics for which the level of guessing is known."""
NOTHING = "#e4e4e4"


@spared
def heat_maps(study: Study, rows: Sequence[Row], metric: str, path: Path) -> None:
    """Draw one metric over two axes; columns of panels are models, rows are variants.

    With two grids, each cell shows the mean over seeds and the study's interval. Cells have the order of the summary's
    table: the first axis from left to right, the second from top to bottom. With a random axis, every trial is a dot.
    The colour bar marks the levels of guessing and of the base alone.
    """
    across, up = study.axes
    variants, models = study.variant_names, study.model_names
    norm = _norm(rows, metric)
    colours = _colours(metric)
    grid = not study.random
    wide, high = (len(across.grid or []), len(up.grid or [])) if grid else (5, 4)
    size = (0.78 * wide * len(models) + 2.9, 0.56 * high * len(variants) + 0.62 * len(variants) + 1.2)
    figure, grid_of = panels(len(variants), len(models), size, sharex=True, sharey=True)
    for row, variant in enumerate(variants):
        for column, model in enumerate(models):
            axes = grid_of[row, column]
            chosen = [r for r in rows if r["in_plan"] and (r["variant"], r["model"]) == (variant, model)]
            (_cells if grid else _dots)(axes, chosen, metric, study, norm, colours)
            axes.set_title(literal(_panel_title(study, rows, metric, variant, model)), fontsize=9)
            if row == len(variants) - 1:
                axes.set_xlabel(literal(across.title))
            if column == 0:
                axes.set_ylabel(literal(up.title))
    _bar(figure, grid_of, study, rows, metric, norm, colours)
    figure.suptitle(literal(study.title or study.name), fontsize=11)
    save(figure, path)


def one_map(axes: Axes, study: Study, rows: Sequence[Row], metric: str, variant: str, model: str) -> None:
    """Draw one panel of `heat_maps` on the given matplotlib axes, without a colour bar."""
    across, up = study.axes
    draw = _dots if study.random else _cells
    chosen = [row for row in rows if row["in_plan"] and (row["variant"], row["model"]) == (variant, model)]
    draw(axes, chosen, metric, study, _norm(rows, metric), _colours(metric))
    parts = (MEASURES[metric].label + unit(metric), _panel_title(study, rows, metric, variant, model))
    axes.set_title(literal("\n".join(part for part in parts if part)), fontsize=9)
    axes.set_xlabel(literal(across.title))
    axes.set_ylabel(literal(up.title))


def percent(metric: str, value: float) -> float:
    """Convert a value to the unit of its plot."""
    return 100 * value if MEASURES[metric].scale == "fraction" else value


def unit(metric: str) -> str:
    """Return the unit of a metric's plot, in brackets; empty if it has none."""
    if MEASURES[metric].scale != "fraction":
        return ""
    return " (points)" if MEASURES[metric].signed else " (%)"


def tick_labels(axis: Axis) -> list[str]:
    """Return the tick labels of a grid's values."""
    if axis.ticks is not None:
        return [literal(tick) for tick in axis.ticks]
    numbers = [isinstance(v, int | float) and not isinstance(v, bool) for v in axis.grid or []]
    return [f"{v:g}" if number else literal(str(v)) for v, number in zip(axis.grid or [], numbers, strict=True)]


def reference(rows: Sequence[Row], metric: str, model: str) -> float | None:
    """Return the mean of the runs of the base alone."""
    return cell(rows, metric, {"variant": REFERENCE, "model": model}).mean


def save(figure: Figure, path: Path) -> None:
    """Write a study's figure atomically, in all selected formats."""
    written(figure, path, dpi=160)


def _colours(metric: str) -> Colormap:
    """Return the colour map: brighter is better; for differences, blue is better, red worse, white no difference."""
    name = "RdBu" if MEASURES[metric].signed else "viridis"
    return mpl.colormaps[name if MEASURES[metric].better == "more" else f"{name}_r"]


def _norm(rows: Sequence[Row], metric: str) -> Normalize:
    values = [row[metric] for row in rows if row["status"] == "ok" and row[metric] is not None]
    if not values:
        return Normalize(0, 1)
    low, high = min(values), max(values)
    if MEASURES[metric].signed:
        most = max(-low, high) or 1e-9
        return Normalize(-most, most)
    if metric in GUESSING:
        return Normalize(min(low, rows[0]["chance"]), max(high, rows[0]["chance"] + 0.01))
    if MEASURES[metric].scale == "fraction":
        return Normalize(min(0.0, low), max(high, 0.01))
    if MEASURES[metric].scale == "count" and low > 0 and high > 10 * low:
        return LogNorm(low, high)
    return Normalize(low, high if high > low else low + max(abs(low), 1e-9))


def _cells(axes: Axes, rows: Sequence[Row], metric: str, study: Study, norm: Normalize, colours: Any) -> None:
    across, up = study.axes
    wide, high = across.grid or [], up.grid or []
    for x, one in enumerate(wide):
        for y, other in enumerate(high):
            point = {across.column: one, up.column: other}
            found = cell(rows, metric, point, study.interval)
            _cell(axes, x, y, metric, found, norm, colours)
    axes.set_xlim(-0.5, len(wide) - 0.5)
    axes.set_ylim(len(high) - 0.5, -0.5)
    axes.set_xticks(range(len(wide)), tick_labels(across))
    axes.set_yticks(range(len(high)), tick_labels(up))
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _cell(axes: Axes, x: int, y: int, metric: str, found: Cell, norm: Normalize, colours: Any) -> None:
    corner = (x - 0.5, y - 0.5)
    if found.mean is None:
        hatch = "////" if found.trials else None
        axes.add_patch(
            Rectangle(corner, 1, 1, facecolor=NOTHING, edgecolor="#b8b8b8" if hatch else "white", hatch=hatch, lw=0)
        )
        axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor="white", lw=1.2))
        if found.trials:
            box = {"boxstyle": "circle,pad=0.12", "facecolor": "white", "edgecolor": "none"}
            axes.text(x, y, "✕", ha="center", va="center", fontsize=8, color="#a02020", bbox=box)
        return
    colour = colours(norm(found.mean))
    axes.add_patch(Rectangle(corner, 1, 1, facecolor=colour, edgecolor="white", lw=1.2))
    ink = "white" if _luminance(colour) < 0.45 else "black"
    partly = found.ok < found.trials
    text = shown(metric, found.mean) + ("†" if partly else "")
    spread = f"{found.ok} of {found.trials}" if partly else ""
    if not partly and found.margin is not None:
        spread = behind(metric, found.margin)
    axes.text(x, y - (0.14 if spread else 0), text, ha="center", va="center", fontsize=9, color=ink)
    axes.text(x, y + 0.24, spread, ha="center", va="center", fontsize=7.5, color=ink)


def _dots(axes: Axes, rows: Sequence[Row], metric: str, study: Study, norm: Normalize, colours: Any) -> None:
    across, up = plane = study.axes
    placed: list[Callable[[Any], float]] = [position(axis) for axis in plane]
    ended = [row for row in rows if row["status"] == "ok" and row[metric] is not None]
    other = [row for row in rows if row["status"] != "ok"]
    x, y = ([at(row[axis.column]) for row in ended] for at, axis in zip(placed, plane, strict=True))
    axes.scatter(x, y, c=[row[metric] for row in ended], norm=norm, cmap=colours, s=34, edgecolors="white", lw=0.4)
    x, y = ([at(row[axis.column]) for row in other] for at, axis in zip(placed, plane, strict=True))
    axes.scatter(x, y, marker="x", color="#a02020", s=24, lw=1)
    dress_scale(axes, across, "x")
    dress_scale(axes, up, "y")


def position(axis: Axis) -> Callable[[Any], float]:
    """Return a function that places a value on its axis: numbers at their value, else by index in the grid."""
    values = axis.grid or []
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    if axis.grid is not None and (axis.scale == "even" or not numbers):
        return lambda value: float(values.index(value))
    if axis.random is not None and axis.random.kind == "choice":
        choices = axis.random.values
        return lambda value: float(choices.index(value))
    return float


def dress_scale(axes: Axes, axis: Axis, side: str) -> None:
    """Set scale and ticks of the x or the y side of a plot."""
    place = position(axis)
    values = axis.grid if axis.grid is not None else getattr(axis.random, "values", None)
    logarithmic = axis.scale == "log" or (axis.random is not None and axis.random.kind == "loguniform")
    if logarithmic:
        (axes.set_xscale if side == "x" else axes.set_yscale)("log")
    if values is not None:
        names = tick_labels(axis) if axis.grid is not None else [literal(str(value)) for value in values]
        (axes.set_xticks if side == "x" else axes.set_yticks)([place(value) for value in values], names)
        if logarithmic:
            # Ticks without names between the values show that the axis is logarithmic.
            (axes.xaxis if side == "x" else axes.yaxis).set_minor_formatter(mpl.ticker.NullFormatter())


def _panel_title(study: Study, rows: Sequence[Row], metric: str, variant: str, model: str) -> str:
    name = (study.variants[variant].title or variant) if variant in study.variants else ""
    level = reference(rows, metric, model)
    base = "" if level is None or MEASURES[metric].signed else f"base alone {shown(metric, level)}"
    head = ", ".join(part for part in (model.upper(), name) if part)
    return "\n".join(part for part in (head, base) if part)


def _bar(
    figure: Figure, panels: Any, study: Study, rows: Sequence[Row], metric: str, norm: Normalize, colours: Any
) -> None:
    mapped = mpl.cm.ScalarMappable(norm, colours)
    bar = figure.colorbar(mapped, ax=panels.ravel().tolist(), shrink=0.9, aspect=26, pad=0.02)
    bar.outline.set_visible(False)
    bar.set_label(MEASURES[metric].label + unit(metric))
    if MEASURES[metric].scale == "fraction":
        bar.ax.yaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{100 * value:g}"))
    marks = [
        ("base" if not number else "", reference(rows, metric, model))
        for number, model in enumerate(_by_level(study, rows, metric))
    ]
    if metric in GUESSING and rows:
        marks.append(("chance", rows[0]["chance"]))
    low, high = norm.vmin or 0.0, norm.vmax or 0.0
    for name, value in marks:
        if value is None or not low <= value <= high:
            continue
        bar.ax.axhline(value, color="#d0312d", lw=1.2)
        bar.ax.annotate(
            name,
            (0, value),
            xytext=(-3, 0),
            textcoords="offset points",
            xycoords=("axes fraction", "data"),
            ha="right",
            va="center",
            fontsize=7,
            color="#d0312d",
        )


def _by_level(study: Study, rows: Sequence[Row], metric: str) -> list[str]:
    """Return the models whose base was run, the best first."""
    levels = {model: reference(rows, metric, model) for model in study.model_names}
    known = {model: level for model, level in levels.items() if level is not None}
    return sorted(known, key=lambda model: known[model], reverse=MEASURES[metric].better == "more")


def _luminance(colour: Any) -> float:
    red, green, blue = np.asarray(colour[:3])
    return float(0.299 * red + 0.587 * green + 0.114 * blue)
