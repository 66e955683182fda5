"""Plots of a run, drawn from its record, and functions that create, style and write all plots.

Figures do not use pyplot, so the matplotlib state of the calling program does not change. Names given by users are
drawn literally, including dollar signs.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from dyadnet.config.pictures import formats
from dyadnet.errors import DyadnetError
from dyadnet.numerics.histogram import AGES, BINS, PER_DECADE, lower_edges
from dyadnet.numerics.scores import headline
from dyadnet.process.console import say
from dyadnet.reporting.tiles import Picture
from dyadnet.runs.folder import whole
from dyadnet.runs.record_lines import Line, epochs, spendings

Given = ParamSpec("Given")
_DRAWING = threading.RLock()
LOGARITHMIC = ", log"
COLOURS = {"train": "#7a7a7a", "validation": "#d98c21", "test": "#1f6fb4"}


def drawing(draw: Callable[Given, None]) -> Callable[Given, None]:
    """Decorate a drawing function to run without LaTeX, regardless of the user's matplotlib settings."""

    @functools.wraps(draw)
    def drawn(*arguments: Given.args, **options: Given.kwargs) -> None:
        with _DRAWING, mpl.rc_context({"text.usetex": False, "text.parse_math": True}):
            draw(*arguments, **options)

    return drawn


def spared(draw: Callable[Given, None]) -> Callable[Given, None]:
    """Decorate a drawing function as `drawing` does, and turn its errors into warnings. The data exist without it."""

    @functools.wraps(draw)
    def drawn(*arguments: Given.args, **options: Given.kwargs) -> None:
        try:
            drawing(draw)(*arguments, **options)
        except Exception as problem:
            say(f"warning: no picture: {cause(problem)}")

    return drawn


def cause(problem: Exception) -> str:
    """Return the error of a drawing function in one line."""
    text = " ".join(str(problem).split())[:300]
    return text if isinstance(problem, OSError | DyadnetError) else f"{type(problem).__name__}: {text}"


def literal(text: str) -> str:
    """Escape a text so that it is drawn literally: dollar signs start no formula, and surrogates are escaped."""
    return text.encode(errors="backslashreplace").decode().replace("$", r"\$")


@drawing
def curves(lines: Sequence[dict[str, Any]], path: Path, title: str) -> None:
    """Plot loss, error, settling and saturation over epochs, from the lines of ``metrics.jsonl``, if it has epochs."""
    found = epochs(lines)
    if not found:
        return
    figure, axes = panels(2, 2, (9, 6.4))
    for axis, draw in zip(axes.flat, CURVES.values(), strict=True):
        draw(axis, found)
    figure.suptitle(literal(title))
    written(figure, path)


def loss(axis: Axes, epochs: Sequence[Line]) -> None:
    """Draw the loss of each part over epochs."""
    x = [line["epoch"] for line in epochs]
    for part, colour in COLOURS.items():
        axis.plot(x, [line[part]["loss"] for line in epochs], color=colour, label=part, marker=".")
    over_epochs(axis, "loss")
    axis.set_yscale("log")
    axis.legend(frameon=False)


def error(axis: Axes, epochs: Sequence[Line]) -> None:
    """Draw the fraction of wrong predictions, or of unexplained variance, in per cent, over epochs.

    For images, draw the PSNR in dB.
    """
    x = [line["epoch"] for line in epochs]
    name = headline(epochs[0]["validation"])[0] if epochs else "accuracy"
    for part, colour in COLOURS.items():
        found = [line[part][name] if name == "psnr" else 100 * (1 - line[part][name]) for line in epochs]
        axis.plot(x, found, color=colour, label=part, marker=".")
    over_epochs(axis, _ERRORS[name])
    axis.set_yscale("linear" if name == "psnr" else "log")
    axis.legend(frameon=False)


_ERRORS = {"accuracy": "error (%)", "psnr": "PSNR (dB)", "r2": "variance not explained, 1 − R² (%)"}


