"""Data sets in memory: images stay bytes until a minibatch needs them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.data.images import AS_THEY_ARE, AugmentSpec, Moves, Normalisation, Shape, moved, moves_of, normalisation
from dyadnet.data.noise import standard_normal
from dyadnet.errors import ConfigError
from dyadnet.numerics.scores import Scale, variance

MOST_CHANNELS = 4
"""That a last axis is taken for channels up to, where the first is longer."""
CHANNELS, LEAST_PIXELS = (1, 3), 3
"""What targets that are images may have: grey, or red, green and blue; and how high and wide they are at least."""
_ENOUGH = 5
"""Samples a class of which each should be there."""


@dataclass(frozen=True)
class Split:
    """One part of a data set.

    Attributes
    ----------
    images
        Shape (samples, features), C-contiguous, in their own type.
    labels
        Targets. Classes: shape (samples,), int64, from 0. Numbers (regression): shape (samples, outputs), floats, or
        bytes of images.
    """

    images: NDArray[Any]
    labels: NDArray[Any]


@dataclass(frozen=True, slots=True)
class Numbers:
    """What is known of targets that are numbers.

    Attributes
    ----------
    shape
        Of one sample's target, as the data have it: () for one number, (k,) for k of them, (c, h, w) for an image. A
        network gives its numbers in C order.
    lowest, highest
        Of all numbers of both parts, scaled.
    scale
        What raw values are multiplied by to become targets.
    variances
        Of the targets of ``train``, ``validation`` and ``test``, each a mean over outputs; none until a run's split is
        known, see `Dataset.shape_for`.
    """

    shape: tuple[int, ...]
    lowest: float
    highest: float
    scale: float = 1.0
    variances: Mapping[str, float] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Numbers of one target."""
        return math.prod(self.shape)

    @property
    def image(self) -> Shape | None:
        """Shape of a target that is an image: of values from 0 to 1, of an `image_target`; None of all others."""
        return image_target(self.shape) if self.lowest >= 0 and self.highest <= 1 else None

    def measure(self, part: str) -> Scale:
        """What errors on a part are measured by."""
        return Scale(self.count, self.variances.get(part, math.nan), self.image is not None)


@dataclass(frozen=True, slots=True)
class DataShape:
    """The sizes of a data set: all that whoever never touches a sample needs to know.

    Attributes
    ----------
    outputs
        Outputs that it asks of a network: classes, or numbers of a target.
    train, test
        Samples in each part.
    scale, dtype
        What raw values are multiplied by to become network inputs, and their type.
    numbers
        What targets are made of, if they are numbers; None if they are classes.
    shape
        Of an image, (channels, height, width); None if samples are rows of numbers.
    normalisation
        Of the channels of images, if inputs are normalised.
    """

    name: str
    features: int
    outputs: int
    train: int
    test: int
    scale: float = 1.0
    dtype: str = "float64"
    numbers: Numbers | None = None
    shape: Shape | None = None
    normalisation: Normalisation | None = None


