"""Pictures of a run, drawn from its record; and how every picture is begun, dressed and written.

They are figures of their own, without pyplot: a program that trains finds its matplotlib as it was. What users name is
drawn as they wrote it, dollars included.
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
    """Draw without LaTeX, whatever a user's matplotlib is set to: texts here are none."""

    @functools.wraps(draw)
    def drawn(*arguments: Given.args, **options: Given.kwargs) -> None:
        with _DRAWING, mpl.rc_context({"text.usetex": False, "text.parse_math": True}):
            draw(*arguments, **options)

    return drawn


def spared(draw: Callable[Given, None]) -> Callable[Given, None]:
    """See `drawing`; a picture that cannot be drawn is a warning: what it shows is there without it."""

    @functools.wraps(draw)
    def drawn(*arguments: Given.args, **options: Given.kwargs) -> None:
        try:
            drawing(draw)(*arguments, **options)
        except Exception as problem:
            say(f"warning: no picture: {cause(problem)}")

    return drawn


def cause(problem: Exception) -> str:
    """What went wrong with a picture, in one line."""
    text = " ".join(str(problem).split())[:300]
    return text if isinstance(problem, OSError | DyadnetError) else f"{type(problem).__name__}: {text}"


def literal(text: str) -> str:
    """A text that is drawn as it is: dollars begin no formula, and what no font has is escaped."""
    return text.encode(errors="backslashreplace").decode().replace("$", r"\$")


@drawing
def curves(lines: Sequence[dict[str, Any]], path: Path, title: str) -> None:
    """Loss, error, settling and saturation over epochs, from the epoch lines of ``metrics.jsonl``; nothing of none."""
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
    """Draw the part of wrong predictions, or of variance that is not explained, in per cent, over epochs.

    Of images draw the PSNR in dB.
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
    """Draw sweeps a minibatch, mean and most, and on a second axis the spectral radius μ, over epochs."""
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
    """Draw each block's saturated compartments, in per cent, over epochs."""
    x = [line["epoch"] for line in epochs]
    for block in epochs[0]["train"]["blocks"] if epochs else []:
        fractions = [100 * line["train"]["blocks"][block]["saturated"] for line in epochs]
        axis.plot(x, fractions, marker=".", label=literal(block))
    axis.set_ylim(0, 100)
    over_epochs(axis, "saturated compartments (%)")
    axis.legend(frameon=False)


CURVES = {"loss": loss, "error": error, "sweeps": sweeps, "saturation": saturation}
"""What `curves` shows, by name: each draws on axes of the caller's, from the epoch lines of ``metrics.jsonl``."""


def both(axis: Axes, epochs: Sequence[Line]) -> None:
    """Draw the loss of each part, and on a second axis the score that people ask for first, over epochs."""
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
    """Draw tiles as they are, under their title and above what their colours mean."""
    axis.imshow(picture.pixels, interpolation="nearest")
    axis.set_axis_off()
    axis.set_title(literal(picture.title))
    axis.text(0.5, -0.02, literal(picture.note), transform=axis.transAxes, ha="center", va="top", fontsize="small")
    return axis


@drawing
def ages(lines: Sequence[dict[str, Any]], path: Path, title: str) -> None:
    """How old the messages were that updates read, one curve an edge, from the lines of ``machinery.jsonl``.

    Nothing is drawn of a run in virtual time, where ages are what its delays say.
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
    """How often an update read a message of each age, by edge and unit of `AGES`, in all epochs in real time."""
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
    """Draw in how many of all updates a message had which age, one curve an edge.

    Parameters
    ----------
    edges
        See `read_ages`.
    name
        One of `AGES`.
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
    """Compartments of probed neurons over ticks: a⁺ and a⁻ above, m and d below, one column a block.

    Parameters
    ----------
    series
        Arrays by ``block/name``, as a run's ``probes`` folder holds them.
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
    """A few images that a network was given, what it made of them, and what was wanted; see `strip`."""
    figure, ((axis,),) = panels(1, 1, (9, 1 + 1.1 * len(shown)))
    strip(axis, shown)
    figure.suptitle(literal(title))
    written(figure, path)


def strip(axis: Axes, shown: Mapping[str, NDArray[Any]]) -> None:
    """Draw images side by side, a row for each name; what goes beyond 0 to 1 is drawn as black or white.

    Parameters
    ----------
    shown
        By name, shape (images, channels, height, width) with 1 or 3 channels.
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
"""What a probe shows of a neuron: the label of its axis, and series with their line styles."""


def trajectories(axis: Axes, series: dict[str, Any], block: str, what: str, sample: int = 0) -> None:
    """Draw what a block's probed neurons do tick by tick, one colour a neuron.

    Parameters
    ----------
    series
        Arrays by ``block/name``, as a run's ``probes`` folder holds them.
    what
        Of `TRAJECTORIES`.
    sample
        Which of the probed samples.
    """
    label, styles = TRAJECTORIES[what]
    for name, style in styles.items():
        values = np.asarray(series[f"{block}/{name}"])[:, sample]
        for neuron in range(values.shape[1]):
            axis.plot(series[f"{block}/ticks"], values[:, neuron], color=f"C{neuron % 10}", linestyle=style)
    dress(axis, label, "tick")


def dress(axis: Axes, label: str | None = None, below: str | None = None) -> None:
    """The house style of an axis: no frame above and to the right, labels beside and below."""
    axis.spines["top"].set_visible(False)
    axis.spines["right"].set_visible(False)
    if label is not None:
        axis.set_ylabel(label)
    if below is not None:
        axis.set_xlabel(below)


def mark(axes: Axes) -> None:
    """Have the labels of logarithmic axes say what they are."""
    for one in (axes.xaxis, axes.yaxis):
        text = one.get_label_text()
        if text and one.get_scale() in ("log", "symlog") and not text.endswith(LOGARITHMIC):
            one.set_label_text(text + LOGARITHMIC)


def over_epochs(axis: Axes, label: str) -> None:
    """An axis of a quantity over epochs, which are whole numbers however few there are."""
    dress(axis, label, "epoch")
    axis.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))


def colour_of(index: int, count: int) -> tuple[float, ...]:
    """One of `count` colours in a row, for a quantity that runs through them."""
    return tuple(mpl.colormaps["coolwarm"](index / max(count - 1, 1)))


def panels(rows: int, columns: int, size: tuple[float, float], **shared: Any) -> tuple[Figure, NDArray[Any]]:
    """A figure of `size` inches and its axes, shape (rows, columns).

    Parameters
    ----------
    shared
        `sharex` and `sharey` of `matplotlib.figure.Figure.subplots`.
    """
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **shared)


def written(figure: Figure, path: Path, dpi: int = 110) -> None:
    """Write a picture, whole or not at all, in every format that is wanted; see `dyadnet.config.pictures`.

    Axes that are logarithmic say so.
    """
    for axes in figure.axes:
        mark(axes)
    kinds = formats() if path.suffix == ".png" else (path.suffix[1:],)
    for kind in kinds:
        # Texts stay texts, which can be searched and edited.
        with whole(path.with_suffix(f".{kind}")) as fresh, mpl.rc_context({"pdf.fonttype": 42, "svg.fonttype": "none"}):
            figure.savefig(fresh, dpi=dpi, format=kind)
