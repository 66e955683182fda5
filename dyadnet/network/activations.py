"""Activation functions f, and the quantities that the dynamics and the objective need of each.

An activation maps the pre-activations of a dyad, a± = A ± D, to its mean m = (f(a⁺)+f(a⁻))/2 and its difference
d = (f(a⁺)−f(a⁻))/2. In float32 the difference of two activities suffers from cancellation when D is near 1e-5.
Therefore each activation computes d without subtracting activities: by the slope if both compartments lie on one linear
piece, and by an addition theorem if f is smooth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dyadnet.numerics.elementwise import LOGISTIC, PIECEWISE, TANH, activate
from dyadnet.registry import Registry

Array = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class PiecewiseLinear:
    """f(a) = leak·a + gain·clip(a, 0, top): all piecewise-linear activations of the paper, and unbounded variants.

    Attributes
    ----------
    leak, gain, top
        The three numbers that define it; ``top`` may be infinite.
    """

    name: str
    leak: float
    gain: float
    top: float

    @property
    def steepest(self) -> float:
        """The largest slope f′, which bounds the diagonal of F in the spectral radius."""
        return self.leak + self.gain

    @property
    def bounds(self) -> tuple[float, float]:
        """Smallest and largest activity. A neuron at either bound is saturated."""
        if self.leak:
            return (-np.inf, np.inf)
        return (0.0, self.gain * self.top)

    def value(self, a: Array) -> Array:
        """Return f(a), elementwise."""
        return self.leak * a + self.gain * np.clip(a, 0.0, self.top)

    def slope(self, a: Array) -> Array:
        """Return f′(a), elementwise (0 on the outer side of the kinks)."""
        inside = (a > 0) & (a < self.top)
        return np.asarray(self.leak + self.gain * inside, dtype=a.dtype)

    def potential(self, s: Array) -> Array:
        """Return G(s) with G′ = f⁻¹, in float64 (paper, appendix B)."""
        s = np.asarray(s, dtype=np.float64)
        above = s * s / (2.0 * self.steepest)
        if not self.leak:
            return above
        return np.where(s > 0, above, s * s / (2.0 * self.leak))

    def compartments(self, A: Array, D: Array, m: Array, d: Array) -> None:
        """Write mean and difference of the dyads with pre-activations A ± D into `m` and `d` (all of one shape)."""
        _activate(PIECEWISE, (self.leak, self.gain, self.top), A, D, m, d)

    def means(self, A: Array, m: Array) -> None:
        """Write f(A) into `m`: the mean of dyads without a difference."""
        _activate(PIECEWISE, (self.leak, self.gain, self.top), A, None, m, None)

    def saturated(self, a: Array) -> NDArray[np.bool_]:
        """Return where f(a) is at either bound."""
        if self.leak:
            return np.zeros(a.shape, dtype=bool)
        return np.asarray((a <= 0) | (a >= self.top))


@dataclass(frozen=True, slots=True)
class Smooth:
    """A smooth activation, given by its functions.

    ``difference(D, s⁺, s⁻)`` returns (s⁺−s⁻)/2 by the addition theorem of f, free of cancellation. `compiled` is the
    number of the compiled form in `dyadnet.program.tables`. If there is one, it replaces `value` and `difference`.
    """

    name: str
    steepest: float
    bounds: tuple[float, float]
    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    potential: Callable[[Array], Array]
    difference: Callable[[Array, Array, Array], Array]
    compiled: int | None = None

    def compartments(self, A: Array, D: Array, m: Array, d: Array) -> None:
        """Write mean and difference of the dyads with pre-activations A ± D into `m` and `d` (all of one shape)."""
        if self.compiled is not None:
            _activate(self.compiled, (0.0, 0.0, 0.0), A, D, m, d)
            return
        plus = self.value(A + D)
        minus = self.value(A - D)
        np.multiply(plus + minus, 0.5, out=m)
        d[...] = self.difference(D, plus, minus)

    def means(self, A: Array, m: Array) -> None:
        """Write f(A) into `m`: the mean of dyads without a difference."""
        if self.compiled is not None:
            _activate(self.compiled, (0.0, 0.0, 0.0), A, None, m, None)
            return
        m[...] = self.value(A)

    def saturated(self, a: Array) -> NDArray[np.bool_]:
        """Return where f(a) is within a thousandth of its range of either bound; it never reaches a bound."""
        low, high = self.bounds
        s = self.value(a)
        margin = 1e-3 * (high - low)
        return np.asarray((s <= low + margin) | (s >= high - margin))


Activation = PiecewiseLinear | Smooth


def _activate(
    kind: int, numbers: tuple[float, float, float], A: Array, D: Array | None, m: Array, d: Array | None
) -> None:
    a = np.ascontiguousarray(A).reshape(-1)
    into = m.reshape(-1)
    if D is None or d is None:
        activate(kind, *numbers, a, a, into, into[:0])
    else:
        activate(kind, *numbers, a, np.ascontiguousarray(D).reshape(-1), into, d.reshape(-1))


def _logistic(a: Array) -> Array:
    # By tanh, so that large |a| neither overflows nor warns.
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * a)), dtype=a.dtype)


def _logistic_slope(a: Array) -> Array:
    s = _logistic(a)
    return s * (1 - s)


def _tanh_slope(a: Array) -> Array:
    return np.asarray(1 - np.tanh(a) ** 2, dtype=a.dtype)


def _xlogx(x: Array) -> Array:
    return np.where(x > 0, x * np.log(np.where(x > 0, x, 1.0)), 0.0)


def _logistic_potential(s: Array) -> Array:
    s = np.asarray(s, dtype=np.float64)
    return _xlogx(s) + _xlogx(1 - s)


def _tanh_potential(s: Array) -> Array:
    s = np.asarray(s, dtype=np.float64)
    return 0.5 * (_xlogx(1 + s) + _xlogx(1 - s))


def _logistic_difference(D: Array, plus: Array, minus: Array) -> Array:
    return np.asarray(0.5 * np.tanh(D) * (plus * (1 - minus) + minus * (1 - plus)), dtype=D.dtype)


def _tanh_difference(D: Array, plus: Array, minus: Array) -> Array:
    return np.asarray(0.5 * np.tanh(2 * D) * (1 - plus * minus), dtype=D.dtype)


def _problem(name: str, thing: object) -> str | None:
    """Return what is wrong with an activation that is to be registered, or None."""
    if not isinstance(thing, PiecewiseLinear | Smooth):
        return "it has to be a PiecewiseLinear or a Smooth of dyadnet.network.activations"
    if thing.name != name:
        return f"its name is {thing.name!r}; it has to be the one that it is registered by"
    return None


_BUILT_IN: tuple[Activation, ...] = (
    PiecewiseLinear("tempered-hard-sigmoid", leak=0.0, gain=0.5, top=2.0),
    PiecewiseLinear("hard-sigmoid", leak=0.0, gain=1.0, top=1.0),
    Smooth(
        "logistic",
        0.25,
        (0.0, 1.0),
        _logistic,
        _logistic_slope,
        _logistic_potential,
        _logistic_difference,
        LOGISTIC,
    ),
    Smooth("tanh", 1.0, (-1.0, 1.0), np.tanh, _tanh_slope, _tanh_potential, _tanh_difference, TANH),
    PiecewiseLinear("relu", leak=0.0, gain=1.0, top=np.inf),
    PiecewiseLinear("leaky-relu", leak=0.01, gain=0.99, top=np.inf),
    PiecewiseLinear("linear", leak=1.0, gain=0.0, top=np.inf),
)
ACTIVATIONS: Registry[Activation] = Registry("activation", {one.name: one for one in _BUILT_IN}, _problem)
"""All activations by their names in a configuration."""
