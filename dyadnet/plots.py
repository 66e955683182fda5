"""Pictures of a run, drawn from its record."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

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
    _dress(loss, "loss", "epoch")
    loss.set_yscale("log")
    _dress(error, "error (%)", "epoch")
    error.set_yscale("log")
    error.legend(frameon=False)
    sweeps.plot(x, [line["train"]["sweeps"] for line in epochs], color="#222222", marker=".", label="mean")
    sweeps.plot(x, [line["train"]["most_sweeps"] for line in epochs], color="#bbbbbb", marker=".", label="most")
    sweeps.set_ylim(bottom=0)
    _dress(sweeps, "sweeps to settle a minibatch", "epoch")
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
    _dress(saturated, "saturated compartments (%)", "epoch")
    saturated.legend(frameon=False)
    figure.suptitle(title)
    figure.savefig(path, dpi=110)
    plt.close(figure)


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
            _dress(axis)
    figure.suptitle(title)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _dress(axis: Axes, label: str | None = None, below: str | None = None) -> None:
    axis.spines["top"].set_visible(False)
    axis.spines["right"].set_visible(False)
    if label is not None:
        axis.set_ylabel(label)
    if below is not None:
        axis.set_xlabel(below)
