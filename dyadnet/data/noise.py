"""Gaussian noise on network inputs: x + σξ, with one independent ξ from the standard normal distribution per number.

The sum is not clipped: noise has the same σ everywhere, also at black or white pixels. A counter-based generator draws
it. In training, a sample gets different noise in every epoch. In evaluation, a sample always gets the same noise,
independent of the run's seed. So all models and seeds are evaluated on the same noisy samples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dyadnet.numerics.rng import Stream

PURPOSE = "noise of inputs"


def standard_normal(part: str, rows: NDArray[np.int64], features: int, seed: int, epoch: int) -> NDArray[np.float64]:
    """Return ξ of some rows, shape (rows, features). The noise of a row does not depend on other rows.

    Parameters
    ----------
    part
        Part of the data that contains the rows: ``test``, or any other name for rows of the training part.
    seed, epoch
        The run's seed, and the training epoch from 1. In epoch 0 (evaluation) the noise does not depend on the seed.
    """
    stream = Stream(seed if epoch else 0, PURPOSE, "test" if part == "test" else "train")
    found = np.empty((len(rows), features))
    for values, row in zip(found, rows.tolist(), strict=True):
        stream.at(tick=epoch, relaxation=row).standard_normal(out=values)
    return found
