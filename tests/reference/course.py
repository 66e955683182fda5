"""How one lane of a block gets along in a relaxation: its counters, what counts as settled, and averages over time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Tolerance:
    """When a residual counts as settled: |A*−A|, and |D*−D| relative to the largest |D| of the block."""

    mean: float
    difference: float


@dataclass(slots=True)
class Course:
    """Counters of one relaxation.

    Attributes
    ----------
    tick, fired, over
        Of the last firing; the last two are what the stop rule asks for.
    sequence
        Number of firings so far, which messages carry.
    mean_since, difference_since
        Firing since which m and d have had their present bits.
    updates
        Firings.
    residual, relative, worst
        Largest |A*−A| and |D*−D|/|D| of the last firing, and largest |A*−A| since the last check.
    """

    tick: int = 0
    fired: int = 0
    over: int = 0
    sequence: int = 0
    mean_since: int = 0
    difference_since: int = 0
    updates: int = 0
    residual: float = 0.0
    relative: float = 0.0
    worst: float = 0.0

    def copy(self) -> Course:
        """The same numbers."""
        return Course(*(getattr(self, name) for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over firings of arrays of shape (streams, batch, n), of which later ones may have more streams."""

    total: NDArray[np.float64] | None = None
    count: int = 0

    def with_one(self, array: Array) -> Mean:
        """With one more."""
        wide = array.astype(np.float64)
        if self.total is not None:
            few, many = sorted((self.total, wide), key=len)
            # A stream that was silent counts as zeros.
            wide = many.copy()
            wide[: len(few)] += few
        return Mean(wide, self.count + 1)

    def value(self, dtype: np.dtype[Any]) -> Array:
        """The mean so far."""
        assert self.total is not None
        return (self.total / self.count).astype(dtype)


@dataclass(frozen=True, slots=True)
class Averages:
    """What is learned from and read out where noise never lets a network settle: means over the last firings.

    Attributes
    ----------
    start
        Tick of the first firing that counts; None: nothing is averaged.
    own
        (m, d) of the block.
    held
        (m, d) of each presynaptic block, as it was held.
    """

    start: int | None = None
    own: Mean = Mean()
    held: dict[str, Mean] = field(default_factory=dict)

    def after(self, tick: int, state: Array, held: dict[str, Array]) -> Averages:
        """With one more firing, if it counts."""
        if self.start is None or tick < self.start:
            return self
        heard = {source: self.held.get(source, Mean()).with_one(array) for source, array in held.items()}
        return Averages(self.start, self.own.with_one(state), heard)


def relative_residual(error: float, size: float, epsilon: float) -> float:
    """The residual of differences: |D*−D| over |D|, less one rounding `epsilon` of an activity near 1.

    That much is no error of the difference; NaN stays what it is.
    """
    if error <= epsilon:
        return 0.0
    return (error - epsilon) / size if size > 0 else float("inf")
