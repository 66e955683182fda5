"""The probes in a report: trajectories of neurons, tick by tick, from a few of the recordings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dyadnet.config import RunConfig
from dyadnet.dynamics.probes import SERIES
from dyadnet.files.arrays import ArraysError, read
from dyadnet.network.topology import Topology
from dyadnet.runs.folder import PROBES

RECORDINGS = 4
"""Largest number of relaxations shown, evenly spaced over the run, including the first and the last."""
NEURONS = 4
"""Largest number of neurons shown of a block."""
TICKS = 240
"""Largest number of firings in a curve, evenly spaced."""


def probes(run: Path, config: RunConfig | None, missing: list[str]) -> list[dict[str, Any]]:
    """Return recordings of the first probed sample: ``relaxation``, and ``blocks`` with their ticks and neurons.

    Parameters
    ----------
    missing
        Messages about damaged recordings are appended to this list.
    """
    try:
        files = sorted((run / PROBES).glob("[0-9]*.npz"))
    except OSError:
        return []
    found = []
    for file in _some(files, RECORDINGS):
        try:
            series = dict(read(file))
            names = sorted({key.split("/")[0] for key in series})
            blocks = [_block(name, series, _indices(config, name), _extent(config, name)) for name in names]
            found.append({"relaxation": int(file.stem), "blocks": blocks})
        except (ArraysError, OSError, KeyError, IndexError, TypeError, ValueError) as problem:
            missing.append(f"{PROBES}/{file.name}: damaged ({' '.join(str(problem).split())[:200]})")
    return found


def _block(name: str, series: Mapping[str, Any], indices: list[int], extent: tuple[int, ...]) -> dict[str, Any]:
    ticks = np.asarray(series[f"{name}/ticks"], dtype=np.int64)
    picked = _some(list(range(len(ticks))), TICKS)
    values = {kind: np.asarray(series[f"{name}/{kind}"], dtype=np.float64)[:, 0, :] for kind in SERIES}
    count = min(NEURONS, values[SERIES[0]].shape[1])
    neurons = [
        _named(indices[number] if number < len(indices) else number, extent)
        | {kind: [float(f"{value:.5g}") for value in array[picked, number]] for kind, array in values.items()}
        for number in range(count)
    ]
    return {"block": name, "ticks": ticks[picked].tolist(), "neurons": neurons, "probed": values[SERIES[0]].shape[1]}


def _named(index: int, extent: tuple[int, ...]) -> dict[str, Any]:
    """Return a neuron's index in its block, and its channel, row and column if its population has a shape."""
    if len(extent) != 3 or index >= math.prod(extent):
        return {"index": index}
    return {"index": index, "place": [int(number) for number in np.unravel_index(index, extent)]}


def _extent(config: RunConfig | None, block: str) -> tuple[int, ...]:
    """Return channels, height and width of a block; empty if unknown."""
    spec = None if config is None else Topology(config.network).blocks.get(block)
    if spec is None or spec.population.shape is None:
        return ()
    return (spec.size // spec.population.area, *spec.population.shape[1:])


def _indices(config: RunConfig | None, block: str) -> list[int]:
    """Return the indices of the probed neurons of a block; empty if unknown."""
    return [] if config is None else config.probe.neurons.get(block, [])


def _some(things: list[Any], most: int) -> list[Any]:
    """Return at most `most` items, evenly spaced, including both ends."""
    if len(things) <= most:
        return things
    return [things[round(index * (len(things) - 1) / (most - 1))] for index in range(most)]