@dataclass(frozen=True)
class Dataset:
    """A training and a test part.

    Attributes
    ----------
    scale
        What raw values are multiplied by to become network inputs.
    classes
        Number of classes; 0 if targets are numbers.
    notes
        What a user should know of the samples, in words.
    names
        The labels that a user knows the classes by, in the order of the outputs; none if they are 0, 1, 2, ….
    numbers
        What targets are made of, if they are numbers; None if they are classes.
    shape
        Of an image, (channels, height, width), in C order within a row of features; None for tables of features.
    noise
        Standard deviation of the Gaussian noise that inputs have, in input units; 0: none. See
        `dyadnet.data.noise`.
    normalisation
        What inputs are normalised by after they are scaled and have their noise; None: by nothing. See `normalised`.
    augment
        How images are flipped and shifted where they are trained on; see `varied`.
    """

    name: str
    train: Split
    test: Split
    scale: float
    classes: int
    notes: tuple[str, ...] = ()
    names: tuple[Any, ...] = ()
    numbers: Numbers | None = None
    shape: Shape | None = None
    noise: float = 0.0
    normalisation: Normalisation | None = None
    augment: AugmentSpec = AS_THEY_ARE

    @property
    def outputs(self) -> int:
        """Outputs that it asks of a network: classes, or numbers of a target."""
        return self.classes if self.numbers is None else self.numbers.count

    @property
    def image(self) -> Shape | None:
        """Shape of a target that is an image; None if targets are none. See `Numbers.image`."""
        return None if self.numbers is None else self.numbers.image

    @property
    def labels(self) -> tuple[Any, ...]:
        """What a user calls each class, in the order of the outputs."""
        return self.names or tuple(range(self.classes))

    @property
    def features(self) -> int:
        """Numbers in a sample."""
        return int(self.train.images.shape[1])

    @property
    def sizes(self) -> DataShape:
        """Its sizes."""
        samples = len(self.train.labels), len(self.test.labels)
        found = DataShape(self.name, self.features, self.outputs, *samples, self.scale, self.train.images.dtype.name)
        return replace(found, numbers=self.numbers, shape=self.shape, normalisation=self.normalisation)

    def shape_for(self, seed: int, fraction: float) -> DataShape:
        """Its sizes and, if targets are numbers, their variances in the parts that a run makes of it.

        Parameters
        ----------
        seed, fraction
            Of the split; see `validation_split`.
        """
        sizes = self.sizes
        if self.numbers is None:
            return sizes
        train, validation = validation_split(sizes.train, seed, fraction)
        parts = {"train": self.train.labels[train], "validation": self.train.labels[validation]}
        parts["test"] = self.test.labels
        found = {name: variance(targets, self.numbers.scale) for name, targets in parts.items()}
        return replace(sizes, numbers=replace(self.numbers, variances=found))

    def part(self, name: str) -> Split:
        """The split that holds a part: validation rows are rows of the training split."""
        return self.test if name == "test" else self.train

    def inputs(
        self, part: str, rows: NDArray[np.int64], dtype: np.dtype[Any], drawn: tuple[int, int] = (0, 0)
    ) -> NDArray[Any]:
        """Network inputs of some rows of a part, shape (rows, features).

        They are flipped and shifted, scaled, given their noise, then normalised.

        Parameters
        ----------
        drawn
            The run's seed, and the epoch that is trained, from 1, which flips, shifts and noise depend on; 0 where
            nothing is learned: images as they are, with noise that no seed changes.
        """
        moves = self._moves(rows, drawn)
        images = self.part(part).images[rows]
        if moves is not None and self.shape is not None:
            images = moved(images, self.shape, moves)
        inputs = scaled(images, dtype, self.scale)
        if self.noise:
            inputs += (self.noise * standard_normal(part, rows, self.features, *drawn)).astype(dtype)
        return inputs if self.normalisation is None else self.normalisation.of(inputs)

    def _moves(self, rows: NDArray[np.int64], drawn: tuple[int, int]) -> Moves | None:
        seed, epoch = drawn
        if not epoch or self.augment.neutral:
            return None
        return moves_of(self.augment, seed, epoch, len(self.train.labels)).of(rows)

    def normalised(self) -> Dataset:
        """The same set with inputs of mean 0 and variance 1 in each channel of the training part.

        Raises
        ------
        ConfigError
            If its samples are no images, or a channel is the same everywhere.
        """
        return replace(self, normalisation=normalisation(self.train.images, self.shape, self.scale, self.name))

    def varied(self, augment: AugmentSpec) -> Dataset:
        """The same set whose images are flipped and shifted wherever they are trained on.

        Raises
        ------
        ConfigError
            If its samples are no images, or smaller than the shift.
        """
        augment.check(self.name, self.shape)
        return replace(self, augment=augment)

    def targets(
        self, split: Split, rows: NDArray[np.int64], dtype: np.dtype[Any], drawn: tuple[int, int] = (0, 0)
    ) -> NDArray[Any]:
        """What outputs are to become of some rows, shape (rows, outputs): one-hot classes, or scaled numbers.

        Targets that are images as high and wide as the inputs are flipped and shifted with these.

        Parameters
        ----------
        drawn
            See `inputs`.
        """
        if self.numbers is None:
            return one_hot(split.labels[rows], self.classes, dtype)
        raw, shape, moves = split.labels[rows], image_shape(self.numbers.shape), self._moves(rows, drawn)
        if moves is not None and shape is not None and self.shape is not None and shape[1:] == self.shape[1:]:
            raw = moved(raw, shape, moves)
        return scaled(raw, dtype, self.numbers.scale)

    def limited(self, train: int | None = None, test: int | None = None) -> Dataset:
        """The same set with only the first samples of each part; that some classes are not among them is noted.

        Raises
        ------
        ConfigError
            If there are not so many.
        """
        parts = {}
        notes = list(self.notes)
        for part, limit in (("train", train), ("test", test)):
            split = self.part(part)
            if limit is None:
                parts[part] = split
                continue
            if not 1 <= limit <= len(split.labels):
                raise ConfigError(f"data.limit_{part}", limit, f"a number from 1 to {len(split.labels)}")
            parts[part] = Split(split.images[:limit], split.labels[:limit])
            if self.numbers is not None:
                continue
            there, left = np.unique(split.labels).size, np.unique(split.labels[:limit]).size
            # So few that are tested on miss some by chance.
            if left < there and (part == "train" or limit >= _ENOUGH * there):
                what = f"the first {limit} samples are of {left} classes, all {len(split.labels)} are of {there}"
                notes.append(f"data.limit_{part}: {what}; are they sorted? shuffle the file, or take more")
        return replace(self, train=parts["train"], test=parts["test"], notes=tuple(notes))


def image_target(shape: tuple[int, ...]) -> Shape | None:
    """(channels, height, width) of a target that is an image; None if it is none.

    An image has shape (height, width), or (channels, height, width) with 1 or 3 channels, and at least 3 pixels either
    way.
    """
    whole = image_shape(shape)
    return whole if whole and whole[0] in CHANNELS and min(whole[1:]) >= LEAST_PIXELS else None


def image_shape(shape: tuple[int, ...]) -> Shape | None:
    """(channels, height, width) of a sample of shape (height, width) or (channels, height, width); None if it is none.

    Samples with their channels last, (height, width, channels), are no images here: their numbers lie in another order.
    """
    whole = (1, *shape) if len(shape) == 2 else shape
    if len(whole) != 3 or (whole[0] > MOST_CHANNELS >= whole[2]):
        return None
    return whole[0], whole[1], whole[2]


def minibatch(split: Split, rows: NDArray[np.int64], dtype: np.dtype[Any], scale: float) -> NDArray[Any]:
    """Network inputs of some rows, shape (rows, features)."""
    return scaled(split.images[rows], dtype, scale)


def scaled(raw: NDArray[Any], dtype: np.dtype[Any], scale: float) -> NDArray[Any]:
    """A copy of raw values in another type, multiplied by `scale`."""
    values = raw.astype(dtype)
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