def sweeps(axis: Axes, epochs: Sequence[Line]) -> None:
    """Draw sweeps per minibatch, mean and maximum, and on a second axis the spectral radius μ, over epochs."""
    x = [line["epoch"] for line in epochs]
    axis.plot(x, [line["train"]["sweeps"] for line in epochs], color="#222222", marker=".", label="mean")
    axis.plot(x, [line["train"]["most_sweeps"] for line in epochs], color="#bbbbbb", marker=".", label="most")
    axis.set_ylim(0, 1.05 * max((line["train"]["most_sweeps"] for line in epochs), default=1))
    over_epochs(axis, "sweeps to settle a minibatch")
    if any(line["radius"] for line in epochs):
        radius = axis.twinx()
        radius.plot(x, [line["radius"] for line in epochs], color="#b4441f", marker=".")
        radius.set_ylabel("spectral radius μ", color="#b4441f")
        radius.set_ylim(bottom=0)
        radius.spines["top"].set_visible(False)
    axis.legend(frameon=False, loc="lower right")


def saturation(axis: Axes, epochs: Sequence[Line]) -> None:
    """Draw the saturated compartments of each block, in per cent, over epochs."""
    x = [line["epoch"] for line in epochs]
    for block in epochs[0]["train"]["blocks"] if epochs else []:
        fractions = [100 * line["train"]["blocks"][block]["saturated"] for line in epochs]
        axis.plot(x, fractions, marker=".", label=literal(block))
    axis.set_ylim(0, 100)
    over_epochs(axis, "saturated compartments (%)")
    axis.legend(frameon=False)


CURVES = {"loss": loss, "error": error, "sweeps": sweeps, "saturation": saturation}
"""Panels of `curves` by name. Each function draws the epoch lines of ``metrics.jsonl`` on the given axes."""


def both(axis: Axes, epochs: Sequence[Line]) -> None:
    """Draw the loss of each part, and on a second axis the headline score, over epochs."""
    x, right = [line["epoch"] for line in epochs], axis.twinx()
    name, called = headline(epochs[0]["validation"]) if epochs else ("accuracy", "accuracy")
    unit, factor = {"accuracy": ("%, ", 100), "psnr": ("dB, ", 1)}.get(name, ("", 1))
    for part, colour in COLOURS.items():
        axis.plot(x, [line[part]["loss"] for line in epochs], color=colour, label=part)
        right.plot(x, [factor * line[part][name] for line in epochs], color=colour, linestyle="--")
    over_epochs(axis, "loss (solid)")
    right.set_ylabel(f"{called} ({unit}dashed)")
    axis.legend(frameon=False)


def shown(picture: Picture, axis: Axes) -> Axes:
    """Draw a picture of tiles with its title above and its note below."""
    axis.imshow(picture.pixels, interpolation="nearest")
    axis.set_axis_off()
    axis.set_title(literal(picture.title))
    axis.text(0.5, -0.02, literal(picture.note), transform=axis.transAxes, ha="center", va="top", fontsize="small")
    return axis


@drawing
def ages(lines: Sequence[dict[str, Any]], path: Path, title: str) -> None:
    """Plot the ages of the messages that updates read, one curve per edge, from the lines of ``machinery.jsonl``.

    For a run in virtual time nothing is drawn, because the delays determine all ages.
    """
    edges = read_ages(lines)
    if not edges:
        return
    figure, (axes,) = panels(1, 3, (12, 3.8))
    for name, axis in zip(AGES, axes, strict=False):
        age_curves(axis, edges, name)
    axes[0].legend(frameon=False, title="from → to")
    _rates(axes[2], lines)
    figure.suptitle(literal(title))
    written(figure, path)


