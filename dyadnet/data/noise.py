"""Gaussian noise on network inputs: x + σξ with ξ from the standard normal distribution, one draw a number.

The sum is not clipped: noise has the same σ everywhere, at pixels that are black or white too. It is drawn from
counters. In training a sample has other noise in every epoch. Wherever nothing is learned it has one draw for good,
whatever the seed of the run is: all models and seeds are scored on the same noisy samples.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.numerics.rng import Stream

PURPOSE = "noise of inputs"


def noisy(
    inputs: NDArray[Any], deviation: float, part: str, rows: NDArray[np.int64], drawn: tuple[int, int]
) -> NDArray[Any]:
    """Network inputs with Gaussian noise; what a row is given depends on no other row.

    Parameters
    ----------
    inputs
        Of some rows, shape (rows, features). They are changed in place.
    deviation
        σ, in input units.
    part
        Of the data that the rows are of: ``train`` or ``test``.
    drawn
        The run's seed, and the epoch that is trained, from 1; of epoch 0, where nothing is learned, the noise is the
        same whatever the seed is.

    Returns
    -------
    ndarray
        `inputs`.
    """
    seed, epoch = drawn
    stream = Stream(seed if epoch else 0, PURPOSE, "test" if part == "test" else "train")
    for values, row in zip(inputs, rows.tolist(), strict=True):
        values += (deviation * stream.at(tick=epoch, relaxation=row).standard_normal(len(values))).astype(values.dtype)
    return inputs
