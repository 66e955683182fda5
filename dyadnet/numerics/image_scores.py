"""Similarity of images: PSNR, and SSIM (Wang, Bovik, Sheikh and Simoncelli, 2004), for values from 0 to 1."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

WINDOW, SIGMA = 11, 1.5
"""Pixels of the Gaussian window in either direction, and its standard deviation."""
C1, C2 = 0.01**2, 0.03**2
"""(K₁L)² and (K₂L)² of the paper, for values in a range of L = 1."""
LEAST = 1e-10
"""Lower limit of the mean squared error: a PSNR is at most 100 dB, also for an exact image."""
_IMAGES = 16
"""Number of images that are compared at a time, so that intermediate results stay in the cache."""


def image_scores(
    outputs: NDArray[Any], targets: NDArray[Any], shape: tuple[int, int, int] | None
) -> tuple[float, float]:
    """Return the sums of the PSNR in dB and of the SSIM over images, in float64.

    The PSNR of an image is 10·log₁₀(1/MSE), with the mean over its pixels and channels. For the SSIM see `ssim`.

    Parameters
    ----------
    outputs, targets
        Shape (images, c·h·w), in C order.
    shape
        (channels, height, width) of an image; None if the targets are not images: both sums are then 0.
    """
    if shape is None:
        return 0.0, 0.0
    psnr = similarity = 0.0
    for at in range(0, len(outputs), _IMAGES):
        found, wanted = (array[at : at + _IMAGES].astype(np.float64) for array in (outputs, targets))
        error = np.mean(np.square(found - wanted), axis=1)
        psnr += float(np.sum(-10.0 * np.log10(np.maximum(error, LEAST))))
        similarity += float(np.sum(ssim(found.reshape(-1, *shape), wanted.reshape(-1, *shape))))
    return psnr, similarity


def ssim(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the structural similarity of each image, shape (images,): the mean of its map over pixels and channels.

    Means, variances and the covariance are computed under a Gaussian window of 11×11 pixels with σ = 1.5 (divided by
    its sum, not corrected for its size), wherever the whole window lies in the image. If an image is smaller than the
    window in one direction, the window there has the largest odd number of pixels that fits.

    Parameters
    ----------
    one, other
        Shape (images, channels, height, width), values from 0 to 1.
    """
    height, width = one.shape[2:]
    down, right = _window(height), _window(width).T

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        rows = values.reshape(-1, width) @ right
        return down @ rows.reshape(-1, height, rows.shape[1])

    x, y = mean(one), mean(other)
    product, squares = x * y, x * x + y * y
    covariance = mean(one * other) - product
    variances = mean(one * one + other * other) - squares
    found = (2 * product + C1) * (2 * covariance + C2) / ((squares + C1) * (variances + C2))
    return np.asarray(found.reshape(len(one), -1).mean(axis=1))


@cache
def _window(size: int) -> NDArray[np.float64]:
    """Return a Gaussian window at every place of a row of pixels where it fits, shape (places, size)."""
    width = min(WINDOW, size - 1 + size % 2)
    weights = np.exp(-0.5 * np.square((np.arange(width) - width // 2) / SIGMA))
    weights /= weights.sum()
    places = size - width + 1
    found = np.zeros((places, size))
    for place in range(places):
        found[place, place : place + width] = weights
    found.flags.writeable = False
    return found
