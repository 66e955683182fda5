"""Losses of the output population: values, and the nudge they put on its dyads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dyadnet.numerics.elementwise import softmax_nudge

Array = NDArray[Any]


class Loss(Protocol):
    """ℓ(s, y), with y one-hot or real, of shape (batch, n)."""

    @property
    def name(self) -> str:
        """As a description writes it."""

    def value(self, s: Array, y: Array) -> NDArray[np.float64]:
        """ℓ of each sample, shape (batch,), in float64."""

    def nudge(self, m: Array, d: Array, y: Array) -> tuple[Array, Array]:
        """Mean and half difference of ∇ℓ(s⁺) and ∇ℓ(s⁻).

        With a±* ∓ β∇ℓ(s±), the mean drive gets −β times the half difference and the difference drive −β times
        the mean (paper, eq. 7 as mended).
        """


@dataclass(frozen=True, slots=True)
class SquaredError:
    """ℓ = ½‖s−y‖², summed over outputs."""

    name: str = "squared-error"

    def value(self, s: Array, y: Array) -> NDArray[np.float64]:
        """ℓ of each sample, shape (batch,)."""
        error = s.astype(np.float64) - y
        return np.asarray(0.5 * np.sum(error * error, axis=1))

    def nudge(self, m: Array, d: Array, y: Array) -> tuple[Array, Array]:
        """∇ℓ = s − y: mean m − y, half difference d."""
        return m - y, d


@dataclass(frozen=True, slots=True)
class CrossEntropy:
    """ℓ = −Σ y·log softmax(s)."""

    name: str = "cross-entropy"

    def value(self, s: Array, y: Array) -> NDArray[np.float64]:
        """ℓ of each sample, shape (batch,)."""
        wide = s.astype(np.float64)
        top = wide.max(axis=1, keepdims=True)
        logsum = np.log(np.sum(np.exp(wide - top), axis=1)) + top[:, 0]
        return np.asarray(np.sum(y, axis=1) * logsum - np.sum(y * wide, axis=1))

    def nudge(self, m: Array, d: Array, y: Array) -> tuple[Array, Array]:
        """∇ℓ = softmax(s) − y."""
        mean, difference = np.empty_like(m), np.ascontiguousarray(d).copy()
        flat = [np.ascontiguousarray(array).reshape(-1) for array in (m, d, y)]
        softmax_nudge(*flat, len(m), mean.reshape(-1), difference.reshape(-1))
        return mean, difference


LOSSES: dict[str, Loss] = {loss.name: loss for loss in (SquaredError(), CrossEntropy())}
