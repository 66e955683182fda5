"""The denoising task: the targets are the images themselves, and the inputs are images with Gaussian noise.

The input is x + σξ; see `dyadnet.data.noise`.
"""

from __future__ import annotations

from dataclasses import replace

from dyadnet.data.dataset import Dataset, Numbers, Split
from dyadnet.errors import ConfigError


def denoising(dataset: Dataset, deviation: float) -> Dataset:
    """Return the denoising task of a data set: its images are the targets, and inputs have noise.

    Parameters
    ----------
    dataset
        Data set of images. Its labels are discarded.
    deviation
        σ of the noise, in input units (1 is the range of a pixel).

    Raises
    ------
    ConfigError
        If the samples are not images, or the targets are already numbers.
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
    # Both use the same arrays: nothing is copied, and nothing is sent twice.
    train, test = (Split(part.images, part.images) for part in (dataset.train, dataset.test))
    ends = [float(end) * dataset.scale for part in (train, test) for end in (part.images.min(), part.images.max())]
    numbers = Numbers(shape, min(ends), max(ends), dataset.scale)
    return replace(dataset, train=train, test=test, classes=0, names=(), numbers=numbers, noise=deviation)
