"""Optimisers: what turns a Hebbian gradient into a change of weights. Their state lives beside the weights."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field

from dyadnet.numerics import kernels
from dyadnet.schema import Spec

Array = NDArray[Any]
State = dict[str, Array]


class _Decay(Spec):
    """Both ways to decay weights; neither touches biases.

    Attributes
    ----------
    weight_decay
        Decoupled: each update also takes learning rate × weight_decay × θ off θ.
    l2
        Coupled: l2 × θ is added to the gradient.
    """

    weight_decay: float = Field(0.0, ge=0)
    l2: float = Field(0.0, ge=0)


class SGD(_Decay):
    """θ ← θ − learning rate × gradient."""

    kind: Literal["sgd"] = "sgd"

    def start(self, weights: Array) -> State:
        """State before the first update."""
        return {}

    def step(self, weights: Array, gradient: Array, state: State, rate: float, count: int, decay: bool) -> None:
        """Update `weights` in place; `gradient` may be overwritten. `count` is 1 at the first update."""
        kernels.momentum(*_flat(weights, gradient, gradient), rate, 0.0, *self._decays(decay))

    def _decays(self, decay: bool) -> tuple[float, float]:
        return (self.weight_decay, self.l2) if decay else (0.0, 0.0)


class Momentum(SGD):
    """v ← momentum × v + gradient; θ ← θ − learning rate × v."""

    kind: Literal["momentum"] = "momentum"  # type: ignore[assignment]
    momentum: float = Field(0.9, ge=0, lt=1)

    def start(self, weights: Array) -> State:
        """State before the first update."""
        return {"velocity": np.zeros_like(weights)}

    def step(self, weights: Array, gradient: Array, state: State, rate: float, count: int, decay: bool) -> None:
        """Update `weights` in place; `gradient` may be overwritten. `count` is 1 at the first update."""
        arrays = _flat(weights, gradient, state["velocity"])
        kernels.momentum(*arrays, rate, self.momentum, *self._decays(decay))


class Adam(_Decay):
    """Kingma & Ba (2015), with the decoupled decay of Loshchilov & Hutter (2019)."""

    kind: Literal["adam"] = "adam"
    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.999, ge=0, lt=1)
    epsilon: float = Field(1e-8, gt=0)

    def start(self, weights: Array) -> State:
        """State before the first update."""
        return {"first": np.zeros_like(weights), "second": np.zeros_like(weights)}

    def step(self, weights: Array, gradient: Array, state: State, rate: float, count: int, decay: bool) -> None:
        """Update `weights` in place; `gradient` may be overwritten. `count` is 1 at the first update."""
        correction = 1.0 - self.beta2**count
        kernels.adam(
            *_flat(weights, gradient, state["first"], state["second"]),
            rate / (1.0 - self.beta1**count),
            correction,
            self.beta1,
            self.beta2,
            self.epsilon,
            rate * self.weight_decay if decay else 0.0,
            self.l2 if decay else 0.0,
        )


def _flat(*arrays: Array) -> tuple[Array, ...]:
    return tuple(array.reshape(-1) for array in arrays)


def _by_name(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


Optimiser = Annotated[
    Annotated[SGD | Momentum | Adam, Field(discriminator="kind")],
    BeforeValidator(_by_name),
]
"""An optimiser as a configuration writes it; by its name alone if the rest is as it is unless given."""
