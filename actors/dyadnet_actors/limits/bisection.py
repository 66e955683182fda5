"""Finding the edge between what settles and what does not, by halving its logarithm."""

from __future__ import annotations

import math
from collections.abc import Callable

WIDENINGS = 4
"""How often an end that turns out to be on the wrong side is moved out, by a factor of two."""


def edge(settles: Callable[[float], bool], guess: float, precision: float) -> tuple[float, float] | None:
    """The largest value found that does not settle, and the smallest that does.

    Parameters
    ----------
    settles
        Whether the network comes to rest at a value; if it does at one, it does at larger ones.
    guess
        Where the edge may be.
    precision
        Ratio of the two at most, less one.

    Returns
    -------
    tuple of float, or None
        None if there is no such pair within a factor of `2**WIDENINGS` of the guess.
    """
    low, high = guess / math.sqrt(2.0), guess * math.sqrt(2.0)
    for _ in range(WIDENINGS):
        if settles(high):
            break
        low, high = high, 2.0 * high
    else:
        return None
    for _ in range(WIDENINGS):
        if not settles(low):
            break
        low, high = low / 2.0, low
    else:
        return None
    while high / low > 1.0 + precision:
        middle = math.sqrt(low * high)
        if settles(middle):
            high = middle
        else:
            low = middle
    return low, high
