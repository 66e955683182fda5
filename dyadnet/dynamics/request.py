"""Requests for relaxations and their phases: records that travel between the coordinator and the blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Part = Literal["train", "validation", "test"]


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of a relaxation with a constant nudge.

    Attributes
    ----------
    name
        ``free`` (β = 0), ``nudged`` (after a free phase), ``dyadic`` (nudged from the start), or ``first`` and
        ``second`` (one compartment of each dyad after the other).
    beta
        Strength of the nudge.
    cap
        Maximal number of sweeps. After it the phase ends unsettled.
    fixed
        Run exactly `cap` sweeps, without testing whether the phase has settled.
    average
        Number of sweeps at its end over which (m, d) is averaged for learning and read-out; 0: no average.
    side
        +1: only the output's s⁺ and the compartments connected with it settle; −1: only its s⁻; 0: both. See
        `dyadnet.timing.alternating`.
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
        Unique number of the relaxation in the run. It enters every random draw.
    part, rows
        Samples, as rows of a part of the data set.
    phases
        Phases, run one after the other.
    couplings
        κ of each projection between populations, in the order of the description.
    step
        η or ω of every block.
    probed
        Whether probes record it.
    ideal
        Run without imperfections. Delays remain, and weights remain at the levels of the device.
    exact
        Not recorded: blocks keep the final contrast of this relaxation and compare that of the next update with it.
    minibatch
        Number of the training minibatch, counted from 1 over all epochs; 0 outside training.
    gamma
        γ of prospective neurons; 0: no extrapolation.
    epoch
        Training epoch, counted from 1; 0 outside training. It enters the random draws for samples: flips, shifts and
        noise.
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
    """Return the rows of each lane, contiguous and of nearly equal number. Empty lanes are omitted."""
    count = len(rows)
    slices = {lane: rows[lane * count // lanes : (lane + 1) * count // lanes] for lane in range(lanes)}
    return {lane: part for lane, part in slices.items() if len(part)}


@dataclass(frozen=True, slots=True)
class Pace:
    """Time scales of a relaxation in free-running mode, in seconds.

    Attributes
    ----------
    time_constant
        T of A += (1−e^(−Δt/T))(A*−A).
    window
        Time for which every block must stay within tolerance.
    span
        Interval over which prospective neurons take a difference.
    delay
        δ for which T was chosen. T grows in proportion if messages turn out to be older. 0: T is constant.
    """

    time_constant: float
    window: float
    span: float = 0.0
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class PhaseOutcome:
    """Result of one phase of one lane."""

    name: str
    ticks: int
    sweeps: float
    settled: bool
