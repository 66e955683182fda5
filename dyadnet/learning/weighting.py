"""Sample weights: they determine how often each sample is used for training.

A sample of twice the weight is used twice as often, and settles like any other. Scaling its nudge instead would change
its β, and thereby the error of the contrast and the bound on βf′.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def weighted(weights: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.int64]:
    """Draw n samples by n weights, each as often as its weight says (systematic resampling, random order).

    Of n samples, one of weight w is drawn ⌊n·w/Σw⌋ times or once more, n·w/Σw times on average. With equal weights,
    every sample is drawn once.

    Parameters
    ----------
    weights
        Shape (n,), at least 0, not all 0.
    generator
        Random generator. A run seeds it anew for every epoch.

    Returns
    -------
    ndarray
        Sorted indices of the drawn samples, shape (n,).
    """
    count = len(weights)
    # In the order of the samples, a periodic order of classes could favour one class. A random order has no period.
    order = generator.permutation(count)
    ends = np.cumsum(weights[order] * (count / weights.sum()))
    found = np.searchsorted(ends, np.arange(count) + generator.random(), side="right")
    # Rounding may end the sum short of the count.
    return np.sort(order[np.minimum(found, np.flatnonzero(weights[order])[-1])])
