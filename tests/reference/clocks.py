"""At which ticks a block fires, and which of its neurons update then."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dyadnet.timing.clocks import Bernoulli, CalledClock, Clock, Firing, Periodic


@dataclass(frozen=True, slots=True)
class Moment:
    """Where in a run something happens; what, beside the tick, a draw is counted by."""

    relaxation: int = 0
    phase: int = 0
    lane: int = 0


def fires(clock: Clock, tick: int, moment: Moment) -> bool:
    """Whether the block fires at `tick`; a block of Bernoulli neurons always does."""
    if isinstance(clock, Periodic):
        return (tick - 1) % clock.period == clock.offset
    if isinstance(clock, CalledClock):
        firing = Firing(clock.block, moment.relaxation, moment.phase, moment.lane, clock.stream)
        return clock.clock.fires(tick, firing)
    if clock.unit == "neuron":
        return True
    return bool(clock.stream.at(tick, moment.phase, moment.lane, moment.relaxation).random() < clock.p)


def mask(clock: Clock, tick: int, moment: Moment) -> NDArray[np.bool_] | None:
    """Which neurons update at `tick`, shape (size,); None for all."""
    if not isinstance(clock, Bernoulli) or clock.unit == "block":
        return None
    draws = clock.stream.at(tick, moment.phase, moment.lane, moment.relaxation).random(clock.size)
    return draws < clock.p
