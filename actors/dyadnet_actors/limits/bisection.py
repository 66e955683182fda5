"""Finds the edge between values that settle and values that do not, by bisection on a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Callable

WIDENINGS = 4
"""How often an end on the wrong side is moved outwards, at most, by a factor of two each time."""


def edge(settles: Callable[[float], bool], guess: float, precision: float) -> tuple[float, float] | None:
    """Return the largest value found that does not settle, and the smallest that does.

    Parameters
    ----------
    settles
        Returns whether the network comes to rest at a value; if it does at one value, it does at larger ones.
    guess
        Estimate of the edge.
    precision
        Maximum ratio of the two values, minus one.

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
