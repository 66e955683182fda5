"""Data sets in memory: images stay bytes until a minibatch needs them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.errors import ConfigError


@dataclass(frozen=True)
class Split:
    """One part of a data set.

    Attributes
    ----------
    images
        Shape (samples, features), C-contiguous, in their own type.
    labels
        Shape (samples,), int64, from 0.
    """

    images: NDArray[Any]
    labels: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class DataShape:
    """The sizes of a data set: all that whoever never touches a sample needs to know.

    Attributes
    ----------
    train, test
        Samples in each part.
    """

    name: str
    features: int
    classes: int
    train: int
    test: int


@dataclass(frozen=True)
class Dataset:
    """A training and a test part.

    Attributes
    ----------
    scale
        What raw values are multiplied by to become network inputs.
    classes
        Number of classes.
    """

    name: str
    train: Split
    test: Split
    scale: float
    classes: int

    @property
    def features(self) -> int:
        """Numbers in a sample."""
        return int(self.train.images.shape[1])

    @property
    def shape(self) -> DataShape:
        """Its sizes."""
        return DataShape(self.name, self.features, self.classes, len(self.train.labels), len(self.test.labels))

    def part(self, name: str) -> Split:
        """The split that holds a part: validation rows are rows of the training split."""
        return self.test if name == "test" else self.train

    def limited(self, train: int | None = None, test: int | None = None) -> Dataset:
        """The same set with only the first samples of each part.

        Raises
        ------
        ConfigError
            If there are not so many.
        """
        parts = {}
        for part, limit in (("train", train), ("test", test)):
            split = self.part(part)
            if limit is None:
                parts[part] = split
                continue
            if not 1 <= limit <= len(split.labels):
                raise ConfigError(f"data.limit_{part}", limit, f"a number from 1 to {len(split.labels)}")
            parts[part] = Split(split.images[:limit], split.labels[:limit])
        return replace(self, train=parts["train"], test=parts["test"])


def minibatch(split: Split, rows: NDArray[np.int64], dtype: np.dtype[Any], scale: float) -> NDArray[Any]:
    """Network inputs of some rows, shape (rows, features)."""
    values = split.images[rows].astype(dtype)
    if scale != 1.0:
        values *= dtype.type(scale)
    return values


def one_hot(labels: NDArray[np.int64], classes: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Targets of shape (labels, classes)."""
    targets = np.zeros((len(labels), classes), dtype=dtype)
    targets[np.arange(len(labels)), labels] = 1
    return targets


def validation_split(count: int, seed: int, fraction: float = 0.1) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to train on, and rows that choose the best weights: the last part of a seeded permutation.

    Parameters
    ----------
    count
        Samples in the training part.
    fraction
        Kept for validation; at least one row goes to either side.

    Raises
    ------
    ConfigError
        If there are fewer than two samples.
    """
    if count < 2:
        raise ConfigError("data.limit_train", count, "at least 2, one to train on and one to validate")
    order = np.random.Generator(np.random.Philox(seed)).permutation(count)
    kept = min(max(round(count * fraction), 1), count - 1)
    return order[: count - kept], order[count - kept :]
