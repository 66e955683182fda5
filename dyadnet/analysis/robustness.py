"""Accuracy, or the squared error of numbers, when the input is not what it should be: adversarial in L∞, or noisy.

The adversary sees what the network itself knows: −(1/β)θ₀ᵀd₁, the local gradient of the loss with respect to the input.
Where an output is saturated on the right side its difference vanishes and with it the gradient, so scores are of
this adversary, and bounds on what a stronger one could do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.analysis.trained import Array, Bound, Trained
from dyadnet.numerics.rng import Stream
from dyadnet.numerics.scores import errors

Targets = NDArray[Any]
BETA = 1e-3
"""Nudge of the input gradient."""
REACH = 2.5
"""Length of all PGD steps together, over ε: enough to cross the ball and to come back."""


def fgsm(trained: Trained, inputs: Array, targets: Targets, epsilon: float, bounds: tuple[Bound, Bound]) -> Array:
    """One step of ε along the sign of the input gradient, kept within the data's range."""
    return np.clip(inputs + epsilon * np.sign(trained.input_gradient(inputs, targets, BETA)), *bounds)


def pgd(
    trained: Trained, inputs: Array, targets: Targets, epsilon: float, bounds: tuple[Bound, Bound], steps: int
) -> Array:
    """Projected gradient ascent of the loss within ε of the inputs in L∞ and within the data's range.

    Every step is of 2.5ε/steps along the sign of the gradient; the first starts at the inputs themselves.
    """
    low, high = np.maximum(inputs - epsilon, bounds[0]), np.minimum(inputs + epsilon, bounds[1])
    x = inputs
    for _ in range(steps):
        x = np.clip(x + REACH * epsilon / steps * np.sign(trained.input_gradient(x, targets, BETA)), low, high)
    return x


def score(trained: Trained, inputs: Array, targets: Targets) -> float:
    """How good predictions are at the equilibria of these inputs; see `measure`."""
    outputs = trained.settle(inputs, targets).outputs
    if measure(targets) == "accuracy":
        return float(np.mean(outputs.argmax(axis=1) == targets))
    return errors(outputs, targets)[0] / targets.size


def measure(targets: Targets) -> str:
    """What `score` tells: ``accuracy``, the fraction of correct predictions, or ``squared_error``, its mean."""
    return "accuracy" if targets.ndim == 1 else "squared_error"


def masked(trained: Trained, inputs: Array, targets: Targets) -> float:
    """Fraction of samples whose input gradient vanishes altogether: this adversary cannot touch them."""
    return float(np.mean(~trained.input_gradient(inputs, targets, BETA).any(axis=1)))


def adversarial(
    trained: Trained,
    inputs: Array,
    targets: Targets,
    epsilons: Sequence[float],
    bounds: tuple[Bound, Bound],
    steps: int,
    told: Callable[[], None],
) -> list[dict[str, float]]:
    """The score under FGSM and PGD against ε in input units.

    Parameters
    ----------
    told
        Called after each ε.
    """
    rows = []
    for epsilon in epsilons:
        one = fgsm(trained, inputs, targets, epsilon, bounds)
        many = pgd(trained, inputs, targets, epsilon, bounds, steps)
        rows.append({"epsilon": epsilon, "fgsm": score(trained, one, targets), "pgd": score(trained, many, targets)})
        told()
    return rows


def noisy(
    trained: Trained,
    inputs: Array,
    targets: Targets,
    sigmas: Sequence[float],
    draws: int,
    told: Callable[[], None],
) -> list[dict[str, float]]:
    """The score under additive Gaussian noise against its standard deviation σ in input units, not clipped.

    Parameters
    ----------
    draws
        Noises a sample, of the seed of the run; the same ones for every σ.
    told
        Called after each σ.
    """
    stream = Stream(trained.config.seed, "input-noise")
    noises = [stream.at(tick=draw).standard_normal(inputs.shape) for draw in range(draws)]
    rows = []
    for sigma in sigmas:
        found = [score(trained, inputs + sigma * noise, targets) for noise in noises]
        rows.append({"sigma": sigma, measure(targets): float(np.mean(found))})
        told()
    return rows
