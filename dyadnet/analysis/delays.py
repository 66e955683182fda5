"""The delay experiment: the largest stable step as a function of delay for κ from −1 to 1, and how to settle anyway.

For each κ, one network is trained on the digits without delays. The largest stable step of synchronous blocks at its
equilibria is determined in two ways: from the scalar recursion with the eigenvalues of F·W (theory), and by perturbing
the network itself (simulation). Both are done with plain neurons, and with prospective neurons that extrapolate their
inputs to the present (γ = 1). The decay time of a perturbation is determined in the same ways. The experiment also
measures settling time and accuracy with a small fixed step, with the step tuned to the delay, with prospective neurons,
and with the red-black clock stretched to the delay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.analysis import stability
from dyadnet.analysis.assembled import assemble
from dyadnet.analysis.perturbation import Perturbed
from dyadnet.analysis.trained import Trained, ideal, inputs_of
from dyadnet.config import RunConfig
from dyadnet.config.overrides import merged
from dyadnet.config.presets import nearest_model, preset
from dyadnet.data import Dataset, Split
from dyadnet.dynamics import prospective
from dyadnet.dynamics.prospective import Setting, growths, ticks, tuned
from dyadnet.dynamics.step_size import MARGIN as PLAIN
from dyadnet.dynamics.step_size import best_step, largest_stable_step
from dyadnet.engines.local import LocalEngine
from dyadnet.runs.weights import Parameters
from dyadnet.training.coordinator import Coordinator

KAPPAS = (-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0)
DELAYS = (1, 2, 3, 5, 8, 12, 16)
CEILING = 1.9
"""Largest step that is tried; at 2 even a neuron without inputs oscillates."""
SMALL_STEP = 0.05
"""The paper's η."""
SAMPLES = 10
"""Number of test samples whose equilibria are perturbed; the least stable one counts."""
RESTED = (-1.0, 0.0, 1.0)
"""κ of the three models, for which settling and accuracy are also measured."""
AT_REST = {"tolerance": 1e-12, "tolerance_difference": 1e-9, "patience": 5000}
WAYS: dict[str, dict[str, Any]] = {
    "fixed": {"clock": "every-tick", "step": SMALL_STEP},
    "tuned": {"clock": "every-tick", "step": "auto"},
    "prospective": {"clock": "every-tick", "step": "auto", "prospective": "auto"},
    "stretched": {"clock": "auto", "step": "auto"},
}
"""Dynamics under delay: η = 0.05 for all delays; the best synchronous η; the best η and γ; or the red-black clock."""
GAMMAS = (0.0, 1.0)
"""γ for which the largest stable step is determined: plain neurons, and extrapolation to the present."""


@dataclass(frozen=True)
class Experiment:
    """Settings of the experiment.

    Attributes
    ----------
    kappas, delays
        Couplings of all projections, and delays of all channels in ticks.
    hidden, epochs, seed
        Hidden layer sizes, epochs and seed of the trained networks.
    cap
        Ticks after which a network counts as never settling.
    """

    kappas: Sequence[float] = KAPPAS
    delays: Sequence[int] = DELAYS
    hidden: tuple[int, ...] = (100, 100)
    epochs: int = 20
    seed: int = 0
    cap: int = 8000

    @property
    def work(self) -> int:
        """Number of times that `measure` reports progress."""
        rested = sum(kappa in RESTED for kappa in self.kappas)
        return len(self.kappas) * (1 + len(GAMMAS) * len(self.delays)) + rested * len(self.delays) * len(WAYS)


@dataclass(frozen=True)
class Limit:
    """Largest stable step of one network at one delay.

    Attributes
    ----------
    radius, rightmost
        Largest |e| and largest real part of the eigenvalues of F·W at the equilibria.
    theory, simulated
        The step from the scalar recursion, and from perturbing the network; `CEILING` if no smaller one is unstable.
    gamma
        γ of the neurons; 0 for plain neurons.
    """

    kappa: float
    delay: int
    radius: float
    rightmost: float
    theory: float
    simulated: float
    gamma: float = 0.0


@dataclass(frozen=True)
class Cost:
    """Number of ticks in which a small perturbation of one network shrinks to a thousandth.

    Attributes
    ----------
    step, gamma
        η and γ. Plain: the best η for 1.1 times the largest |e|, and γ = 0. Prospective: the values of
        `dyadnet.dynamics.prospective.tuned` for the largest |e|.
    theory, simulated
        Ticks from the scalar recursion with the eigenvalues of F·W, and from perturbing the network.
    """

    kappa: float
    delay: int
    step: float
    gamma: float
    theory: float
    simulated: float


@dataclass(frozen=True)
class Rest:
    """Settling and accuracy of one network at one delay, on the whole test part at once.

    Attributes
    ----------
    way
        A key of `WAYS`.
    step
        η or ω.
    ticks
        Ticks until every block had settled for every sample; None if not within the cap.
    accuracy
        Test accuracy at that time.
    """

    kappa: float
    delay: int
    way: str
    step: float
    ticks: int | None
    accuracy: float


