"""Data that a program holds in memory (arrays of any library, pairs, or a `Dataset`), and how a run records them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, StrictBool, StrictInt, StrictStr, model_validator

from dyadnet.data.dataset import Dataset
from dyadnet.data.own import Part, are_numbers, dataset
from dyadnet.errors import ConfigError, DataError
from dyadnet.schema import Positive, Spec

MEMORY = "memory"
"""Name of data in memory in a configuration."""

Data = Dataset | tuple[Any, ...] | Sequence[Any]
"""A `Dataset`; a tuple ``(X, y)`` or ``(X, y, X_test, y_test)`` of arrays; or a sequence of pairs ``(x, y)``."""

Label = StrictBool | StrictInt | StrictStr


class MemorySpec(Spec):
    """A run's record of data that were given in memory. It distinguishes the same data from others.

    Attributes
    ----------
    train, test
        Shapes of the samples of both parts: (samples, features).
    dtype
        Type of the samples' values.
    classes
        The labels, in the order of the outputs; None if targets are numbers.
    targets
        Shape of one sample's target if targets are numbers: [] for one number; None if they are classes.
    target_dtype
        Type of the targets' values; None if targets are classes.
    sha256
        Hash of samples and labels of both parts; see `sha256`.
    """

    train: tuple[int, int]
    test: tuple[int, int]
    dtype: str
    classes: list[Label] | None = Field(None, min_length=2)
    targets: list[Positive] | None = None
    target_dtype: str | None = None
    sha256: str

    @model_validator(mode="after")
    def _one_kind(self) -> MemorySpec:
        if (self.classes is None) == (self.targets is None) or (self.targets is None) != (self.target_dtype is None):
            raise ValueError("give classes, or targets with target_dtype")
        return self


def as_dataset(data: Data, dtype: str = "float64", outputs: int | None = None) -> Dataset:
    """Build a data set from data that a program holds in memory.

    Arrays may come from any library that supports ``__array__``. Labels may be whole numbers, booleans or texts. Whole
    numbers from 0 without gaps are used as indices of the outputs. Other labels are numbered in sorted order, and
    `Dataset.names` keeps them. Floats, and bytes of images, are numeric targets (regression) rather than labels.
    Without a test part, a fixed fifth of the samples becomes the test part. Bytes are scaled by 1/255.

    Parameters
    ----------
    data
        ``(X, y)`` or ``(X, y, X_test, y_test)`` with X of shape (samples, …) and y of shape (samples,), or (samples, …)
        for numeric targets; or pairs ``(x, y)``, as a PyTorch data set yields them; or a `Dataset`, which is
        returned unchanged.
    dtype
        Type in which the run computes.
    outputs
        Number of output neurons of the network; None if the data determine it. If it is given, whole numbers below it
        are never renumbered, even if some class has no sample.

    Raises
    ------
    DataError
        If the data have none of these forms, or if an array, a label or a value cannot be used.
    """
    if isinstance(data, Dataset):
        return data
    parts = [_array(name, value) for name, value in zip(("X", "y", "X_test", "y_test"), _parts(data), strict=False)]
    x, y, *test = parts
    labels = [y, *test[1:]]
    if any(are_numbers(array) for array in labels):
        return dataset("data", MEMORY, ("X", x), ("y", y), _test(test), dtype)
    names = _names(labels, outputs)
    coded = [_coded(name, array, names) for name, array in zip(("y", "y_test"), labels, strict=False)]
    tested = _test([*test[:1], *coded[1:]])
    found = dataset("data", MEMORY, ("X", x), ("y", coded[0]), tested, dtype, len(names))
    if type(names[0]) is int and names == tuple(range(len(names))):
        return found
    empty = [names[code] for code in np.flatnonzero(np.bincount(found.train.labels, minlength=len(names)) == 0)]
    notes = (f"data: no sample to train on is of class {', '.join(map(str, empty[:5]))}",) if empty else ()
    return replace(found, names=names, notes=notes)


def described(data: Dataset) -> MemorySpec:
    """Return the record that a run keeps of its data."""
    shapes = [(len(split.labels), int(split.images.shape[1])) for split in (data.train, data.test)]
    return MemorySpec(
        train=shapes[0],
        test=shapes[1],
        dtype=data.train.images.dtype.name,
        classes=list(data.labels) if data.numbers is None else None,
        targets=None if data.numbers is None else list(data.numbers.shape),
        target_dtype=None if data.numbers is None else data.train.labels.dtype.name,
        sha256=sha256(data),
    )


def check_same(recorded: MemorySpec, data: Dataset) -> None:
    """Check that data are the same as those that a run was trained on.

    Raises
    ------
    ConfigError
        Names the first difference.
    """
    given = described(data)
    for field in MemorySpec.model_fields:
        was, now = getattr(recorded, field), getattr(given, field)
        if was != now:
            legal = f"the run was trained on data whose {field} is {was}; give it the same data"
            raise ConfigError(f"data.memory.{field}", now, legal)


def sha256(data: Dataset) -> str:
    """Return the SHA-256 over samples and targets of the training part, then of the test part, then over label names.

    If targets are numbers, the shape of one target takes the place of the names.

    Each array contributes first its type and shape, then its numbers as little-endian bytes in C order.
    """
    total = hashlib.sha256()
    for split in (data.train, data.test):
        for array in (split.images, split.labels):
            plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
            total.update(f"{array.dtype.name} {array.shape}".encode())
            total.update(plain.reshape(-1).data)
    total.update(repr(list(data.labels) if data.numbers is None else data.numbers.shape).encode())
    return total.hexdigest()


def _parts(data: Any) -> tuple[Any, ...]:
    """Return the two or four arrays in the given data."""
    if isinstance(data, tuple):
        if len(data) not in (2, 4):
            raise DataError(f"data: a tuple of {len(data)}; expected (X, y) or (X, y, X_test, y_test)")
        return data
    if isinstance(data, str | bytes) or not (hasattr(data, "__len__") and hasattr(data, "__getitem__")):
        what = f"data: {type(data).__name__}; expected (X, y), (X, y, X_test, y_test), or pairs (x, y)"
        raise DataError(
            what + ("; the name or path of a data set goes into data.name" if isinstance(data, str) else "")
        )
    if isinstance(data, dict) or hasattr(data, "__array__"):
        raise DataError(f"data: one {type(data).__name__}; expected (X, y) with the labels beside the samples")
    xs, ys = [], []
    for row in range(len(data)):
        try:
            x, y = data[row]
            xs.append(_array("x", x))
        except (TypeError, ValueError, IndexError, KeyError):
            raise DataError(f"data: item {row} is no pair (x, y)") from None
        if xs[-1].shape != xs[0].shape:
            raise DataError(f"data: x has shape {xs[-1].shape} in item {row}, {xs[0].shape} in item 0")
        ys.append(_target(row, y))
    if not xs:
        raise DataError("data: no samples; expected pairs (x, y)")
    return np.stack(xs), _together(ys)


def _target(row: int, y: Any) -> Any:
    """Convert the y of a pair to a label, a number, or an array of numbers."""
    if hasattr(y, "item") and np.ndim(y) == 0:
        return y.item()
    return _array("y", y) if hasattr(y, "__array__") else y


def _together(ys: list[Any]) -> Any:
    """Combine the targets of all pairs."""
    shapes = [np.shape(y) for y in ys]
    for row, shape in enumerate(shapes):
        if shape != shapes[0]:
            raise DataError(f"data: y has shape {shape} in item {row}, {shapes[0]} in item 0")
    return np.stack(ys) if shapes[0] else ys


def _test(arrays: Sequence[NDArray[Any]]) -> tuple[Part, Part] | None:
    """Return the test part of the given arrays, or None."""
    return (("X_test", arrays[0]), ("y_test", arrays[1])) if arrays else None


def _array(name: str, value: Any) -> NDArray[Any]:
    try:
        return np.asarray(value)
    except Exception as problem:  # Of whatever library it is.
        why = " ".join(str(problem).split())[:200]
        raise DataError(f"data: {name} is no array ({type(value).__name__}: {why})") from None


def _names(labels: list[NDArray[Any]], outputs: int | None) -> tuple[Any, ...]:
    """Return the labels in the order of their outputs."""
    found: set[Any] = set()
    for name, array in zip(("y", "y_test"), labels, strict=False):
        flat = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
        if flat.ndim != 1:
            what = f"{name} has shape {array.shape} and type {array.dtype}"
            raise DataError(f"data: {what}; expected one label a sample, of shape (samples,), or numbers as floats")
        values = [one.item() if isinstance(one, np.generic) else one for one in flat.tolist()]
        wrong = next((row for row, one in enumerate(values) if not isinstance(one, bool | int | str)), None)
        if wrong is not None:
            what = f"{name} holds {values[wrong]!r:.40} in row {wrong}, of type {type(values[wrong]).__name__}"
            legal = "labels (whole numbers, booleans or texts) or numbers (floats)"
            raise DataError(f"data: {what}; expected {legal}")
        found |= set(values)
    kinds = {type(one) for one in found}
    if len(kinds) > 1:
        raise DataError(
            f"data: y mixes labels of {' and '.join(sorted(kind.__name__ for kind in kinds))}; use one kind"
        )
    if kinds == {int} and outputs is not None and all(0 <= one < outputs for one in found):
        return tuple(range(outputs))
    return tuple(sorted(found))


def _coded(name: str, array: NDArray[Any], names: tuple[Any, ...]) -> NDArray[np.int64]:
    """Convert labels to indices of outputs, shape (samples,)."""
    number = {label: index for index, label in enumerate(names)}
    return np.array([number[one] for one in array.reshape(-1).tolist()], dtype=np.int64)
