"""What every relaxation of a run is asked to do, from the settings alone: κ, phases, β, learning rate, warnings."""

from __future__ import annotations

from dataclasses import replace

from dyadnet.config import RunConfig
from dyadnet.config.dynamics import FreeRunning
from dyadnet.dynamics.request import Phase


class PhasePlan:
    """Pure: the same moment has the same answer.

    Parameters
    ----------
    config
        The run.
    """

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self.noisy = config.imperfections.noisy(config.network)
        """Whether noise never lets the network settle."""

    def couplings(self, at: float) -> tuple[float, ...]:
        """κ of each projection at a moment of the run, counted in epochs."""
        learning, recurrent = self._config.learning, self._config.network.recurrent
        if self._config.baseline is not None:
            # Means go up and nothing comes back: as a feedforward network its weights say what they were trained to.
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
        """β at a moment."""
        return self._config.learning.beta.at(at, self._config.learning.epochs)

    def rate(self, at: float, count: int) -> float:
        """Learning rate at a moment, of the run's update of that number, counted from 1."""
        learning = self._config.learning
        rate = learning.learning_rate.at(at, learning.epochs)
        return rate * count / learning.warmup if count < learning.warmup else rate

    def training(self, beta: float, couplings: tuple[float, ...]) -> tuple[Phase, ...]:
        """The phases of a minibatch that is learned from."""
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
        """The phase of samples that are evaluated."""
        return self._timed(Phase("free", 0.0, self._config.dynamics.sweeps), ideal=ideal)

    def exact(self, beta: float) -> tuple[Phase, ...]:
        """The phases of a relaxation that may take as long as it can."""
        cap = self._config.dynamics.sweeps
        return (Phase("free", 0.0, cap, fixed=True), Phase("nudged", beta, cap, fixed=True))

    def warnings(self) -> list[str]:
        """What a user should know before the run begins."""
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
        """Phases that end when they settle; or, if asked for or under noise, after all their sweeps, averaged last."""
        dynamics = self._config.dynamics
        noisy = self.noisy and not ideal
        if not (noisy or dynamics.fixed):
            return phases
        *before, last = (replace(phase, fixed=True) for phase in phases)
        average = (last.cap + 1) // 2 if noisy else 0
        if dynamics.average != "auto":
            average = dynamics.average
        return (*before, replace(last, average=average))
