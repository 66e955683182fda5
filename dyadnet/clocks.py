"""Clocks: at which ticks a block, or each neuron of it, updates.

A clock is asked, never stepped: whether a block fires at a tick follows from the tick and counter-based draws, so
that every neighbour can work it out too. The first tick of a relaxation is 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dyadnet.random import Moment, Stream


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

    def fires(self, tick: int, moment: Moment) -> bool:
        """Whether the block fires at `tick`."""
        return (tick - 1) % self.period == self.offset

    def mask(self, tick: int, moment: Moment) -> None:
        """Every neuron of a firing block updates."""
        return


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

    def fires(self, tick: int, moment: Moment) -> bool:
        """Whether the block fires at `tick`; a block of Bernoulli neurons always does."""
        if self.unit == "neuron":
            return True
        return bool(self.stream.at(tick, moment.phase, moment.lane, moment.relaxation).random() < self.p)

    def mask(self, tick: int, moment: Moment) -> NDArray[np.bool_] | None:
        """Which neurons update at `tick`, shape (size,); None for all."""
        if self.unit == "block":
            return None
        draws = self.stream.at(tick, moment.phase, moment.lane, moment.relaxation).random(self.size)
        return draws < self.p


Clock = Periodic | Bernoulli
