"""A few test images of a run whose targets are images: network inputs, outputs and targets."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.data import Data, Dataset, image_target
from dyadnet.errors import DataError
from dyadnet.runs.folder import IMAGES, saved_weights, whole
from dyadnet.runs.loading import load_data
from dyadnet.runs.weights import MANIFEST
from dyadnet.training.inference import as_evaluated

if TYPE_CHECKING:
    from dyadnet.training.run import Run

SHOWN = 8
"""Number of images, the first ones of the test part."""


class NoImagesError(DataError):
    """Raised if targets are not images."""


def images(run: Run, data: Data | None = None, *, dataset: Dataset | None = None) -> dict[str, NDArray[np.float32]]:
    """Return ``input`` (if it is an image), ``output`` and ``target`` of the first test images, (images, c, h, w) each.

    Inputs have the same noise as in evaluations, and outputs settle as in evaluations, under the run's weights (the
    best on validation by default).

    Parameters
    ----------
    run
        A run that has saved weights.
    data
        The same data again, if the run was trained on data in memory.
    dataset
        The run's data set from `load_data`, if it is already loaded.

    Raises
    ------
    NoImagesError
        If the run's targets are not images.
    UsageError
        If data or weights cannot be read.
    """
    shape = run.target_shape
    if shape is None or image_target(shape) is None:
        kind = "classes" if shape is None else f"numbers of shape {shape}"
        raise NoImagesError(f"{run.path}: its targets are {kind}, not images; {_LEGAL}")
    dataset = load_data(run.config, data) if dataset is None else dataset
    if dataset.image is None:
        raise NoImagesError(f"{run.path}: its targets go beyond 0 to 1, so they are not images; {_LEGAL}")
    rows, dtype = np.arange(min(SHOWN, len(dataset.test.labels))), np.dtype(np.float64)
    # `settled` normalises inputs, so leave it out here.
    inputs = replace(dataset, normalisation=None).inputs("test", rows, dtype)
    found: dict[str, NDArray[Any]] = {} if dataset.shape is None else {"input": inputs.reshape(-1, *dataset.shape)}
    outputs = run.settled(as_evaluated(run.config), inputs)
    targets = dataset.targets(dataset.test, rows, dtype)
    found |= {"output": outputs.reshape(-1, *dataset.image), "target": targets.reshape(-1, *dataset.image)}
    return {name: array.astype(np.float32) for name, array in found.items()}


_LEGAL = "images have shape (height, width) or (1 or 3 channels, height, width) and values from 0 to 1"


def keep(run: Run, *, dataset: Dataset | None = None) -> None:
    """Write `images` into the run's folder, if its targets are images and it has saved weights.

    Raises
    ------
    UsageError
        If the data cannot be read.
    DivergedError
        If the images do not settle.
    RunFolderError
        If the file cannot be written.
    """
    if not (saved_weights(run.path, run.which) / MANIFEST).exists() or image_target(run.target_shape or ()) is None:
        return
    try:
        found: dict[str, Any] = images(run, dataset=dataset)
    except NoImagesError:
        return
    with whole(run.path / IMAGES) as fresh, fresh.open("wb") as file:
        np.savez_compressed(file, **found)
