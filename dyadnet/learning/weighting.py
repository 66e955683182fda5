"""Weights of samples: how often each is learned from.

A sample of twice the weight is learned from twice as often, and settles as any other does. Scaling its nudge instead
would give it another β, and with it another error of the contrast and another bound on βf′.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def weighted(weights: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.int64]:
    """As many samples as there are weights, each as often as its weight says (systematic resampling in a drawn order).

    Of n samples, one of weight w comes ⌊n·w/Σw⌋ times or once more, n·w/Σw times on average over draws; equal weights
    give every sample once.

    Parameters
    ----------
    weights
        Shape (n,), at least 0, not all 0.
    generator
        What a run seeds anew for every epoch.

    Returns
    -------
    ndarray
        Places among the weights, shape (n,), rising.
    """
    count = len(weights)
    # In the order of the samples, all of a class might come or none: whatever its period is, a drawn order has none.
    order = generator.permutation(count)
    ends = np.cumsum(weights[order] * (count / weights.sum()))
    found = np.searchsorted(ends, np.arange(count) + generator.random(), side="right")
    # Rounding may end the sum short of the count.
    return np.sort(order[np.minimum(found, np.flatnonzero(weights[order])[-1])])