def measure(
    experiment: Experiment, dataset: Dataset, told: Callable[[str], None] = lambda what: None
) -> tuple[list[Limit], list[Cost], list[Rest]]:
    """Run the whole experiment.

    Parameters
    ----------
    experiment
        Settings of the experiment.
    dataset
        The digits, or another data set with the same sample sizes.
    told
        Progress callback, called `Experiment.work` times with a description of the finished step.
    """
    limits: list[Limit] = []
    costs: list[Cost] = []
    rests: list[Rest] = []
    for kappa in experiment.kappas:
        config, parameters = _train(experiment, kappa, dataset)
        told(f"κ = {kappa:g}: trained")
        found = _limits(config, parameters, kappa, experiment.delays, dataset, told)
        limits += found[0]
        costs += found[1]
        for delay in experiment.delays if kappa in RESTED else ():
            for way in WAYS:
                rests.append(_rest(config, parameters, kappa, delay, way, experiment.cap, dataset))
                told(f"κ = {kappa:g}, delay {delay}: {way}")
    return limits, costs, rests


def _train(experiment: Experiment, kappa: float, dataset: Dataset) -> tuple[RunConfig, Parameters]:
    """Train a network of one κ without delays, with the preset of the nearest model."""
    lam = (kappa + 1.0) / 2.0
    values = merged(
        preset("digits", nearest_model(lam)),
        {
            "network": {"layered": {"lam": lam, "hidden": list(experiment.hidden)}},
            "learning": {"epochs": experiment.epochs},
            "engine": "local",
            "seed": experiment.seed,
        },
    )
    config = RunConfig.read(values)
    engine = LocalEngine(config, dataset)
    try:
        Coordinator(config, dataset.sizes, engine).run()
        return config, engine.parameters()
    finally:
        engine.close()


def _limits(
    config: RunConfig,
    parameters: Parameters,
    kappa: float,
    delays: Sequence[int],
    dataset: Dataset,
    told: Callable[[str], None],
) -> tuple[list[Limit], list[Cost]]:
    couplings = tuple(p.coupling for p in config.network.recurrent)
    inputs, labels = inputs_of(dataset, "test", np.arange(SAMPLES))
    trained = Trained(ideal(config, couplings, **AT_REST), parameters)
    try:
        slopes = trained.settle(inputs, labels).slopes
        rest = {name: trained.engine.lanes(name)[0].A for name in trained.engine.blocks}
        network = assemble(trained.engine.blocks)
    finally:
        trained.close()
    spectra = [stability.modes(network, slope) for slope in slopes]
    together = np.concatenate(spectra)
    radius, rightmost = float(np.abs(together).max()), float(together.real.max())
    shown = replace(dataset, test=Split(inputs, labels), scale=1.0)
    limits, costs = [], []
    for gamma, delay in product(GAMMAS, delays):
        if gamma:
            theory = prospective.largest_stable_step(together, delay, gamma, ceiling=CEILING)
        else:
            theory = largest_stable_step(together, delay - 1, ceiling=CEILING)
        delayed = ideal(config, couplings, clock="every-tick", delay=delay, prospective=gamma, prospective_span=1)
        engine = LocalEngine(delayed, shown)
        try:
            engine.load(parameters)
            simulated = Perturbed(engine, rest, couplings, gamma).largest_step(delay, high=CEILING)
            if kappa < 0:
                costs.append(_cost(engine, rest, couplings, together, delay, prospective=gamma > 0))
        finally:
            engine.close()
        limits.append(Limit(kappa, delay, radius, rightmost, theory, simulated, gamma))
        told(f"κ = {kappa:g}, delay {delay}, γ = {gamma:g}: disturbed")
    return limits, costs


def _cost(
    engine: LocalEngine,
    rest: Mapping[str, NDArray[Any]],
    couplings: tuple[float, ...],
    modes: NDArray[Any],
    delay: int,
    *,
    prospective: bool,
) -> Cost:
    radius = float(np.abs(modes).max())
    found = (
        tuned(radius, delay) if prospective else Setting(best_step(round(PLAIN * radius, 3), delay - 1, -1), 0.0, 0.0)
    )
    theory = ticks(float(growths(found.eta, found.gamma, modes, delay).max()))
    simulated = Perturbed(engine, rest, couplings, found.gamma).decay(
        found.eta, min(round(3 * theory) + 10 * delay, 9999)
    )
    return Cost(couplings[0], delay, found.eta, found.gamma, theory, simulated)


def _rest(
    config: RunConfig, parameters: Parameters, kappa: float, delay: int, way: str, cap: int, dataset: Dataset
) -> Rest:
    dynamics = WAYS[way] | {"delay": delay}
    sweep = 2 * delay if way == "stretched" else 1
    # Let an oscillating network run up to the cap, so that its accuracy can be measured.
    dynamics |= {"sweeps": -(-cap // sweep), "patience": cap}
    under_delay = RunConfig.read(merged(config.model_dump(mode="json"), {"dynamics": dynamics}))
    engine = LocalEngine(under_delay, dataset)
    try:
        engine.load(parameters)
        assert engine.timing.sweep == sweep
        coordinator = Coordinator(under_delay, dataset.sizes, engine)
        summary = coordinator.evaluate("test").summary()
        step = engine.timing.rule.step(coordinator.radius)
        ticks = None if summary["capped"] else round(summary["most_sweeps"] * sweep)
        return Rest(kappa, delay, way, step, ticks, summary["accuracy"])
    finally:
        engine.close()
