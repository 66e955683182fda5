"""A user's own data: an ``.npz`` file with ``x`` and ``y``, and perhaps ``x_test`` and ``y_test``."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.data.dataset import Dataset, Split
from dyadnet.errors import DataError

_SPLIT_SEED = 0
"""Of the permutation whose last fifth becomes the test part of a file without one."""


def load(path: Path) -> Dataset:
    """Read a file; bytes are scaled by 1/255, floats are taken as they are.

    Raises
    ------
    DataError
        If the file, an array or a value in it cannot be used.
    """
    arrays = _arrays(path)
    for key in ("x", "y"):
        if key not in arrays:
            raise DataError(f"{path}: no array {key!r} in it, only {', '.join(sorted(arrays)) or 'nothing'}")
    if ("x_test" in arrays) != ("y_test" in arrays):
        raise DataError(f"{path}: x_test and y_test go together; give both or neither")
    x, y = _samples(path, "x", arrays["x"]), _labels(path, "y", arrays["y"])
    _same_length(path, "x", x, "y", y)
    if "x_test" in arrays:
        x_test, y_test = _samples(path, "x_test", arrays["x_test"]), _labels(path, "y_test", arrays["y_test"])
        _same_length(path, "x_test", x_test, "y_test", y_test)
        if x_test.shape[1] != x.shape[1] or x_test.dtype != x.dtype:
            raise DataError(
                f"{path}: x_test has {x_test.shape[1]} features of {x_test.dtype}, x {x.shape[1]} of {x.dtype}"
            )
    else:
        order = np.random.Generator(np.random.Philox(_SPLIT_SEED)).permutation(len(y))
        kept = max(len(y) // 5, 1)
        test, train = order[len(y) - kept :], order[: len(y) - kept]
        x_test, y_test, x, y = x[test], y[test], x[train], y[train]
    if len(y) < 2:
        raise DataError(f"{path}: {len(y)} samples to train on; at least 2 are needed")
    classes = int(y.max()) + 1
    if classes < 2:
        raise DataError(f"{path}: y holds one class only; at least 2 are needed")
    if y_test.max() >= classes:
        raise DataError(f"{path}: y_test holds label {int(y_test.max())}, y only labels up to {classes - 1}")
    scale = 1.0 / 255.0 if x.dtype == np.uint8 else 1.0
    return Dataset(path.stem, Split(x, y), Split(x_test, y_test), scale, classes)


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            if not hasattr(stored, "files"):
                raise DataError(f"{path}: a single array, not an .npz file with x and y")
            return {key: stored[key] for key in stored.files}
    except FileNotFoundError:
        raise DataError(f"{path}: not found; check --data") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as problem:
        raise DataError(f"{path}: not a readable .npz file ({problem}); write it with numpy.savez") from None


def _samples(path: Path, key: str, array: NDArray[Any]) -> NDArray[Any]:
    if array.ndim < 2 or array.shape[0] == 0 or array.size == 0:
        raise DataError(f"{path}: {key} has shape {array.shape}; expected (samples, features)")
    if array.dtype.kind not in "uif":
        raise DataError(f"{path}: {key} holds {array.dtype}; expected numbers")
    flat = np.ascontiguousarray(array.reshape(array.shape[0], -1))
    if flat.dtype == np.uint8:
        return flat
    if flat.dtype != np.float64:
        flat = flat.astype(np.float32)
    bad = ~np.isfinite(flat)
    if bad.any():
        row = int(np.flatnonzero(bad.any(axis=1))[0])
        raise DataError(f"{path}: {key} holds {int(bad.sum())} NaN or infinite values, the first in row {row}")
    return flat


def _labels(path: Path, key: str, array: NDArray[Any]) -> NDArray[np.int64]:
    if array.ndim != 1 or array.dtype.kind not in "ui":
        raise DataError(
            f"{path}: {key} has shape {array.shape} and type {array.dtype}; expected whole numbers, one a sample"
        )
    labels = array.astype(np.int64)
    if len(labels) and labels.min() < 0:
        raise DataError(f"{path}: {key} holds label {int(labels.min())}; labels start at 0")
    if len(labels) and labels.max() >= 100_000:
        raise DataError(f"{path}: {key} holds label {int(labels.max())}; labels must be below 100000")
    return labels


def _same_length(path: Path, one: str, x: NDArray[Any], other: str, y: NDArray[Any]) -> None:
    if len(x) != len(y):
        raise DataError(f"{path}: {one} has {len(x)} samples, {other} {len(y)}")
