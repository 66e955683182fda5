"""What a block keeps where compartments take turns, and what comes of both; see `dyadnet.timing.alternating`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Turn:
    """What a block keeps of the first compartments once their turn is over.

    Attributes
    ----------
    state
        u of the block, shape (batch, n).
    held
        u of each presynaptic block, as it was held.
    saturated
        How many of them were at either bound.
    """

    state: Array
    held: Mapping[str, Array]
    saturated: int


def dyadic(first: Array, second: Array, side: int) -> Array:
    """(m, d) of the compartments that had their turns, shape (2, batch, n)."""
    half = first.dtype.type(0.5)
    return np.stack(((first + second) * half, (first - second) * first.dtype.type(0.5 * side)))
