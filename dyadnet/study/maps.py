"""Maps of a study with two axes: one panel a model and variant, drawn from its table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from dyadnet.study.axes import Axis
from dyadnet.study.columns import METRICS
from dyadnet.study.definition import REFERENCE, Study
from dyadnet.study.folder import replacing
from dyadnet.study.summary import shown
from dyadnet.study.table import Cell, Row, cell

GUESSING = ("test_accuracy", "validation_accuracy", "train_accuracy", "ideal_accuracy")
"""Metrics that guessing has a level of."""
NOTHING = "#e4e4e4"


def heat_maps(study: Study, rows: Sequence[Row], metric: str, path: Path) -> None:
    """Draw one metric over two axes; panels side by side are models, one below the other variants.

    Two grids give cells with the mean over seeds and half its 95 % confidence interval; with a random axis every
    trial is a dot. The bar shows the level of guessing and that of the base alone.
    """
    across, up = study.axes
    variants, models = study.variant_names, study.model_names
    norm = _norm(rows, metric)
    colours = plt.get_cmap("viridis" if METRICS[metric].better == "more" else "viridis_r").copy()
    grid = not study.random
    wide, high = (len(across.grid or []), len(up.grid or [])) if grid else (5, 4)
    size = (0.66 * wide * len(models) + 2.9, 0.5 * high * len(variants) + 0.62 * len(variants) + 1.2)
    figure, panels = plt.subplots(
        len(variants), len(models), figsize=size, squeeze=False, layout="constrained", sharex=True, sharey=True
    )
    for row, variant in enumerate(variants):
        for column, model in enumerate(models):
            axes = panels[row, column]
            chosen = [r for r in rows if r["in_plan"] and (r["variant"], r["model"]) == (variant, model)]
            if grid:
                _cells(axes, chosen, metric, (across, up), norm, colours)
            else:
                _dots(axes, chosen, metric, (across, up), norm, colours)
            axes.set_title(_panel_title(study, rows, metric, variant, model), fontsize=9)
            if row == len(variants) - 1:
                axes.set_xlabel(across.title)
            if column == 0:
                axes.set_ylabel(up.title)
    _bar(figure, panels, study, rows, metric, norm, colours)
    figure.suptitle(study.title or study.name, fontsize=11)
    save(figure, path)


def percent(metric: str, value: float) -> float:
    """A value in the unit of its plot."""
    return 100 * value if METRICS[metric].scale == "fraction" else value


def unit(metric: str) -> str:
    """The unit of its plot, with a bracket."""
    return " (%)" if METRICS[metric].scale == "fraction" else ""


def tick_labels(axis: Axis) -> list[str]:
    """What a plot calls the values of a grid."""
    if axis.ticks is not None:
        return axis.ticks
    return [f"{v:g}" if isinstance(v, int | float) and not isinstance(v, bool) else str(v) for v in axis.grid or []]


def reference(rows: Sequence[Row], metric: str, model: str) -> float | None:
    """Mean of the base alone."""
    return cell(rows, metric, {"variant": REFERENCE, "model": model}).mean


def save(figure: Figure, path: Path) -> None:
    """Write a figure whole or not at all."""
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=160)
    plt.close(figure)


def _norm(rows: Sequence[Row], metric: str) -> Normalize:
    values = [row[metric] for row in rows if row["status"] == "ok" and row[metric] is not None]
    if not values:
        return Normalize(0, 1)
    low, high = min(values), max(values)
    if metric in GUESSING:
        return Normalize(min(low, rows[0]["chance"]), max(high, rows[0]["chance"] + 0.01))
    if METRICS[metric].scale == "fraction":
        return Normalize(min(0.0, low), max(high, 0.01))
    if METRICS[metric].scale == "count" and low > 0 and high > 10 * low:
        return LogNorm(low, high)
    return Normalize(low, high if high > low else low + max(abs(low), 1e-9))


def _cells(
    axes: Axes, rows: Sequence[Row], metric: str, plane: tuple[Axis, Axis], norm: Normalize, colours: Any
) -> None:
    across, up = plane
    wide, high = across.grid or [], up.grid or []
    for x, one in enumerate(wide):
        for y, other in enumerate(high):
            point = {across.column: one, up.column: other}
            found = cell(rows, metric, point)
            _cell(axes, x, y, metric, found, norm, colours)
    axes.set_xlim(-0.5, len(wide) - 0.5)
    axes.set_ylim(-0.5, len(high) - 0.5)
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
        spread = f"±{shown(metric, found.margin)}"
    axes.text(x, y + (0.1 if spread else 0), text, ha="center", va="center", fontsize=8, color=ink)
    axes.text(x, y - 0.26, spread, ha="center", va="center", fontsize=5.5, color=ink, alpha=0.85)


def _dots(
    axes: Axes, rows: Sequence[Row], metric: str, plane: tuple[Axis, Axis], norm: Normalize, colours: Any
) -> None:
    across, up = plane
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
    """Where a value lies on its axis: itself if it is a number on a scale of numbers, else its place in the grid."""
    values = axis.grid or []
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    if axis.grid is not None and (axis.scale == "even" or not numbers):
        return lambda value: float(values.index(value))
    if axis.random is not None and axis.random.kind == "choice":
        choices = axis.random.values
        return lambda value: float(choices.index(value))
    return float


def dress_scale(axes: Axes, axis: Axis, side: str) -> None:
    """Scale and ticks of one side of a plot."""
    place = position(axis)
    values = axis.grid if axis.grid is not None else getattr(axis.random, "values", None)
    logarithmic = axis.scale == "log" or (axis.random is not None and axis.random.kind == "loguniform")
    if logarithmic:
        (axes.set_xscale if side == "x" else axes.set_yscale)("log")
    if values is not None:
        names = tick_labels(axis) if axis.grid is not None else [str(value) for value in values]
        (axes.set_xticks if side == "x" else axes.set_yticks)([place(value) for value in values], names)
        if logarithmic:
            (axes.xaxis if side == "x" else axes.yaxis).set_minor_locator(mpl.ticker.NullLocator())


def _panel_title(study: Study, rows: Sequence[Row], metric: str, variant: str, model: str) -> str:
    name = (study.variants[variant].title or variant) if variant in study.variants else ""
    level = reference(rows, metric, model)
    base = "" if level is None else f"base alone {shown(metric, level)}"
    head = ", ".join(part for part in (model.upper(), name) if part)
    return "\n".join(part for part in (head, base) if part)


def _bar(
    figure: Figure, panels: Any, study: Study, rows: Sequence[Row], metric: str, norm: Normalize, colours: Any
) -> None:
    mapped = mpl.cm.ScalarMappable(norm, colours)
    bar = figure.colorbar(mapped, ax=panels.ravel().tolist(), shrink=0.9, aspect=26, pad=0.02)
    bar.outline.set_visible(False)
    bar.set_label(METRICS[metric].label + unit(metric))
    if METRICS[metric].scale == "fraction":
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
    """Models whose base was run, the best first."""
    levels = {model: reference(rows, metric, model) for model in study.model_names}
    known = {model: level for model, level in levels.items() if level is not None}
    return sorted(known, key=lambda model: known[model], reverse=METRICS[metric].better == "more")


def _luminance(colour: Any) -> float:
    red, green, blue = np.asarray(colour[:3])
    return float(0.299 * red + 0.587 * green + 0.114 * blue)
