"""Feature maps: settled means of populations with a shape for one test sample, kept for a run's report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.files.arrays import ArraysError
from dyadnet.files.arrays import read as read_arrays
from dyadnet.network.description import INPUT
from dyadnet.runs.folder import MAPS, whole
from dyadnet.synapses.base import Shape

Arrays = dict[str, NDArray[Any]]


def keep(run: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write the image and the settled means, each of the shape (channels, height, width).

    Raises
    ------
    RunFolderError
        If the file cannot be written.
    """
    with whole(run / MAPS) as fresh, fresh.open("wb") as file:
        np.savez_compressed(file, **dict(arrays))  # type: ignore[arg-type]


def read(run: Path) -> Arrays:
    """Read the arrays that `keep` wrote; an empty dict if there is no file.

    Raises
    ------
    ArraysError
        If the file is damaged.
    OSError
        If the file cannot be read.
    """
    try:
        found = dict(read_arrays(run / MAPS))
    except FileNotFoundError:
        return {}
    for name, array in found.items():
        if array.ndim != 3 or array.dtype.kind != "f" or not array.size or not np.isfinite(array).all():
            raise ArraysError(f"{name} is no feature map")
    return found


def image_of(run: Path) -> Shape | None:
    """Return the image shape (channels, height, width) of a run's samples from its maps; None if they have none."""
    try:
        found = read(run).get(INPUT)
    except (ArraysError, OSError):
        return None
    return None if found is None else found.shape
