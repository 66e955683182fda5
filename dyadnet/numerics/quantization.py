"""Quantisation of messages and weights to a few evenly spaced levels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def quantised(
    x: Array, bits: int, limits: tuple[float, float] | None, draws: NDArray[np.float64] | None = None
) -> Array:
    """Round each number of `x` to a level; see `dyadnet.imperfections.channel.Quantisation`.

    Parameters
    ----------
    x
        Of any shape; NaN stays NaN.
    bits
        A symmetric range has 2^bits − 1 levels (2 for one bit), any other range 2^bits.
    limits
        Lowest and highest level; None: the largest magnitude along the last axis, and its negative.
    draws
        Uniform in [0, 1), of the shape of `x`: round at random such that the mean is right (stochastic rounding). None:
        round to the nearest level.
    """
    wide = x.astype(np.float64)
    low: float | NDArray[np.float64]
    high: float | NDArray[np.float64]
    if limits is None:
        # NaN stands for a number that is not sent.
        largest = np.where(np.isnan(wide), 0.0, np.abs(wide)).max(axis=-1, keepdims=True, initial=0.0)
        low, high = -largest, largest
    else:
        low, high = limits
    if limits is None or limits[0] == -limits[1]:
        most = 1 if bits == 1 else 2 ** (bits - 1) - 1
        least, origin = (0, low) if bits == 1 else (-most, 0.0)
        step = 2.0 * high if bits == 1 else high / most
    else:
        least, most, origin = 0, 2**bits - 1, low
        step = (high - low) / most
    with np.errstate(invalid="ignore", divide="ignore"):
        place = np.where(np.asarray(step) > 0, (wide - origin) / step, 0.0 * wide)
        place = np.rint(place) if draws is None else np.floor(place + draws)
    levels: Array = (origin + np.clip(place, least, most) * step).astype(x.dtype)
    return levels
