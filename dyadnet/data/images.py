"""What is done to images before a network sees them: normalisation by channel, and random flips and shifts.

Images are rows of c·h·w numbers in C order (channel, row, column). Everything here is a pure function of its arguments:
what is drawn depends on the run's seed, the epoch and the sample's row alone, so that engines, actors and runs that go
on draw the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dyadnet.errors import ConfigError
from dyadnet.numerics.rng import Stream
from dyadnet.schema import Spec

Shape = tuple[int, int, int]
"""Channels, height and width of an image."""
PURPOSE = "augment"
_ROWS = 1000
"""Images that a statistic is added up of at a time."""


class AugmentSpec(Spec):
    """How images are varied each time they are trained on.

    Attributes
    ----------
    flip
        Mirror every other image, on average, left to right.
    shift
        Move images by up to so many pixels in either direction, each as likely; what comes in is zero.
    """

    flip: bool = False
    shift: int = Field(0, ge=0)

    @property
    def neutral(self) -> bool:
        """Whether images stay as they are."""
        return not (self.flip or self.shift)

    def check(self, name: str, shape: Shape | None) -> None:
        """Whether this can be done to images of a shape.

        Parameters
        ----------
        name
            Of the data set.

        Raises
        ------
        ConfigError
            If the data are no images, or smaller than the shift.
        """
        if self.neutral:
            return
        field, value = ("flip", self.flip) if self.flip else ("shift", self.shift)
        _need_shape(f"data.augment.{field}", value, name, shape)
        if shape is not None and self.shift >= min(shape[1:]):
            legal = f"fewer pixels than images of {name} are high and wide ({shape[1]}×{shape[2]})"
            raise ConfigError("data.augment.shift", self.shift, legal)


AS_THEY_ARE = AugmentSpec()
"""Images are not varied."""


@dataclass(frozen=True, slots=True)
class Moves:
    """What is done to each of some images.

    Attributes
    ----------
    mirrored
        Whether it is mirrored, shape (images,).
    down, right
        Pixels that it is moved by, each of shape (images,).
    """

    mirrored: NDArray[np.bool_]
    down: NDArray[np.int64]
    right: NDArray[np.int64]

    def of(self, rows: NDArray[np.int64]) -> Moves:
        """Those of some of the images."""
        return Moves(self.mirrored[rows], self.down[rows], self.right[rows])


@lru_cache(maxsize=2)
def moves_of(spec: AugmentSpec, seed: int, epoch: int, count: int) -> Moves:
    """What is done to the first rows of the training part in an epoch; how many are asked for changes none of them.

    Parameters
    ----------
    seed
        The run's.
    epoch
        Counted from 1.
    count
        How many rows.
    """
    stream, width = Stream(seed, PURPOSE), spec.shift
    mirrored = stream.at(tick=epoch).integers(2, size=count, dtype=np.int64).astype(bool) & spec.flip
    shifts = stream.at(tick=epoch, phase=1).integers(-width, width + 1, size=(count, 2), dtype=np.int64)
    return Moves(mirrored, shifts[:, 0], shifts[:, 1])


def moved(images: NDArray[Any], shape: Shape, moves: Moves) -> NDArray[Any]:
    """Images that are mirrored first, then shifted; what comes in from outside is zero.

    Parameters
    ----------
    images
        Shape (images, c·h·w), any type.

    Returns
    -------
    ndarray
        A new array of the same shape and type.
    """
    _, height, width = shape
    found = images.reshape(-1, *shape).copy()
    found[moves.mirrored] = found[moves.mirrored][..., ::-1]
    for image, down, right in zip(found, moves.down.tolist(), moves.right.tolist(), strict=True):
        if not (down or right):
            continue
        kept = image[:, max(-down, 0) : height - max(down, 0), max(-right, 0) : width - max(right, 0)].copy()
        image[...] = 0
        image[:, max(down, 0) : height - max(-down, 0), max(right, 0) : width - max(-right, 0)] = kept
    return found.reshape(images.shape)


@dataclass(frozen=True, slots=True)
class Normalisation:
    """Mean and standard deviation of each channel, in input units; what x becomes is (x − mean) / std.

    Attributes
    ----------
    mean, std
        By channel.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def of(self, inputs: NDArray[Any]) -> NDArray[Any]:
        """Inputs of shape (samples, features), contiguous, which are normalised in place in their own type."""
        by_channel = inputs.reshape(len(inputs), len(self.mean), -1)
        by_channel -= np.array(self.mean, dtype=inputs.dtype)[:, None]
        by_channel /= np.array(self.std, dtype=inputs.dtype)[:, None]
        return inputs


def normalisation(images: NDArray[Any], shape: Shape | None, scale: float, name: str) -> Normalisation:
    """That of a training part, in float64: mean 0 and variance 1 of each channel, over all images and pixels.

    Parameters
    ----------
    images
        Shape (images, c·h·w), raw.
    scale
        What raw values are multiplied by to become inputs.
    name
        Of the data set.

    Raises
    ------
    ConfigError
        If the data are no images, or a channel is the same everywhere.
    """
    shape = _need_shape("data.normalise", True, name, shape)
    channels, count = shape[0], len(images) * shape[1] * shape[2]
    parts = [images[at : at + _ROWS].reshape(-1, channels, count // len(images)) for at in range(0, len(images), _ROWS)]
    mean = sum(part.sum(axis=(0, 2), dtype=np.float64) for part in parts) / count
    squares = sum(((part - mean[:, None]) ** 2).sum(axis=(0, 2)) for part in parts)
    std = np.sqrt(squares / count)
    if not (std > 0).all():
        which = int(np.flatnonzero(~(std > 0))[0])
        legal = f"channel {which} of {name} is the same in all images to train on; leave normalise out"
        raise ConfigError("data.normalise", True, legal)
    return Normalisation(tuple((mean * scale).tolist()), tuple((std * scale).tolist()))


def _need_shape(field: str, value: Any, name: str, shape: Shape | None) -> Shape:
    if shape is None:
        legal = "data whose samples are images of shape (height, width) or (channels, height, width)"
        raise ConfigError(field, value, f"{legal}; those of {name} are rows of numbers, so leave it out")
    return shape