def read_ages(lines: Sequence[dict[str, Any]]) -> dict[str, dict[str, NDArray[Any]]]:
    """Return histograms of the ages of messages that updates read, by edge and unit of `AGES`, over all epochs."""
    edges: dict[str, dict[str, NDArray[Any]]] = {}
    for line in spendings(lines):
        for actor, spent in line.get("actors", {}).items():
            reads: Mapping[str, Line] = spent.get("edges", {})
            for source, counts in reads.items():
                edge = edges.setdefault(f"{source} → {actor}", {name: np.zeros(BINS, int) for name in AGES})
                for name in AGES:
                    edge[name] += np.asarray(counts[name])
    return edges


def age_curves(axis: Axes, edges: Mapping[str, Mapping[str, NDArray[Any]]], name: str) -> None:
    """Draw the distribution of message ages over updates, one curve per edge.

    Parameters
    ----------
    edges
        See `read_ages`.
    name
        Key of `AGES`.
    """
    lower = np.asarray(lower_edges())
    lower[0] = lower[1] / 10 ** (1 / PER_DECADE)
    for index, (label, edge) in enumerate(edges.items()):
        share = 100 * edge[name][:-1] / max(int(edge[name].sum()), 1)
        axis.stairs(share, lower, color=f"C{index % 10}", label=literal(label), linewidth=1.4)
    filled = np.flatnonzero(sum(edge[name] for edge in edges.values()))
    axis.set_xscale("log")
    if len(filled):
        axis.set_xlim(lower[max(filled[0] - 1, 0)], lower[min(filled[-1] + 2, len(lower) - 1)])
    dress(axis, "updates (%)", f"age of what an update read ({AGES[name]})")


def _rates(axis: Axes, lines: Sequence[dict[str, Any]]) -> None:
    rates: dict[str, list[float]] = {}
    for line in spendings(lines):
        for actor, spent in line.get("actors", {}).items():
            if "updates_per_second" in spent:
                rates.setdefault(actor, []).append(spent["updates_per_second"])
    for actor, series in rates.items():
        axis.plot(range(1, len(series) + 1), series, marker=".", label=literal(actor))
    axis.set_ylim(bottom=0)
    axis.legend(frameon=False)
    over_epochs(axis, "updates a second")


@drawing
def probed(series: dict[str, Any], path: Path, title: str) -> None:
    """Plot the compartments of probed neurons over ticks: a⁺ and a⁻ above, m and d below, one column per block.

    Parameters
    ----------
    series
        Arrays by ``block/name``, as in a run's ``probes`` folder.
    """
    blocks = sorted({key.split("/")[0] for key in series})
    figure, axes = panels(len(TRAJECTORIES), len(blocks), (3.6 * len(blocks) + 1, 7), sharex="col")
    for column, block in enumerate(blocks):
        for row, what in enumerate(TRAJECTORIES):
            trajectories(axes[row, column], series, block, what)
            if column:
                axes[row, column].set_ylabel("")
            if row < len(TRAJECTORIES) - 1:
                axes[row, column].set_xlabel("")
        axes[0, column].set_title(literal(block))
    figure.suptitle(literal(title))
    written(figure, path)


@drawing
def images(shown: Mapping[str, NDArray[Any]], path: Path, title: str) -> None:
    """Plot a few test images: network inputs, outputs and targets; see `strip`."""
    figure, ((axis,),) = panels(1, 1, (9, 1 + 1.1 * len(shown)))
    strip(axis, shown)
    figure.suptitle(literal(title))
    written(figure, path)


