"""Pictures of a run, drawn from its record."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dyadnet.histograms import AGES, BINS, PER_DECADE, lower_edges
from dyadnet.record import whole

COLOURS = {"train": "#7a7a7a", "validation": "#d98c21", "test": "#1f6fb4"}


def curves(lines: Sequence[dict[str, Any]], path: Path, title: str) -> None:
    """Loss, error, settling and saturation over epochs, from the epoch lines of ``metrics.jsonl``."""
    epochs = [line for line in lines if line["kind"] == "epoch"]
    x = [line["epoch"] for line in epochs]
    figure, axes = plt.subplots(2, 2, figsize=(9, 6.4), layout="constrained")
    loss, error, sweeps, saturated = axes.flat
    for part, colour in COLOURS.items():
        loss.plot(x, [line[part]["loss"] for line in epochs], color=colour, label=part, marker=".")
        error.plot(x, [100 * (1 - line[part]["accuracy"]) for line in epochs], color=colour, label=part, marker=".")
    over_epochs(loss, "loss")
    loss.set_yscale("log")
    over_epochs(error, "error (%)")
    error.set_yscale("log")
    error.legend(frameon=False)
    sweeps.plot(x, [line["train"]["sweeps"] for line in epochs], color="#222222", marker=".", label="mean")
    sweeps.plot(x, [line["train"]["most_sweeps"] for line in epochs], color="#bbbbbb", marker=".", label="most")
    sweeps.set_ylim(0, 1.05 * max((line["train"]["most_sweeps"] for line in epochs), default=1))
    over_epochs(sweeps, "sweeps to settle a minibatch")
    if any(line["radius"] for line in epochs):
        radius = sweeps.twinx()
        radius.plot(x, [line["radius"] for line in epochs], color="#b4441f", marker=".")
        radius.set_ylabel("spectral radius μ", color="#b4441f")
        radius.set_ylim(bottom=0)
        radius.spines["top"].set_visible(False)
    sweeps.legend(frameon=False, loc="lower right")
    for block in epochs[0]["train"]["blocks"] if epochs else []:
        fractions = [100 * line["train"]["blocks"][block]["saturated"] for line in epochs]
        saturated.plot(x, fractions, marker=".", label=block)
    saturated.set_ylim(0, 100)
    over_epochs(saturated, "saturated compartments (%)")
    saturated.legend(frameon=False)
    figure.suptitle(title)
    written(figure, path)


def ages(lines: Sequence[dict[str, Any]], path: Path, title: str) -> None:
    """How old the messages were that updates read, one curve an edge, from the lines of ``machinery.jsonl``.

    Nothing is drawn of a run in virtual time, where ages are what its delays say.
    """
    edges: dict[str, dict[str, Any]] = {}
    rates: dict[str, list[float]] = {}
    for line in lines:
        for actor, spent in line.get("actors", {}).items() if line["kind"] == "epoch" else ():
            for source, counts in spent.get("edges", {}).items():
                edge = edges.setdefault(f"{source} → {actor}", {name: np.zeros(BINS, int) for name in AGES})
                for name in AGES:
                    edge[name] += np.asarray(counts[name])
            if "updates_per_second" in spent:
                rates.setdefault(actor, []).append(spent["updates_per_second"])
    if not edges:
        return
    lower = np.asarray(lower_edges())
    lower[0] = lower[1] / 10 ** (1 / PER_DECADE)
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
    for (name, unit), axis in zip(AGES.items(), axes, strict=False):
        for index, (label, edge) in enumerate(edges.items()):
            total = max(int(edge[name].sum()), 1)
            axis.stairs(100 * edge[name][:-1] / total, lower, color=f"C{index % 10}", label=label, linewidth=1.4)
        filled = np.flatnonzero(sum(edge[name] for edge in edges.values()))
        axis.set_xscale("log")
        axis.set_xlim(lower[max(filled[0] - 1, 0)], lower[min(filled[-1] + 2, len(lower) - 1)])
        dress(axis, "updates (%)", f"age of what an update read ({unit})")
    axes[0].legend(frameon=False, title="from → to")
    for actor, series in rates.items():
        axes[2].plot(range(1, len(series) + 1), series, marker=".", label=actor)
    axes[2].set_ylim(bottom=0)
    axes[2].legend(frameon=False)
    over_epochs(axes[2], "updates a second")
    figure.suptitle(title)
    written(figure, path)


def probed(series: dict[str, Any], path: Path, title: str) -> None:
    """Compartments of probed neurons over ticks: a⁺ and a⁻ above, m and d below, one column a block.

    Parameters
    ----------
    series
        Arrays by ``block/name``, as a run's ``probes`` folder holds them.
    """
    blocks = sorted({key.split("/")[0] for key in series})
    figure, axes = plt.subplots(
        3, len(blocks), figsize=(3.6 * len(blocks) + 1, 7), squeeze=False, layout="constrained", sharex="col"
    )
    for column, block in enumerate(blocks):
        ticks = series[f"{block}/ticks"]
        for neuron in range(series[f"{block}/plus"].shape[2]):
            colour = f"C{neuron % 10}"
            plus, minus = (np.asarray(series[f"{block}/{name}"])[:, 0, neuron] for name in ("plus", "minus"))
            axes[0, column].plot(ticks, plus, color=colour)
            axes[0, column].plot(ticks, minus, color=colour, linestyle="--")
            axes[1, column].plot(ticks, series[f"{block}/mean"][:, 0, neuron], color=colour)
            axes[2, column].plot(ticks, series[f"{block}/difference"][:, 0, neuron], color=colour)
        axes[0, column].set_title(block)
        axes[2, column].set_xlabel("tick")
    for row, label in enumerate(("a⁺ (solid), a⁻ (dashed)", "mean m", "difference d")):
        axes[row, 0].set_ylabel(label)
        for axis in axes[row]:
            dress(axis)
    figure.suptitle(title)
    written(figure, path)


def dress(axis: Axes, label: str | None = None, below: str | None = None) -> None:
    """The house style of an axis: no frame above and to the right, labels beside and below."""
    axis.spines["top"].set_visible(False)
    axis.spines["right"].set_visible(False)
    if label is not None:
        axis.set_ylabel(label)
    if below is not None:
        axis.set_xlabel(below)


def over_epochs(axis: Axes, label: str) -> None:
    """An axis of a quantity over epochs, which are whole numbers however few there are."""
    dress(axis, label, "epoch")
    axis.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))


def colour_of(index: int, count: int) -> tuple[float, ...]:
    """One of `count` colours in a row, for a quantity that runs through them."""
    return tuple(mpl.colormaps["coolwarm"](index / max(count - 1, 1)))


def panels(rows: int, columns: int, size: tuple[float, float]) -> tuple[Figure, NDArray[Any]]:
    """A figure of `size` inches and its axes, shape (rows, columns)."""
    figure, axes = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)
    return figure, axes


def written(figure: Figure, path: Path) -> None:
    """Write a picture, whole or not at all, and forget it."""
    with whole(path) as fresh:
        figure.savefig(fresh, dpi=110, format=path.suffix[1:])
    plt.close(figure)
