"""Clocks: at which ticks a block, or each neuron of it, updates.

Nobody steps a clock: whether a block fires at a tick follows from the tick and counter-based draws, so
that every neighbour can work it out too. The first tick of a relaxation is 1.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dyadnet.errors import UsageError
from dyadnet.numerics.rng import Moment, Stream
from dyadnet.schema import Spec


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


@dataclass(frozen=True, slots=True)
class Firing:
    """Which block is asked about, where in a run, and how it draws.

    Attributes
    ----------
    block
        Its name, such as ``h1`` or ``h1.0``.
    relaxation, phase, lane
        Where in the run it is.
    """

    block: str
    relaxation: int
    phase: int
    lane: int
    _stream: Stream

    def generator(self, tick: int) -> np.random.Generator:
        """Draws of this block for a tick: the same ones wherever it is asked."""
        return self._stream.at(tick, self.phase, self.lane, self.relaxation)


class OwnClock(Spec, ABC):
    """A clock that a user writes and registers: ``dyadnet.register("clock", name)``.

    A class that derives from it has a field ``kind: Literal[name] = name``, parameters as further fields, `interval`
    and `fires`. Python asks `fires` for a stretch of ticks ahead, in every process that has to do with the block, so
    its answer may depend on nothing but what it is given.
    """

    @property
    @abstractmethod
    def interval(self) -> int:
        """Ticks between two firings, or their mean rounded up: at least 1. A sweep is the largest of all blocks."""

    @property
    def rate(self) -> float:
        """Mean firings, and with them messages, a tick: above 0, at most 1."""
        return 1.0 / self.interval

    @abstractmethod
    def fires(self, tick: int, moment: Firing) -> bool:
        """Whether a block fires at a tick; the first one of a relaxation is 1."""


@dataclass(frozen=True, slots=True)
class CalledClock:
    """A registered clock of one block.

    Attributes
    ----------
    clock
        As the configuration has it.
    block
        Whose it is.
    stream
        Of its draws.
    """

    clock: OwnClock
    block: str
    stream: Stream

    @property
    def interval(self) -> int:
        """Ticks between two firings."""
        return self.clock.interval

    @property
    def rate(self) -> float:
        """Firings, and with them messages, a tick."""
        return self.clock.rate

    def ahead(self, first: int, count: int, moment: Moment) -> NDArray[np.int64]:
        """Whether it fires at each of some ticks, shape (count,).

        Raises
        ------
        UsageError
            If the clock says neither yes nor no.
        """
        firing = Firing(self.block, moment.relaxation, moment.phase, moment.lane, self.stream)
        answers = [tick > 0 and self.clock.fires(tick, firing) for tick in range(first, first + count)]
        for answer in answers:
            if not isinstance(answer, bool | np.bool_):
                kind = self.clock.model_dump()["kind"]
                raise UsageError(f"dynamics.clock: {kind} says {answer!r} of {self.block}; it should be True or False")
        return np.array(answers, dtype=np.int64)


Clock = Periodic | Bernoulli | CalledClock
