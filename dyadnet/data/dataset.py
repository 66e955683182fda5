"""Data sets in memory. Images remain bytes until a minibatch needs them."""

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
"""Largest length of a last axis that is taken for channels if the first axis is longer."""
CHANNELS, LEAST_PIXELS = (1, 3), 3
"""Image targets have one of these numbers of channels (grey, or RGB), and at least so many pixels in each direction."""
_ENOUGH = 5
"""Least number of samples per class from which a missing class is reported."""


@dataclass(frozen=True)
class Split:
    """One part of a data set.

    Attributes
    ----------
    images
        Shape (samples, features), C-contiguous, in their original type.
    labels
        Targets. Classes: shape (samples,), int64, from 0. Numbers (regression): shape (samples, outputs), floats, or
        bytes of images.
    """

    images: NDArray[Any]
    labels: NDArray[Any]


@dataclass(frozen=True, slots=True)
class Numbers:
    """Properties of numeric targets.

    Attributes
    ----------
    shape
        Shape of one sample's target, as in the data: () for one number, (k,) for k numbers, (c, h, w) for an image. A
        network's outputs are these numbers in C order.
    lowest, highest
        Minimum and maximum of all scaled numbers of both parts.
    scale
        Factor from raw values to targets.
    variances
        Variance of the targets of ``train``, ``validation`` and ``test``, each averaged over outputs. Empty until a
        run's split is known, see `Dataset.shape_for`.
    """

    shape: tuple[int, ...]
    lowest: float
    highest: float
    scale: float = 1.0
    variances: Mapping[str, float] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Number of values in one target."""
        return math.prod(self.shape)

    @property
    def image(self) -> Shape | None:
        """Shape of a target that is an image (see `image_target`) with values from 0 to 1; None for other targets."""
        return image_target(self.shape) if self.lowest >= 0 and self.highest <= 1 else None

    def measure(self, part: str) -> Scale:
        """Return the scale by which errors on a part are measured."""
        return Scale(self.count, self.variances.get(part, math.nan), self.image is not None)


@dataclass(frozen=True, slots=True)
class DataShape:
    """Sizes of a data set: all that is needed by code that never touches a sample.

    Attributes
    ----------
    outputs
        Number of network outputs that the set needs: classes, or numbers of a target.
    train, test
        Number of samples in each part.
    scale, dtype
        Factor from raw values to network inputs, and the type of raw values.
    numbers
        Properties of numeric targets; None if targets are classes.
    shape
        Shape of an image, (channels, height, width); None if samples are rows of numbers.
    normalisation
        Normalisation of image channels, if inputs are normalised.
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
        Factor from raw values to network inputs.
    classes
        Number of classes; 0 if targets are numbers.
    notes
        Messages about the samples for the user.
    names
        The user's names of the classes, in the order of the outputs; empty if they are 0, 1, 2, ….
    numbers
        Properties of numeric targets; None if targets are classes.
    shape
        Shape of an image, (channels, height, width), in C order within a row of features; None for tables of features.
    noise
        Standard deviation of the Gaussian noise on inputs, in input units; 0: no noise. See `dyadnet.data.noise`.
    normalisation
        Normalisation of inputs, applied after scaling and noise; None: no normalisation. See `normalised`.
    augment
        How training images are flipped and shifted; see `varied`.
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
        """Number of network outputs that the set needs: classes, or numbers of a target."""
        return self.classes if self.numbers is None else self.numbers.count

    @property
    def image(self) -> Shape | None:
        """Shape of a target that is an image; None if targets are not images. See `Numbers.image`."""
        return None if self.numbers is None else self.numbers.image

    @property
    def labels(self) -> tuple[Any, ...]:
        """The user's names of the classes, in the order of the outputs."""
        return self.names or tuple(range(self.classes))

    @property
    def features(self) -> int:
        """Number of values in a sample."""
        return int(self.train.images.shape[1])

    @property
    def sizes(self) -> DataShape:
        """The sizes of this data set."""
        samples = len(self.train.labels), len(self.test.labels)
        found = DataShape(self.name, self.features, self.outputs, *samples, self.scale, self.train.images.dtype.name)
        return replace(found, numbers=self.numbers, shape=self.shape, normalisation=self.normalisation)

    def shape_for(self, seed: int, fraction: float) -> DataShape:
        """Return the sizes and, if targets are numbers, their variances in the parts that a run uses.

        Parameters
        ----------
        seed, fraction
            Parameters of the split; see `validation_split`.
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
        """Return the split that contains a part. Validation rows are rows of the training split."""
        return self.test if name == "test" else self.train

    def inputs(
        self, part: str, rows: NDArray[np.int64], dtype: np.dtype[Any], drawn: tuple[int, int] = (0, 0)
    ) -> NDArray[Any]:
        """Return the network inputs of some rows of a part, shape (rows, features).

        Images are flipped and shifted, then scaled, then noise is added, and then they are normalised.

        Parameters
        ----------
        drawn
            The run's seed, and the training epoch from 1. They determine flips, shifts and noise. Epoch 0 stands for
            evaluation: images are not moved, and the noise does not depend on the seed.
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
        """Return this set with inputs that have mean 0 and variance 1 in each channel of the training part.

        Raises
        ------
        ConfigError
            If the samples are not images, or a channel is constant.
        """
        return replace(self, normalisation=normalisation(self.train.images, self.shape, self.scale, self.name))

    def varied(self, augment: AugmentSpec) -> Dataset:
        """Return this set with training images that are flipped and shifted.

        Raises
        ------
        ConfigError
            If the samples are not images, or if the images are not larger than the shift.
        """
        augment.check(self.name, self.shape)
        return replace(self, augment=augment)

    def targets(
        self, split: Split, rows: NDArray[np.int64], dtype: np.dtype[Any], drawn: tuple[int, int] = (0, 0)
    ) -> NDArray[Any]:
        """Return the network targets of some rows, shape (rows, outputs): one-hot classes, or scaled numbers.

        Image targets of the same height and width as the inputs are flipped and shifted together with them.

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
        """Return this set with only the first samples of each part. A note reports classes that are lost.

        Raises
        ------
        ConfigError
            If a part has fewer samples than that.
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
            # A small test part may lack classes by chance.
            if left < there and (part == "train" or limit >= _ENOUGH * there):
                what = f"the first {limit} samples are of {left} classes, all {len(split.labels)} are of {there}"
                notes.append(f"data.limit_{part}: {what}; are they sorted? shuffle the file, or take more")
        return replace(self, train=parts["train"], test=parts["test"], notes=tuple(notes))


