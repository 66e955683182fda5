"""Analyse a run's saved weights, section by section."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.analysis import gradient, lipschitz, robustness, stability
from dyadnet.analysis.assembled import Array, Assembled, assemble
from dyadnet.analysis.trained import CLOSE, Trained, ideal, input_range, inputs_of
from dyadnet.config import RunConfig
from dyadnet.config.dynamics import FreeRunning
from dyadnet.dynamics.request import Part, Phase, Relaxation
from dyadnet.engines.local import LocalEngine
from dyadnet.errors import ConfigError
from dyadnet.runs.loading import shape_for
from dyadnet.training.coordinator import Coordinator
from dyadnet.training.evaluation import Saved

PARTS: tuple[Part, ...] = ("train", "validation", "test")
DELAYS = (1, 2, 5, 10)
"""Delays in ticks for which the largest stable step is computed."""
SMALL_BETA = 0.01
"""β of the ideal Hebbian update that the run's own update is compared with."""
MINIBATCH = 100
"""Number of training samples of the Hebbian update."""


@dataclass(frozen=True)
class Questions:
    """Settings of an analysis.

    Attributes
    ----------
    part
        Part of the data that samples are taken from.
    samples
        Number of samples; the first ones of the part are used.
    epsilons, sigmas
        Sizes of adversarial perturbations in L∞, and standard deviations of Gaussian noise, in input units.
    pgd_steps, draws
        Number of PGD steps, and of noise draws per sample.
    equilibria
        Largest number of samples at whose equilibria the network is linearised. The linear algebra is expensive,
        because it uses all weights in one matrix.
    """

    part: Part = "test"
    samples: int = 100
    epsilons: Sequence[float] = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3)
    sigmas: Sequence[float] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
    pgd_steps: int = 10
    draws: int = 3
    equilibria: int = 20

    @property
    def work(self) -> int:
        """Number of times that `analyse` reports progress."""
        return len(PARTS) + self.samples + 3 + len(self.epsilons) + len(self.sigmas)


@dataclass(frozen=True)
class Findings:
    """Results of an analysis.

    Attributes
    ----------
    sections
        Plain values by section, as in ``analysis.json``.
    spectrum
        Eigenvalues of F·W at the equilibria of all samples, concatenated.
    singular_values
        Singular values of the linear response (I − W_κ)⁻¹ over the hidden neurons.
    """

    sections: dict[str, Any]
    spectrum: stability.Modes
    singular_values: Array


def analyse(saved: Saved, questions: Questions, told: Callable[[str], None] = lambda section: None) -> Findings:
    """Analyse a run's saved weights.

    Parameters
    ----------
    saved
        The weights, with the run's configuration and data.
    questions
        Settings of the analysis.
    told
        Progress callback, called `Questions.work` times with the name of the current section.

    Raises
    ------
    ConfigError
        If the part has fewer samples than requested.
    DivergedError
        If a relaxation diverges.
    """
    own = _own(saved)
    engine = LocalEngine(own, saved.dataset)
    try:
        engine.load(saved.parameters)
        coordinator = Coordinator(own, shape_for(own, saved.dataset), engine)
        rows = {"train": coordinator.train_rows, "validation": coordinator.validation_rows}.get(
            questions.part, np.arange(saved.dataset.sizes.test)
        )
        if not 1 <= questions.samples <= len(rows):
            legal = f"a number from 1 to {len(rows)}, what the {questions.part} part holds"
            raise ConfigError("--samples", questions.samples, legal)
        rows = rows[: questions.samples]
        sections: dict[str, Any] = {
            "generalisation": _generalisation(coordinator, saved.couplings, told),
            "settling": _settling(engine, saved.couplings, questions.part, rows, told),
        }
    finally:
        engine.close()
    sections["gradient"] = _gradient(saved, own)
    told("gradient")
    trained = Trained(ideal(saved.config, saved.couplings), saved.parameters)
    inputs, targets = inputs_of(saved.dataset, questions.part, rows)
    try:
        network = assemble(trained.engine.blocks)
        slopes = trained.settle(inputs[: questions.equilibria], targets[: questions.equilibria]).slopes
        sections["lipschitz"] = _lipschitz(network, slopes) | {"capped": trained.capped}
    finally:
        trained.close()
    told("lipschitz")
    spectra = [stability.modes(network, slope) for slope in slopes]
    sections["stability"] = _stability(spectra)
    told("stability")
    sections["robustness"] = _robustness(saved, questions, inputs, targets, told)
    return Findings(sections, np.concatenate(spectra), lipschitz.singular_values(network))


def _own(saved: Saved) -> RunConfig:
    """Return the run's configuration. For a run in real time, which cannot be repeated, use ideal dynamics."""
    if isinstance(saved.config.dynamics.mode, FreeRunning):
        return ideal(saved.config, saved.couplings)
    return saved.config