def strip(axis: Axes, shown: Mapping[str, NDArray[Any]]) -> None:
    """Draw images side by side, one row for each name. Values outside 0 to 1 are clipped.

    Parameters
    ----------
    shown
        Images by name, of shape (images, channels, height, width) with 1 or 3 channels.
    """
    sizes = [array.shape[2:] for array in shown.values()]
    high, wide = (max(size[index] for size in sizes) + 1 for index in range(2))
    count = max(len(array) for array in shown.values())
    canvas = np.ones((high * len(shown) - 1, wide * count - 1, 3))
    for row, array in enumerate(shown.values()):
        for column, image in enumerate(np.clip(array, 0, 1)):
            (top, left), (height, width) = (high * row, wide * column), image.shape[1:]
            canvas[top : top + height, left : left + width] = np.moveaxis(image, 0, 2)
    axis.imshow(canvas, interpolation="nearest")
    axis.set_yticks([high * (row + 0.5) - 1 for row in range(len(shown))], list(shown))
    axis.set_xticks([])
    axis.tick_params(length=0)
    for spine in axis.spines.values():
        spine.set_visible(False)


TRAJECTORIES = {
    "compartments": ("a⁺ (solid), a⁻ (dashed)", {"plus": "-", "minus": "--"}),
    "mean": ("mean m", {"mean": "-"}),
    "difference": ("difference d", {"difference": "-"}),
}
"""Plots of a probed neuron: the label of the axis, and the series with their line styles."""


def trajectories(axis: Axes, series: dict[str, Any], block: str, what: str, sample: int = 0) -> None:
    """Draw the trajectories of a block's probed neurons, tick by tick, one colour per neuron.

    Parameters
    ----------
    series
        Arrays by ``block/name``, as in a run's ``probes`` folder.
    what
        Key of `TRAJECTORIES`.
    sample
        Index of the probed sample.
    """
    label, styles = TRAJECTORIES[what]
    for name, style in styles.items():
        values = np.asarray(series[f"{block}/{name}"])[:, sample]
        for neuron in range(values.shape[1]):
            axis.plot(series[f"{block}/ticks"], values[:, neuron], color=f"C{neuron % 10}", linestyle=style)
    dress(axis, label, "tick")


def dress(axis: Axes, label: str | None = None, below: str | None = None) -> None:
    """Apply the common style to axes: no top and right spine; set the y label and the x label if given."""
    axis.spines["top"].set_visible(False)
    axis.spines["right"].set_visible(False)
    if label is not None:
        axis.set_ylabel(label)
    if below is not None:
        axis.set_xlabel(below)


def mark(axes: Axes) -> None:
    """Add ", log" to the labels of logarithmic axes."""
    for one in (axes.xaxis, axes.yaxis):
        text = one.get_label_text()
        if text and one.get_scale() in ("log", "symlog") and not text.endswith(LOGARITHMIC):
            one.set_label_text(text + LOGARITHMIC)


def over_epochs(axis: Axes, label: str) -> None:
    """Style axes of a quantity over epochs, with ticks at whole epochs only."""
    dress(axis, label, "epoch")
    axis.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))


def colour_of(index: int, count: int) -> tuple[float, ...]:
    """Return colour `index` of `count` colours of a continuous scale."""
    return tuple(mpl.colormaps["coolwarm"](index / max(count - 1, 1)))


def panels(rows: int, columns: int, size: tuple[float, float], **shared: Any) -> tuple[Figure, NDArray[Any]]:
    """Create a figure of `size` inches and its axes, shape (rows, columns).

    Parameters
    ----------
    shared
        `sharex` and `sharey` of `matplotlib.figure.Figure.subplots`.
    """
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **shared)


def written(figure: Figure, path: Path, dpi: int = 110) -> None:
    """Write a figure atomically, in all selected formats; see `dyadnet.config.pictures`.

    Labels of logarithmic axes are marked; see `mark`.
    """
    for axes in figure.axes:
        mark(axes)
    kinds = formats() if path.suffix == ".png" else (path.suffix[1:],)
    for kind in kinds:
        # Keep text as text, so that it can be searched and edited.
        with whole(path.with_suffix(f".{kind}")) as fresh, mpl.rc_context({"pdf.fonttype": 42, "svg.fonttype": "none"}):
            figure.savefig(fresh, dpi=dpi, format=kind)
