"""Accuracy (squared error for numbers) under perturbed inputs: adversarial perturbations in L∞, or noise.

The adversary uses the network's own local gradient of the loss with respect to the input, −(1/β)θ₀ᵀd₁. If an output is
saturated at the correct value, its difference is zero and so is the gradient. Scores therefore apply to this adversary;
for a stronger one they are only optimistic bounds.
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
"""β of the nudge for the input gradient."""
REACH = 2.5
"""Total length of all PGD steps in units of ε, enough to cross the ball and return."""


def fgsm(trained: Trained, inputs: Array, targets: Targets, epsilon: float, bounds: tuple[Bound, Bound]) -> Array:
    """Apply FGSM: one step of ε along the sign of the input gradient, clipped to the data's range."""
    return np.clip(inputs + epsilon * np.sign(trained.input_gradient(inputs, targets, BETA)), *bounds)


def pgd(
    trained: Trained, inputs: Array, targets: Targets, epsilon: float, bounds: tuple[Bound, Bound], steps: int
) -> Array:
    """Apply PGD: projected gradient ascent of the loss, within ε of the inputs in L∞ and within the data's range.

    Every step has the size 2.5ε/steps along the sign of the gradient. The first step starts at the inputs.
    """
    low, high = np.maximum(inputs - epsilon, bounds[0]), np.minimum(inputs + epsilon, bounds[1])
    x = inputs
    for _ in range(steps):
        x = np.clip(x + REACH * epsilon / steps * np.sign(trained.input_gradient(x, targets, BETA)), low, high)
    return x


def score(trained: Trained, inputs: Array, targets: Targets) -> float:
    """Return the score of the predictions at the equilibria of these inputs; see `measure`."""
    outputs = trained.settle(inputs, targets).outputs
    if measure(targets) == "accuracy":
        return float(np.mean(outputs.argmax(axis=1) == targets))
    return errors(outputs, targets)[0] / targets.size


def measure(targets: Targets) -> str:
    """Return the name of the metric of `score`: ``accuracy`` as a fraction, or the mean ``squared_error``."""
    return "accuracy" if targets.ndim == 1 else "squared_error"


def masked(trained: Trained, inputs: Array, targets: Targets) -> float:
    """Return the fraction of samples whose input gradient is zero, so that this adversary cannot affect them."""
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
    """Compute the score under FGSM and PGD for each ε, in input units.

    Parameters
    ----------
    told
        Progress callback, called after each ε.
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
    """Compute the score under additive Gaussian noise for each standard deviation σ, in input units, without clipping.

    Parameters
    ----------
    draws
        Number of noise draws per sample, from the seed of the run. All σ use the same draws.
    told
        Progress callback, called after each σ.
    """
    stream = Stream(trained.config.seed, "input-noise")
    noises = [stream.at(tick=draw).standard_normal(inputs.shape) for draw in range(draws)]
    rows = []
    for sigma in sigmas:
        found = [score(trained, inputs + sigma * noise, targets) for noise in noises]
        rows.append({"sigma": sigma, measure(targets): float(np.mean(found))})
        told()
    return rows