def _generalisation(
    coordinator: Coordinator, couplings: tuple[float, ...], told: Callable[[str], None]
) -> dict[str, Any]:
    """Return loss and scores of each part under the run's own dynamics, and their gaps to the training part."""
    found: dict[str, Any] = {}
    for part in PARTS:
        tally = coordinator.evaluate(part, couplings)
        found[part] = {"loss": tally.loss, **tally.scores, "samples": tally.samples}
        told("generalisation")
    for part in PARTS[1:]:
        found[part]["loss_gap"] = found[part]["loss"] - found["train"]["loss"]
        name = "accuracy" if "accuracy" in found[part] else "r2"
        found[part][f"{name}_gap"] = found["train"][name] - found[part][name]
    return found


def _settling(
    engine: LocalEngine,
    couplings: tuple[float, ...],
    part: Part,
    rows: NDArray[np.int64],
    told: Callable[[str], None],
) -> dict[str, Any]:
    """Measure sweeps and ticks of each sample separately, under the run's own dynamics and without a nudge."""
    dynamics, rule = engine.config.dynamics, engine.timing.rule
    radius = engine.spectral_radius(couplings, engine.timing.operator, 100)
    phases = (Phase("free", 0.0, dynamics.sweeps, dynamics.fixed),)
    outcomes = []
    for number, row in enumerate(rows):
        source: Part = "test" if part == "test" else "train"
        # Use numbers that no earlier relaxation had, because random draws depend on them.
        how = phases, couplings, rule.step(radius)
        relaxation = Relaxation(2**40 + number, source, np.array([row]), *how, gamma=rule.gamma(radius))
        outcomes.append(engine.relax(relaxation))
        told("settling")
    ticks = [lane.ticks for outcome in outcomes for phases_of in outcome.lanes for lane in phases_of]
    sweeps = [outcome.sweeps for outcome in outcomes]
    return {
        "samples": len(rows),
        "radius": radius,
        "step": rule.step(radius),
        "why": rule.why,
        "sweeps": _spread(sweeps),
        "ticks": _spread(ticks),
        "capped": sum(outcome.capped for outcome in outcomes),
    }


def _gradient(saved: Saved, own: RunConfig) -> dict[str, Any]:
    """Return the cosine to the exact gradient of the run's own update, and of an ideal update at a small β."""
    rows = np.arange(min(MINIBATCH, saved.dataset.sizes.train))
    learning, dynamics = saved.config.learning, own.dynamics
    beta = learning.beta.at(min(saved.manifest["epoch"], learning.epochs), learning.epochs)

    def measured(config: RunConfig, beta: float, caps: tuple[int, int]) -> gradient.Contrast:
        return gradient.contrast(config, saved.dataset, rows, beta, saved.parameters, saved.couplings, caps)

    unbound = gradient.CAP, gradient.CAP
    exact = measured(ideal(saved.config, saved.couplings, **gradient.EXACT), gradient.EXACT_BETA, unbound)
    of_run = measured(own, beta, (dynamics.sweeps, dynamics.nudged_sweeps))
    small = measured(ideal(saved.config, saved.couplings), SMALL_BETA, unbound)
    return {
        "samples": len(rows),
        "run": {"beta": beta, "cosine": gradient.cosines(of_run, exact), "capped": of_run.capped},
        "ideal": {"beta": SMALL_BETA, "cosine": gradient.cosines(small, exact), "capped": small.capped},
    }


def _lipschitz(network: Assembled, slopes: Array) -> dict[str, Any]:
    local = lipschitz.local(network, slopes)
    return {
        "linear": asdict(lipschitz.linear(network)),
        "local": {
            "equilibria": len(local),
            "hidden": _spread([constants.hidden for constants in local]),
            "output": _spread([constants.output for constants in local]),
        },
    }


def _stability(spectra: Sequence[stability.Modes]) -> dict[str, Any]:
    found = [stability.stability(e, DELAYS) for e in spectra]
    steps = np.min([one.steps for one in found], axis=0)
    return {
        "equilibria": len(found),
        "radius": _spread([one.radius for one in found]),
        "rightmost": _spread([one.rightmost for one in found]),
        "largest_stable_step": {str(delay): float(step) for delay, step in zip(DELAYS, steps, strict=True)},
    }


def _robustness(
    saved: Saved, questions: Questions, inputs: Array, targets: NDArray[Any], told: Callable[[str], None]
) -> dict[str, Any]:
    bounds = input_range(saved.dataset)
    trained = Trained(ideal(saved.config, saved.couplings, **CLOSE), saved.parameters)

    def tell() -> None:
        told("robustness")

    try:
        attacked = robustness.adversarial(
            trained, inputs, targets, questions.epsilons, bounds, questions.pgd_steps, tell
        )
        noise = robustness.noisy(trained, inputs, targets, questions.sigmas, questions.draws, tell)
        masked = robustness.masked(trained, inputs, targets)
        found = {
            "range": [float(np.min(bounds[0])), float(np.max(bounds[1]))],
            "masked": masked,
            "adversarial": attacked,
            "noise": noise,
        }
        found["measure"] = robustness.measure(targets)
        return found | {"capped": trained.capped}
    finally:
        trained.close()


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"mean": float(np.mean(values)), "max": float(np.max(values))}
