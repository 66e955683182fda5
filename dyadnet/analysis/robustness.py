"""Accuracy when the input is not what it should be: adversarial in L∞, or with Gaussian noise.

The adversary sees what the network itself knows: −(1/β)θ₀ᵀd₁, the local gradient of the loss with respect to the input.
Where an output is saturated on the right side its difference vanishes and with it the gradient, so accuracies are of
this adversary, and bounds on what a stronger one could do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from dyadnet.analysis.trained import Array, Trained
from dyadnet.random import Stream

Labels = NDArray[np.int64]
BETA = 1e-3
"""Nudge of the input gradient."""
REACH = 2.5
"""Length of all PGD steps together, over ε: enough to cross the ball and to come back."""


def fgsm(trained: Trained, inputs: Array, labels: Labels, epsilon: float, bounds: tuple[float, float]) -> Array:
    """One step of ε along the sign of the input gradient, kept within the data's range."""
    return np.clip(inputs + epsilon * np.sign(trained.input_gradient(inputs, labels, BETA)), *bounds)


def pgd(
    trained: Trained, inputs: Array, labels: Labels, epsilon: float, bounds: tuple[float, float], steps: int
) -> Array:
    """Projected gradient ascent of the loss within ε of the inputs in L∞ and within the data's range.

    Every step is of 2.5ε/steps along the sign of the gradient; the first starts at the inputs themselves.
    """
    low, high = np.maximum(inputs - epsilon, bounds[0]), np.minimum(inputs + epsilon, bounds[1])
    x = inputs
    for _ in range(steps):
        x = np.clip(x + REACH * epsilon / steps * np.sign(trained.input_gradient(x, labels, BETA)), low, high)
    return x


def accuracy(trained: Trained, inputs: Array, labels: Labels) -> float:
    """Fraction of correct predictions at the equilibria of these inputs."""
    return float(np.mean(trained.settle(inputs, labels).outputs.argmax(axis=1) == labels))


def masked(trained: Trained, inputs: Array, labels: Labels) -> float:
    """Fraction of samples whose input gradient vanishes altogether: this adversary cannot touch them."""
    return float(np.mean(~trained.input_gradient(inputs, labels, BETA).any(axis=1)))


def adversarial(
    trained: Trained,
    inputs: Array,
    labels: Labels,
    epsilons: Sequence[float],
    bounds: tuple[float, float],
    steps: int,
    told: Callable[[], None],
) -> list[dict[str, float]]:
    """Accuracy under FGSM and PGD against ε in input units.

    Parameters
    ----------
    told
        Called after each ε.
    """
    rows = []
    for epsilon in epsilons:
        one = fgsm(trained, inputs, labels, epsilon, bounds)
        many = pgd(trained, inputs, labels, epsilon, bounds, steps)
        accuracies = {"fgsm": accuracy(trained, one, labels), "pgd": accuracy(trained, many, labels)}
        rows.append({"epsilon": epsilon} | accuracies)
        told()
    return rows


def noisy(
    trained: Trained,
    inputs: Array,
    labels: Labels,
    sigmas: Sequence[float],
    draws: int,
    told: Callable[[], None],
) -> list[dict[str, float]]:
    """Accuracy under additive Gaussian noise against its standard deviation σ in input units, not clipped.

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
        found = [accuracy(trained, inputs + sigma * noise, labels) for noise in noises]
        rows.append({"sigma": sigma, "accuracy": float(np.mean(found))})
        told()
    return rows
