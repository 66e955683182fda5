"""Writes the results of the experiment in real time: a CSV file and a picture."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from dyadnet.reporting.plots import dress, panels, spared, written
from dyadnet.runs.folder import whole
from dyadnet_actors.limits.measure import Edge

TABLE, PICTURE = "real.csv", "real.png"


def report(folder: Path, edges: Sequence[Edge]) -> list[Path]:
    """Write data and picture into a folder, each file completely or not at all; return the paths of the files."""
    with whole(folder / TABLE) as fresh, fresh.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Edge)], lineterminator="\n")
        writer.writeheader()
        for edge in edges:
            writer.writerow({key: f"{value:.6g}" for key, value in asdict(edge).items()})
    _draw(folder / PICTURE, edges)
    return [folder / TABLE, folder / PICTURE]


@spared
def _draw(path: Path, edges: Sequence[Edge]) -> None:
    figure, axes = panels(1, 2, (8.4, 3.6))
    _edges(axes[0, 0], edges)
    _ratios(axes[0, 1], edges)
    written(figure, path)


def _edges(axis: Any, edges: Sequence[Edge]) -> None:
    delays = np.array([edge.delay for edge in edges])
    line = np.linspace(0.0, 1.1 * delays.max(), 2)
    axis.plot(line, line * edges[0].theory / edges[0].delay, color="#888888", linewidth=1.2, label="theory")
    _bars(axis, delays, [(edge.unstable, edge.stable) for edge in edges])
    axis.legend(frameon=False, fontsize="small")
    dress(axis, "smallest stable T (ms)", "measured delay δ (ms)")


def _ratios(axis: Any, edges: Sequence[Edge]) -> None:
    pairs = [(edge.unstable / edge.theory, edge.stable / edge.theory) for edge in edges]
    _bars(axis, [edge.delay for edge in edges], pairs)
    axis.axhline(1.0, color="#bbbbbb", linewidth=0.8, zorder=0)
    axis.set_ylim(0.0, 1.1 * max(1.0, *(high for _, high in pairs)))
    dress(axis, "measured over theory", "measured delay δ (ms)")


def _bars(axis: Any, at: Any, pairs: Sequence[tuple[float, float]]) -> None:
    """Draw bars from the largest value that never settles to the smallest that does."""
    low, high = np.array(pairs).T
    middle = np.sqrt(low * high)
    axis.errorbar(at, middle, (middle - low, high - middle), color="#1f6fb4", fmt="o", capsize=3, label="actors")
