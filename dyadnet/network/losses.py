"""Losses of the output population: their values, and the nudges that they exert on output dyads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dyadnet.numerics.elementwise import CROSS_ENTROPY, SQUARED_ERROR, softmax_nudge
from dyadnet.registry import Registry

Array = NDArray[Any]
CLASSES, NUMBERS = "classes", "numbers"
"""Kinds of targets."""


class Loss(ABC):
    """A loss ℓ(s, y), with y one-hot or real, of shape (batch, n).

    A user's loss implements `value`, and `gradient` or `nudge`.

    Attributes
    ----------
    output
        The activation that it needs at the output population; None if any is possible.
    targets
        Kinds of targets for which it can be used: ``classes``, ``numbers`` or both.
    compiled
        Number of the compiled form of its nudge in `dyadnet.numerics.elementwise`; None if Python is called.
    """

    output: ClassVar[str | None] = None
    targets: ClassVar[tuple[str, ...]] = (CLASSES, NUMBERS)
    compiled: ClassVar[int | None] = None

    @abstractmethod
    def value(self, s: Array, y: Array) -> NDArray[np.float64]:
        """Return ℓ of each sample, shape (batch,), in float64."""

    def gradient(self, s: Array, y: Array) -> Array:
        """Return ∇ℓ(s), shape (batch, n)."""
        raise NotImplementedError

    def nudge(self, m: Array, d: Array, y: Array) -> tuple[Array, Array]:
        """Return the mean and the half difference of ∇ℓ(s⁺) and ∇ℓ(s⁻).

        With a±* ∓ β∇ℓ(s±), the mean drive receives −β times the half difference, and the difference drive receives −β
        times the mean (paper, eq. 7, corrected). The default implementation calls `gradient` for both compartments in
        float64, so that their difference does not cancel.
        """
        wide, half, targets = (array.astype(np.float64) for array in (m, d, y))
        plus, minus = self.gradient(wide + half, targets), self.gradient(wide - half, targets)
        return ((plus + minus) / 2).astype(m.dtype), ((plus - minus) / 2).astype(m.dtype)

    def probabilities(self, s: Array) -> NDArray[np.float64]:
        """Return class probabilities, shape (batch, n): positive outputs over their sum; uniform if there are none."""
        positive = np.maximum(s, 0.0)
        total = positive.sum(axis=1, keepdims=True)
        even = np.full_like(positive, 1.0 / positive.shape[1])
        return np.where(total > 0, positive / np.where(total > 0, total, 1.0), even)

    def log_probabilities(self, s: Array) -> NDArray[np.float64]:
        """Return the logarithms of `probabilities`; −∞ where a probability is 0."""
        with np.errstate(divide="ignore"):
            return np.log(self.probabilities(s))


@dataclass(frozen=True)
class SquaredError(Loss):
    """ℓ = ½‖s−y‖², summed over outputs. It is minimal where outputs are the class probabilities."""

    compiled = SQUARED_ERROR

    def value(self, s: Array, y: Array) -> NDArray[np.float64]:
        """Return ℓ of each sample, shape (batch,)."""
        error = s.astype(np.float64) - y
        return np.asarray(0.5 * np.sum(error * error, axis=1))

    def nudge(self, m: Array, d: Array, y: Array) -> tuple[Array, Array]:
        """Return the nudge for ∇ℓ = s − y: mean m − y, half difference d."""
        return m - y, d


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """ℓ = −Σ y·log softmax(s)."""

    output = "linear"
    targets = (CLASSES,)
    compiled = CROSS_ENTROPY

    def value(self, s: Array, y: Array) -> NDArray[np.float64]:
        """Return ℓ of each sample, shape (batch,)."""
        wide = s.astype(np.float64)
        top = wide.max(axis=1, keepdims=True)
        logsum = np.log(np.sum(np.exp(wide - top), axis=1)) + top[:, 0]
        return np.asarray(np.sum(y, axis=1) * logsum - np.sum(y * wide, axis=1))

    def nudge(self, m: Array, d: Array, y: Array) -> tuple[Array, Array]:
        """Return the nudge for ∇ℓ = softmax(s) − y."""
        mean, difference = np.empty_like(m), np.ascontiguousarray(d).copy()
        flat = [np.ascontiguousarray(array).reshape(-1) for array in (m, d, y)]
        softmax_nudge(*flat, len(m), mean.reshape(-1), difference.reshape(-1))
        return mean, difference

    def probabilities(self, s: Array) -> NDArray[np.float64]:
        """Return the softmax, shape (batch, n)."""
        powers = np.exp(s - s.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    def log_probabilities(self, s: Array) -> NDArray[np.float64]:
        """Return the logarithms of the softmax, without underflow."""
        shifted = s - s.max(axis=1, keepdims=True)
        return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def _problem(name: str, thing: object) -> str | None:
    """Return what is wrong with a loss that is to be registered, or None."""
    if not isinstance(thing, Loss):
        return "it has to be a class that derives from dyadnet.network.losses.Loss, or an object of one"
    if type(thing).gradient is Loss.gradient and type(thing).nudge is Loss.nudge:
        return "it lacks gradient, or nudge"
    if not thing.targets or not set(thing.targets) <= {CLASSES, NUMBERS}:
        return f"targets = {thing.targets!r}; it has to hold {CLASSES!r}, {NUMBERS!r} or both"
    if type(thing).compiled is not None:
        return "compiled = None: only what is built in has a compiled form"
    return None


LOSSES: Registry[Loss] = Registry(
    "loss",
    {"squared-error": SquaredError(), "cross-entropy": CrossEntropy()},
    _problem,
    lambda thing: thing() if isinstance(thing, type) else thing,
)
"""All losses by their names in a configuration."""
