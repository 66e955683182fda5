"""Denoising: images as the targets of themselves, and Gaussian noise on what the network sees of them.

The input is x + σξ; see `dyadnet.data.noise`.
"""

from __future__ import annotations

from dataclasses import replace

from dyadnet.data.dataset import Dataset, Numbers, Split
from dyadnet.errors import ConfigError


def denoising(dataset: Dataset, deviation: float) -> Dataset:
    """The data set whose targets are its images as they are, and whose inputs are these with noise.

    Parameters
    ----------
    dataset
        Of images; what they are of is left out.
    deviation
        σ of the noise, in input units (1 is the range of a pixel).

    Raises
    ------
    ConfigError
        If its samples are no images, or it has numbers as targets already.
    """
    shape = dataset.shape
    if shape is None:
        legal = "data whose samples are images of shape (height, width) or (channels, height, width)"
        raise ConfigError(
            "data.task", "denoise", f"{legal}; those of {dataset.name} are rows of numbers, so leave it out"
        )
    if dataset.numbers is not None:
        legal = f"data whose targets are classes: those of {dataset.name} are numbers, which are learned as they are"
        raise ConfigError("data.task", "denoise", f"{legal}; leave it out")
    # The same arrays: nothing is copied, and nothing is sent twice.
    train, test = (Split(part.images, part.images) for part in (dataset.train, dataset.test))
    ends = [float(end) * dataset.scale for part in (train, test) for end in (part.images.min(), part.images.max())]
    numbers = Numbers(shape, min(ends), max(ends), dataset.scale)
    return replace(dataset, train=train, test=test, classes=0, names=(), numbers=numbers, noise=deviation)