def image_target(shape: tuple[int, ...]) -> Shape | None:
    """Return (channels, height, width) of a target that is an image; None if it is not an image.

    An image has shape (height, width), or (channels, height, width) with 1 or 3 channels. It has at least 3 pixels in
    each direction.
    """
    whole = image_shape(shape)
    return whole if whole and whole[0] in CHANNELS and min(whole[1:]) >= LEAST_PIXELS else None


def image_shape(shape: tuple[int, ...]) -> Shape | None:
    """Return (channels, height, width) of a sample of shape (height, width) or (channels, height, width), else None.

    Samples with channels last, (height, width, channels), are not images here, because their values have another
    order.
    """
    whole = (1, *shape) if len(shape) == 2 else shape
    if len(whole) != 3 or (whole[0] > MOST_CHANNELS >= whole[2]):
        return None
    return whole[0], whole[1], whole[2]


def minibatch(split: Split, rows: NDArray[np.int64], dtype: np.dtype[Any], scale: float) -> NDArray[Any]:
    """Return the network inputs of some rows, shape (rows, features)."""
    return scaled(split.images[rows], dtype, scale)


def scaled(raw: NDArray[Any], dtype: np.dtype[Any], scale: float) -> NDArray[Any]:
    """Return a copy of raw values in another type, multiplied by `scale`."""
    values = raw.astype(dtype)
    if scale != 1.0:
        values *= dtype.type(scale)
    return values


def one_hot(labels: NDArray[np.int64], classes: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return one-hot targets of shape (labels, classes)."""
    targets = np.zeros((len(labels), classes), dtype=dtype)
    targets[np.arange(len(labels)), labels] = 1
    return targets


def validation_split(count: int, seed: int, fraction: float = 0.1) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split rows into training rows and validation rows: the validation rows end a seeded permutation.

    Parameters
    ----------
    count
        Number of samples in the training part.
    fraction
        Fraction that is set aside for validation. Each side gets at least one row.

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
