"""Requests for relaxations, which travel from the coordinator to the blocks, and how a run plans them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dyadnet.config import RunConfig
from dyadnet.config.dynamics import FreeRunning

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


class PhasePlan:
    """Plans the relaxations of a run by its settings: κ, phases, β, learning rate, warnings.

    Its methods are pure: the same moment gives the same result.

    Parameters
    ----------
    config
        The run.
    """

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self.noisy = config.imperfections.noisy(config.network)
        """Whether noise prevents the network from settling."""

    def couplings(self, at: float) -> tuple[float, ...]:
        """Return κ of each projection at a moment of the run, counted in epochs."""
        learning, recurrent = self._config.learning, self._config.network.recurrent
        if self._config.baseline is not None:
            # Pure feedforward: κ = 0 for every projection, so the settled network computes what its weights were
            # trained to.
            return (0.0,) * len(recurrent)
        if learning.lam is None:
            return tuple(projection.coupling for projection in recurrent)
        if not isinstance(learning.lam, dict):
            kappa = 2.0 * learning.lam.at(at, learning.epochs) - 1.0
            return tuple(kappa for _ in recurrent)
        lam = learning.lam
        return tuple(
            2.0 * lam[p.name].at(at, learning.epochs) - 1.0 if p.name in lam else p.coupling for p in recurrent
        )

    def beta(self, at: float) -> float:
        """Return β at a moment of the run, counted in epochs."""
        return self._config.learning.beta.at(at, self._config.learning.epochs)

    def rate(self, at: float, count: int) -> float:
        """Return the learning rate at a moment, for the run's update number `count`, from 1."""
        learning = self._config.learning
        rate = learning.learning_rate.at(at, learning.epochs)
        return rate * count / learning.warmup if count < learning.warmup else rate

    def training(self, beta: float, couplings: tuple[float, ...]) -> tuple[Phase, ...]:
        """Return the phases of a training minibatch."""
        dynamics = self._config.dynamics
        free_first = dynamics.phases == "free-nudged"
        if dynamics.phases in ("auto", "in-turn"):
            free_first = any(kappa > 0 for kappa in couplings)
        if dynamics.phases == "in-turn":
            cap = dynamics.nudged_sweeps if free_first else dynamics.sweeps
            turns = Phase("first", beta, cap, side=1), Phase("second", beta, dynamics.nudged_sweeps, side=-1)
            return self._timed(*([Phase("free", 0.0, dynamics.sweeps)] if free_first else []), *turns)
        if free_first:
            return self._timed(Phase("free", 0.0, dynamics.sweeps), Phase("nudged", beta, dynamics.nudged_sweeps))
        return self._timed(Phase("dyadic", beta, dynamics.sweeps))

    def evaluating(self, *, ideal: bool = False) -> tuple[Phase, ...]:
        """Return the phases of an evaluation."""
        return self._timed(Phase("free", 0.0, self._config.dynamics.sweeps), ideal=ideal)

    def exact(self, beta: float) -> tuple[Phase, ...]:
        """Return the phases of a relaxation that always runs to its cap, for the exact gradient."""
        cap = self._config.dynamics.sweeps
        return (Phase("free", 0.0, cap, fixed=True), Phase("nudged", beta, cap, fixed=True))

    def warnings(self) -> list[str]:
        """Return warnings for the user, before the run begins."""
        learning, network = self._config.learning, self._config.network
        told: list[str] = []
        if self._config.baseline is not None:
            what = "trained by back-propagation, for which λ, β and all of dynamics but dtype have no meaning"
            return [f"baseline {self._config.baseline}: {what}"]
        if self.noisy and not isinstance(self._config.dynamics.mode, FreeRunning):
            phases = self.training(self.beta(0.0), self.couplings(0.0))
            told.append(
                f"under noise nothing settles: phases run all their sweeps ({', '.join(str(p.cap) for p in phases)}), "
                f"and the last {phases[-1].average} are averaged (dynamics.sweeps, nudged_sweeps, average)"
            )
        strongest = learning.beta.extremes(learning.epochs)[1]
        steepest = network.by_name[network.output].f.steepest
        if strongest * steepest >= 1:
            told.append(
                f"β reaches {strongest:g}: at β·f′ ≥ 1 (f′ ≤ {steepest:g} at the output) the problem for s⁻ is no "
                "longer concave"
            )
        return told

    def _timed(self, *phases: Phase, ideal: bool = False) -> tuple[Phase, ...]:
        """Let phases end when they settle; if fixed or under noise, after all their sweeps with a final average."""
        dynamics = self._config.dynamics
        noisy = self.noisy and not ideal
        if not (noisy or dynamics.fixed):
            return phases
        *before, last = (replace(phase, fixed=True) for phase in phases)
        average = (last.cap + 1) // 2 if noisy else 0
        if dynamics.average != "auto":
            average = dynamics.average
        return (*before, replace(last, average=average))
