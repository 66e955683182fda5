"""Image preprocessing: normalisation by channel, and random flips and shifts.

Images are rows of c·h·w numbers in C order (channel, row, column). Everything here is a pure function of its
arguments. Random draws depend only on the run's seed, the epoch and the sample's row. Therefore all engines, all
actors and resumed runs draw the same.
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
"""Number of images over which a statistic is summed at a time."""


class AugmentSpec(Spec):
    """Random variations of training images.

    Attributes
    ----------
    flip
        Mirror an image left to right with probability ½.
    shift
        Move images by up to this many pixels in either direction, uniformly. New pixels at the border are zero.
    """

    flip: bool = False
    shift: int = Field(0, ge=0)

    @property
    def neutral(self) -> bool:
        """Whether these settings leave images unchanged."""
        return not (self.flip or self.shift)

    def check(self, name: str, shape: Shape | None) -> None:
        """Check that these variations can be applied to images of a shape.

        Parameters
        ----------
        name
            Name of the data set.

        Raises
        ------
        ConfigError
            If the data are not images, or if the images are not larger than the shift.
        """
        if self.neutral:
            return
        field, value = ("flip", self.flip) if self.flip else ("shift", self.shift)
        _need_shape(f"data.augment.{field}", value, name, shape)
        if shape is not None and self.shift >= min(shape[1:]):
            legal = f"fewer pixels than images of {name} are high and wide ({shape[1]}×{shape[2]})"
            raise ConfigError("data.augment.shift", self.shift, legal)


AS_THEY_ARE = AugmentSpec()
"""Settings that leave images unchanged."""


@dataclass(frozen=True, slots=True)
class Moves:
    """Flips and shifts of some images.

    Attributes
    ----------
    mirrored
        Whether each image is mirrored, shape (images,).
    down, right
        Number of pixels by which each image is moved, each of shape (images,).
    """

    mirrored: NDArray[np.bool_]
    down: NDArray[np.int64]
    right: NDArray[np.int64]

    def of(self, rows: NDArray[np.int64]) -> Moves:
        """Return the flips and shifts of some of the images."""
        return Moves(self.mirrored[rows], self.down[rows], self.right[rows])


@lru_cache(maxsize=2)
def moves_of(spec: AugmentSpec, seed: int, epoch: int, count: int) -> Moves:
    """Draw the flips and shifts of the first `count` rows of the training part in an epoch.

    The draw of a row does not depend on `count`.

    Parameters
    ----------
    seed
        Seed of the run.
    epoch
        Epoch, counted from 1.
    count
        Number of rows.
    """
    stream, width = Stream(seed, PURPOSE), spec.shift
    mirrored = stream.at(tick=epoch).integers(2, size=count, dtype=np.int64).astype(bool) & spec.flip
    shifts = stream.at(tick=epoch, phase=1).integers(-width, width + 1, size=(count, 2), dtype=np.int64)
    return Moves(mirrored, shifts[:, 0], shifts[:, 1])


def moved(images: NDArray[Any], shape: Shape, moves: Moves) -> NDArray[Any]:
    """Mirror images, then shift them. New pixels at the border are zero.

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
    """Mean and standard deviation of each channel, in input units. An input x becomes (x − mean) / std.

    Attributes
    ----------
    mean, std
        Values by channel.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def of(self, inputs: NDArray[Any]) -> NDArray[Any]:
        """Normalise inputs in place, in their own type. They are contiguous, of shape (samples, features)."""
        by_channel = inputs.reshape(len(inputs), len(self.mean), -1)
        by_channel -= np.array(self.mean, dtype=inputs.dtype)[:, None]
        by_channel /= np.array(self.std, dtype=inputs.dtype)[:, None]
        return inputs


def normalisation(images: NDArray[Any], shape: Shape | None, scale: float, name: str) -> Normalisation:
    """Compute the normalisation of a training part, in float64: mean 0 and variance 1 per channel over all images.

    Parameters
    ----------
    images
        Raw images, shape (images, c·h·w).
    scale
        Factor from raw values to inputs.
    name
        Name of the data set.

    Raises
    ------
    ConfigError
        If the data are not images, or a channel is constant.
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
