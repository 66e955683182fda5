"""Clocks: at which ticks a block, or each neuron of it, updates.

Nobody steps a clock: whether a block fires at a tick follows from the tick and counter-based draws, so
that every neighbour can work it out too. The first tick of a relaxation is 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from dyadnet.numerics.rng import Stream


@dataclass(frozen=True, slots=True)
class Periodic:
    """Fires at ticks 1 + offset, 1 + offset + period, …; every tick and red-black are special cases.

    Attributes
    ----------
    period, offset
        In ticks; 0 ≤ offset < period.
    """

    period: int = 1
    offset: int = 0

    @property
    def interval(self) -> int:
        """Ticks between two firings."""
        return self.period

    @property
    def rate(self) -> float:
        """Firings, and with them messages, a tick."""
        return 1.0 / self.period


@dataclass(frozen=True, slots=True)
class Bernoulli:
    """Each block (``unit="block"``) or each neuron (``unit="neuron"``) updates with probability p at every tick."""

    p: float
    unit: Literal["block", "neuron"]
    size: int
    stream: Stream

    @property
    def interval(self) -> int:
        """Mean ticks between two updates, rounded up."""
        return math.ceil(1.0 / self.p)

    @property
    def rate(self) -> float:
        """Mean firings, and with them messages, a tick: a block of Bernoulli neurons fires at every tick."""
        return self.p if self.unit == "block" else 1.0


Clock = Periodic | Bernoulli
