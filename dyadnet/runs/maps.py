"""What neurons with a shape say of one test sample: feature maps, which a run keeps for its report."""

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
    """Write the image and the means that it settles to, each of the shape (channels, height, width).

    Raises
    ------
    RunFolderError
        If they cannot be written.
    """
    with whole(run / MAPS) as fresh, fresh.open("wb") as file:
        np.savez_compressed(file, **dict(arrays))  # type: ignore[arg-type]


def read(run: Path) -> Arrays:
    """What `keep` wrote; nothing where it wrote nothing.

    Raises
    ------
    ArraysError
        If the file is damaged.
    OSError
        If it cannot be read.
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
    """Shape of the images that a run was trained on, (channels, height, width), as far as its maps tell."""
    try:
        found = read(run).get(INPUT)
    except (ArraysError, OSError):
        return None
    return None if found is None else found.shape
