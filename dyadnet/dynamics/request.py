"""What a relaxation is asked to do and how it goes on: the records that travel between coordinator and blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Part = Literal["train", "validation", "test"]


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of a relaxation at one nudge.

    Attributes
    ----------
    name
        ``free`` (β = 0), ``nudged`` (after a free phase), ``dyadic`` (nudged from the start), or ``first`` and
        ``second`` (one compartment of each dyad after the other).
    beta
        Strength of the nudge.
    cap
        Sweeps after which it ends unsettled.
    fixed
        Run exactly `cap` sweeps, without asking whether it has settled.
    average
        Sweeps at its end over which (m, d) are averaged for learning and for what is read out; 0: no average.
    side
        +1: only the output's s⁺ and what it meets settle, −1: only its s⁻; 0: both. See `dyadnet.timing.alternating`.
    """

    name: str
    beta: float
    cap: int
    fixed: bool = False
    average: int = 0
    side: int = 0


@dataclass(frozen=True, slots=True)
class Relaxation:
    """One minibatch at fixed weights.

    Attributes
    ----------
    number
        No two relaxations of a run share it; every random draw counts by it.
    part, rows
        Which samples, by row of a part of the data set.
    phases
        Run one after the other.
    couplings
        κ of each projection between populations, in the order of the description.
    step
        η or ω of every block.
    probed
        Whether probes record it.
    ideal
        Run it without imperfections: delays stay, and weights stay on the levels that the device has.
    exact
        Off the record: blocks keep the contrast that it ends in, and compare the next update's with it.
    minibatch
        Of the run's training, counted from 1 over all epochs; 0 for whatever is not learned from.
    gamma
        γ of prospective neurons; 0: nothing is extrapolated.
    epoch
        Of training, counted from 1, which what is drawn for samples depends on: flips, shifts and noise; 0 for whatever
        is not learned from.
    """

    number: int
    part: Part
    rows: NDArray[np.int64]
    phases: tuple[Phase, ...]
    couplings: tuple[float, ...]
    step: float
    probed: bool = False
    ideal: bool = False
    exact: bool = False
    minibatch: int = 0
    gamma: float = 0.0
    epoch: int = 0


def lane_slices(rows: NDArray[np.int64], lanes: int) -> dict[int, NDArray[np.int64]]:
    """The rows of each lane, contiguous and nearly equal; lanes that a short minibatch leaves empty are left out."""
    count = len(rows)
    slices = {lane: rows[lane * count // lanes : (lane + 1) * count // lanes] for lane in range(lanes)}
    return {lane: part for lane, part in slices.items() if len(part)}


@dataclass(frozen=True, slots=True)
class Pace:
    """What a relaxation's time is measured by in free-running mode, in seconds.

    Attributes
    ----------
    time_constant
        T of A += (1−e^(−Δt/T))(A*−A).
    window
        How long every block must be within tolerance.
    span
        Over which prospective neurons take a difference.
    delay
        δ that T was chosen for, which grows with it where messages turn out to be older; 0: T is as it is.
    """

    time_constant: float
    window: float
    span: float = 0.0
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class PhaseOutcome:
    """How one lane's phase ended."""

    name: str
    ticks: int
    sweeps: float
    settled: bool
