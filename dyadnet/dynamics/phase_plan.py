"""The requests for every relaxation of a run, derived from its settings: κ, phases, β, learning rate, warnings."""

from __future__ import annotations

from dataclasses import replace

from dyadnet.config import RunConfig
from dyadnet.config.dynamics import FreeRunning
from dyadnet.dynamics.request import Phase


class PhasePlan:
    """Plans relaxations. Its methods are pure: the same moment gives the same result.

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
