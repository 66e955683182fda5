"""Sums whose bits depend on their numbers and order alone."""

from __future__ import annotations

from collections.abc import Iterable


def added(numbers: Iterable[float]) -> float:
    """Add floats from left to right.

    The built-in `sum` makes up for rounding errors since Python 3.12, and did not before.
    """
    total = 0.0
    for number in numbers:
        total += number
    return total
