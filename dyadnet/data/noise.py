"""Gaussian noise on network inputs: x + σξ with ξ from the standard normal distribution, one draw a number.

The sum is not clipped: noise has the same σ everywhere, at pixels that are black or white too. It is drawn from
counters. In training a sample has other noise in every epoch. Wherever nothing is learned it has one draw for good,
whatever the seed of the run is: all models and seeds are scored on the same noisy samples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dyadnet.numerics.rng import Stream

PURPOSE = "noise of inputs"


def standard_normal(part: str, rows: NDArray[np.int64], features: int, seed: int, epoch: int) -> NDArray[np.float64]:
    """ξ of some rows, shape (rows, features); what a row is given depends on no other row.

    Parameters
    ----------
    part
        Of the data that the rows are of: ``test``, or any other for rows of the training part.
    seed, epoch
        The run's seed, and the epoch that is trained, from 1. Of epoch 0, where nothing is learned, the noise is the
        same whatever the seed is.
    """
    stream = Stream(seed if epoch else 0, PURPOSE, "test" if part == "test" else "train")
    found = np.empty((len(rows), features))
    for values, row in zip(found, rows.tolist(), strict=True):
        stream.at(tick=epoch, relaxation=row).standard_normal(out=values)
    return found
