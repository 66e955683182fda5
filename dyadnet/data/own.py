"""Convert a user's own arrays to a data set, check them, and warn about unusual values.

Targets are classes (whole numbers of shape (samples,)) or numbers (regression). Numbers are floats of shape
(samples, …), or bytes of images, which are scaled by 1/255 like bytes of samples.

Samples of shape (n, height, width) are images of one channel. Those of shape (n, channels, height, width) are images
of several channels.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.data.dataset import Dataset, Numbers, Split, image_shape, image_target
from dyadnet.errors import DataError
from dyadnet.numerics.scores import variance

_SPLIT_SEED = 0
"""Seed of the permutation whose last fifth becomes the test part if there is none."""
_CLASSES = 1000
"""Number of classes that is always accepted. More are accepted only if there are as many samples."""
_LISTED = 5
_FEW = 10
"""If float targets take at most this many different whole numbers, they may be meant as classes."""
_NARROW, _WIDE = 0.05, 20.0
"""Range of standard deviations of targets for which the learning rates and steps of the presets work."""

Part = tuple[str, NDArray[Any]]
"""An array with the name that the user gave it."""


def dataset(
    where: str,
    name: str,
    x: Part,
    y: Part,
    test: tuple[Part, Part] | None,
    dtype: str = "float64",
    classes: int | None = None,
) -> Dataset:
    """Build a data set from arrays and check them. Without a test part, a fixed fifth of the samples becomes one.

    Parameters
    ----------
    where
        The file or folder, for error messages.
    dtype
        Type in which the run computes.
    classes
        Number of classes, if targets are classes. Default: one more than the largest training label.

    Raises
    ------
    DataError
        Names the faulty array and row.
    """
    regression = are_numbers(y[1])
    shape = image_shape(x[1].shape[1:])
    images, labels = _part(where, x, y, dtype)
    if test is None:
        order = np.random.Generator(np.random.Philox(_SPLIT_SEED)).permutation(len(labels))
        kept = max(len(labels) // 5, 1)
        rows, others = order[len(labels) - kept :], order[: len(labels) - kept]
        images_test, labels_test, images, labels = images[rows], labels[rows], images[others], labels[others]
    else:
        if are_numbers(test[1][1]) != regression:
            kinds = f"{y[0]} holds {y[1].dtype}, {test[1][0]} {test[1][1].dtype}"
            raise DataError(f"{where}: {kinds}; give both as classes (whole numbers) or both as numbers (floats)")
        images_test, labels_test = _part(where, *test, dtype)
        of_test = test[0][0]
        if images_test.shape[1] != images.shape[1]:
            sizes = f"{of_test} has {images_test.shape[1]} features, {x[0]} {images.shape[1]}"
            raise DataError(f"{where}: {sizes}")
        if image_shape(test[0][1].shape[1:]) != shape:
            # If one part is flat, the image shape of the other part cannot be confirmed.
            shape = None
        if images_test.dtype != images.dtype:
            if np.uint8 in (images_test.dtype, images.dtype):
                kinds = f"{of_test} holds {images_test.dtype}, {x[0]} {images.dtype}"
                raise DataError(f"{where}: {kinds}; only bytes are scaled by 1/255, so make both the same")
            wide = np.promote_types(images_test.dtype, images.dtype)
            images_test, images = images_test.astype(wide), images.astype(wide)
    if len(labels) < 2:
        raise DataError(f"{where}: {len(labels)} samples to train on; at least 2 are needed")
    scale = _scale(images)
    if regression:
        parts = Split(images, labels), Split(images_test, labels_test)
        return replace(_of_numbers(where, name, parts, y, None if test is None else test[1], scale), shape=shape)
    classes = int(labels.max()) + 1 if classes is None else classes
    if classes < 2:
        raise DataError(f"{where}: {y[0]} holds one class only; at least 2 are needed")
    if labels_test.max() >= classes:
        of_test = y[0] if test is None else test[1][0]
        found = f"{of_test} holds label {int(labels_test.max())}, {y[0]} only labels up to {classes - 1}"
        raise DataError(f"{where}: {found}" + ("" if test else " in the samples that are trained on"))
    notes = _gaps(where, y[0], labels, classes)
    parts = Split(images, labels), Split(images_test, labels_test)
    return Dataset(name, *parts, scale, classes, notes, shape=shape)


def are_numbers(y: NDArray[Any]) -> bool:
    """Whether targets are numbers (regression) rather than classes: floats, or bytes of images."""
    return y.dtype.kind == "f" or (y.dtype == np.uint8 and y.ndim > 2)


def _of_numbers(
    where: str, name: str, parts: tuple[Split, Split], y: Part, y_test: Part | None, scale: float
) -> Dataset:
    """Build a data set with numeric targets from checked arrays."""
    train, test = parts
    shape = tuple(map(int, y[1].shape[1:]))
    if shape == (1,):
        shape = ()
    if y_test is not None and test.labels.shape[1] != train.labels.shape[1]:
        sizes = f"{y_test[0]} has targets of shape {y_test[1].shape[1:]}, {y[0]} of {y[1].shape[1:]}"
        raise DataError(f"{where}: {sizes}")
    if test.labels.dtype != train.labels.dtype:
        if np.uint8 in (test.labels.dtype, train.labels.dtype):
            kinds = f"{y_test[0] if y_test else 'y_test'} holds {test.labels.dtype}, {y[0]} {train.labels.dtype}"
            raise DataError(f"{where}: {kinds}; only bytes are scaled by 1/255, so make both the same")
        wide = np.promote_types(test.labels.dtype, train.labels.dtype)
        train, test = (Split(part.images, part.labels.astype(wide)) for part in (train, test))
    factor = _scale(train.labels)
    low = min(float(part.labels.min()) for part in (train, test)) * factor
    high = max(float(part.labels.max()) for part in (train, test)) * factor
    notes = _odd_numbers(where, y[0], train.labels, factor)
    if image_target(shape) is not None and (low < 0 or high > 1):
        what = f"{y[0]} has the shape of images and goes from {low:.3g} to {high:.3g}, so there is no PSNR and no SSIM"
        notes += (f"{where}: {what}; for these, bring its values to 0 to 1",)
    return Dataset(name, train, test, scale, 0, notes, numbers=Numbers(shape, low, high, factor))


def _odd_numbers(where: str, key: str, targets: NDArray[Any], scale: float) -> tuple[str, ...]:
    """Return notes for the user about unusual numeric targets."""
    if targets.dtype == np.uint8:
        return ()
    notes = []
    if targets.shape[1] == 1 and len(found := np.unique(targets)) <= _FEW and (found == np.round(found)).all():
        what = (
            f"{key} holds {len(found)} different whole numbers, as {targets.dtype}: they are taken as numbers to meet"
        )
        notes.append(f"{where}: {what}; if they are classes, give them as integers")
    if targets.shape[1] > 1 and ((targets == 0) | (targets == 1)).all() and (targets.sum(axis=1) == 1).all():
        what = f"{key} holds a single 1 in every row: it is taken as {targets.shape[1]} numbers to meet"
        notes.append(f"{where}: {what}; if they are classes, give their numbers, y.argmax(axis=1)")
    spread = math.sqrt(variance(targets, scale))
    if not _NARROW <= spread <= _WIDE:
        what = f"{key} has a standard deviation of {spread:.3g}, and networks learn best from about 1"
        notes.append(f"{where}: {what}; subtract the mean, divide by the deviation, and undo that in predictions")
    return tuple(notes)


def _scale(array: NDArray[Any]) -> float:
    return 1.0 / 255.0 if array.dtype == np.uint8 else 1.0


def _part(where: str, x: Part, y: Part, dtype: str) -> tuple[NDArray[Any], NDArray[Any]]:
    images = _samples(where, *x)
    labels = _numbers(where, *y, dtype) if are_numbers(y[1]) else _labels(where, *y)
    _check_range(where, x[0], images, np.dtype(dtype))
    if len(images) != len(labels):
        raise DataError(f"{where}: {x[0]} has {len(images)} samples, {y[0]} {len(labels)}")
    return images, labels


def _gaps(where: str, key: str, labels: NDArray[np.int64], classes: int) -> tuple[str, ...]:
    counts = np.bincount(labels, minlength=classes)
    empty = np.flatnonzero(counts == 0)
    if not empty.size:
        return ()
    listed = ", ".join(str(label) for label in empty[:_LISTED]) + (", …" if empty.size > _LISTED else "")
    which = f"class {listed}, though" if empty.size == 1 else f"{empty.size} classes ({listed}), though"
    return (f"{where}: {key} has no sample of {which} labels go up to {classes - 1}: {classes} outputs",)


def _samples(where: str, key: str, array: NDArray[Any]) -> NDArray[Any]:
    if array.ndim < 2 or array.shape[0] == 0 or array.size == 0:
        raise DataError(f"{where}: {key} has shape {array.shape}; expected (samples, features)")
    if array.dtype.kind not in "uif":
        raise DataError(f"{where}: {key} holds {array.dtype}; expected numbers")
    return _flat(where, key, array)


def _numbers(where: str, key: str, array: NDArray[Any], dtype: str) -> NDArray[Any]:
    """Return checked numeric targets, shape (samples, outputs)."""
    if array.ndim == 0 or array.size == 0:
        raise DataError(f"{where}: {key} has shape {array.shape}; expected a number, or several, a sample")
    targets = _flat(where, key, array)
    _check_range(where, key, targets, np.dtype(dtype))
    return targets


def _flat(where: str, key: str, array: NDArray[Any]) -> NDArray[Any]:
    """Check that numbers are finite. Return them with shape (samples, numbers), as bytes, float32 or float64."""
    flat = np.ascontiguousarray(array.reshape(array.shape[0], -1))
    if flat.dtype == np.uint8:
        return flat
    bad = ~np.isfinite(flat)
    if bad.any():
        row = int(np.flatnonzero(bad.any(axis=1))[0])
        raise DataError(f"{where}: {key} holds {int(bad.sum())} NaN or infinite values, the first in row {row}")
    if flat.dtype != np.float64:
        _check_range(where, key, flat, np.dtype(np.float32))
        flat = flat.astype(np.float32)
    return flat


def _check_range(where: str, key: str, array: NDArray[Any], dtype: np.dtype[Any]) -> None:
    """Check that numbers stay finite in the type in which the run computes."""
    if array.dtype.kind != "f" or array.dtype.itemsize <= dtype.itemsize:
        return
    largest = float(np.finfo(dtype).max)
    rows = np.flatnonzero((np.abs(array) > largest).any(axis=1))
    if rows.size:
        remedy = "divide them, or compute in more by --set dynamics.dtype=float64"
        raise DataError(
            f"{where}: {key} holds values beyond {largest:.2g} ({dtype}), the first in row {rows[0]}; {remedy}"
        )


def _labels(where: str, key: str, array: NDArray[Any]) -> NDArray[np.int64]:
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or array.dtype.kind not in "uib":
        found = f"{key} has shape {array.shape} and type {array.dtype}"
        legal = "classes (whole numbers, one a sample) or numbers (floats, one or more a sample)"
        raise DataError(f"{where}: {found}; expected {legal}")
    for row in (int(array.argmin()), int(array.argmax())) if len(array) else ():
        label = int(array[row])
        if label < 0:
            raise DataError(f"{where}: {key} holds label {label} in row {row}; labels start at 0")
        if label >= max(_CLASSES, len(array)):
            legal = f"labels of {len(array)} samples must be below {max(_CLASSES, len(array))}"
            raise DataError(f"{where}: {key} holds label {label} in row {row}; {legal}")
    return array.astype(np.int64)
