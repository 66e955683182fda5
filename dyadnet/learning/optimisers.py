"""Optimisers convert a Hebbian gradient to a change of weights. Their state is stored with the weights."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field

from dyadnet.numerics import kernels
from dyadnet.registry import Open, Registry, check_spec
from dyadnet.schema import Spec

Array = NDArray[Any]
State = dict[str, Array]


class OptimiserSpec(Spec):
    """Base class of every optimiser. Its fields are settings, and `kind` is its name.

    A user's optimiser implements `start` and `step`, which are called for every learned array of every block.

    Attributes
    ----------
    form
        Name of the compiled function that replaces `step` and takes `numbers`; None if `step` is called.
    """

    form: ClassVar[Literal["momentum", "adam"] | None] = None

    @abstractmethod
    def start(self, weights: Array) -> State:
        """Return the state before the first update: arrays by name, of any shapes. Checkpoints contain it."""

    @abstractmethod
    def step(self, weights: Array, gradient: Array, state: State, rate: float, count: int, decay: bool) -> None:
        """Update `weights` in place.

        Parameters
        ----------
        gradient
            Gradient. May be overwritten.
        state
            State of these weights. Its arrays must keep their names, shapes and types.
        rate
            Learning rate.
        count
            Number of the update, 1 at the first one.
        decay
            Whether these are weights, which decay, or biases, which do not.
        """

    def numbers(self, rate: float, count: int) -> tuple[float, ...]:
        """Return the scalar arguments of the compiled function for weights. Biases do not decay."""
        return ()


class _Decay(OptimiserSpec):
    """Base class with two ways of weight decay. Neither affects biases.

    Attributes
    ----------
    weight_decay
        Decoupled decay: each update also subtracts learning rate × weight_decay × θ from θ.
    l2
        Coupled decay: l2 × θ is added to the gradient.
    """

    weight_decay: float = Field(0.0, ge=0)
    l2: float = Field(0.0, ge=0)


class SGD(_Decay):
    """θ ← θ − learning rate × gradient."""

    form = "momentum"
    kind: Literal["sgd"] = "sgd"

    def start(self, weights: Array) -> State:
        """State before the first update."""
        return {}

    def step(self, weights: Array, gradient: Array, state: State, rate: float, count: int, decay: bool) -> None:
        """Update `weights` in place; `gradient` may be overwritten. `count` is 1 at the first update."""
        kernels.momentum(*_flat(weights, gradient, gradient), rate, 0.0, *self._decays(decay))

    def numbers(self, rate: float, count: int) -> tuple[float, ...]:
        """See `OptimiserSpec.numbers`."""
        return rate, 0.0, self.weight_decay, self.l2

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

    def numbers(self, rate: float, count: int) -> tuple[float, ...]:
        """See `OptimiserSpec.numbers`."""
        return rate, self.momentum, self.weight_decay, self.l2


class Adam(_Decay):
    """Kingma & Ba (2015), with the decoupled decay of Loshchilov & Hutter (2019)."""

    form = "adam"
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

    def numbers(self, rate: float, count: int) -> tuple[float, ...]:
        """See `OptimiserSpec.numbers`."""
        corrected = rate / (1.0 - self.beta1**count), 1.0 - self.beta2**count
        return (*corrected, self.beta1, self.beta2, self.epsilon, rate * self.weight_decay, self.l2)


def _flat(*arrays: Array) -> tuple[Array, ...]:
    return tuple(array.reshape(-1) for array in arrays)


def _by_name(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


def _problem(name: str, thing: Any) -> str | None:
    """Return what is wrong with an optimiser that is to be registered, or None."""
    if problem := check_spec(OptimiserSpec)(name, thing):
        return problem
    if thing.form is not None:
        return f"it derives from one whose compiled form {thing.form!r} would run in place of its step; say form = None"
    return None


OPTIMISERS: Registry[type[OptimiserSpec]] = Registry(
    "optimiser", {"sgd": SGD, "momentum": Momentum, "adam": Adam}, _problem
)
"""All optimisers by their names in a configuration."""
Optimiser = Annotated[
    Annotated[SGD | Momentum | Adam, Field(discriminator="kind")],
    BeforeValidator(_by_name),
    Open(OPTIMISERS, by_name=True),
]
"""An optimiser as a configuration writes it. Its name alone selects default settings."""
