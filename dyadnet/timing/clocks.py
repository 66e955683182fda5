"""Clocks: the ticks at which a block, or each of its neurons, updates.

A clock has no state. Whether a block fires at a tick is a function of the tick and of counter-based random draws. So
every neighbour can compute it, too. The first tick of a relaxation is 1.
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
        Numbers of ticks; 0 ≤ offset < period.
    """

    period: int = 1
    offset: int = 0

    @property
    def interval(self) -> int:
        """Ticks between two firings."""
        return self.period

    @property
    def rate(self) -> float:
        """Number of firings, and therefore of messages, per tick."""
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
        """Mean number of ticks between two updates, rounded up."""
        return math.ceil(1.0 / self.p)

    @property
    def rate(self) -> float:
        """Mean number of firings and messages per tick. A block of Bernoulli neurons fires at every tick."""
        return self.p if self.unit == "block" else 1.0


@dataclass(frozen=True, slots=True)
class Firing:
    """The context in which a clock is asked: the block, the place in the run, and the random draws.

    Attributes
    ----------
    block
        Name of the block, such as ``h1`` or ``h1.0``.
    relaxation, phase, lane
        Place in the run.
    """

    block: str
    relaxation: int
    phase: int
    lane: int
    _stream: Stream

    def generator(self, tick: int) -> np.random.Generator:
        """Return the random generator of this block for a tick. It is the same in all processes."""
        return self._stream.at(tick, self.phase, self.lane, self.relaxation)


class OwnClock(Spec, ABC):
    """Base class of a user's clock, registered by ``dyadnet.register("clock", name)``.

    A derived class has a field ``kind: Literal[name] = name``, its parameters as further fields, `interval` and
    `fires`. Python calls `fires` in advance for a range of ticks, in every process that needs to know about the block.
    So the result must depend on nothing but the arguments.
    """

    @property
    @abstractmethod
    def interval(self) -> int:
        """Ticks between two firings, or the rounded-up mean, at least 1. A sweep is the largest of all blocks."""

    @property
    def rate(self) -> float:
        """Mean number of firings and messages per tick: above 0, at most 1."""
        return 1.0 / self.interval

    @abstractmethod
    def fires(self, tick: int, moment: Firing) -> bool:
        """Return whether a block fires at a tick. The first tick of a relaxation is 1."""


@dataclass(frozen=True, slots=True)
class CalledClock:
    """A registered clock of one block.

    Attributes
    ----------
    clock
        The clock, as in the configuration.
    block
        Name of the block.
    stream
        Stream of its random draws.
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
        """Number of firings, and therefore of messages, per tick."""
        return self.clock.rate

    def ahead(self, first: int, count: int, moment: Moment) -> NDArray[np.int64]:
        """Return whether the block fires at each tick of a range, shape (count,).

        Raises
        ------
        UsageError
            If the clock does not return a boolean.
        """
        firing = Firing(self.block, moment.relaxation, moment.phase, moment.lane, self.stream)
        answers = [tick > 0 and self.clock.fires(tick, firing) for tick in range(first, first + count)]
        for answer in answers:
            if not isinstance(answer, bool | np.bool_):
                kind = self.clock.model_dump()["kind"]
                raise UsageError(f"dynamics.clock: {kind} says {answer!r} of {self.block}; it should be True or False")
        return np.array(answers, dtype=np.int64)


Clock = Periodic | Bernoulli | CalledClock
