"""Choosing the step: over-relaxation where Young's theory holds, the scalar recursion of delays elsewhere.

With ρ the spectral radius of F(θ+θᵀ), each projection weighed by √|κ|, the synchronous iteration of a chain has the
eigenvalues e = ±√κ·ρᵢ (imaginary for κ < 0). A chain is consistently ordered, so alternating its two colours with
ω = 2/(1+√(1−κρ²)) is optimal for −1 ≤ κ ≤ 0. A synchronous block that hears its neighbours τ ticks later than the
next tick obeys, mode by mode, a(t+1) = (1−η)a(t) + ηe·a(t−τ), and the best η is found from that recursion.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dyadnet.dynamics.prospective import Modes, Setting, tuned

MARGIN = 1.1
"""A power iteration approaches ρ from below and the margin of ω is thin: this many times the estimate is used."""
REAL_AGE = 24
"""Updates that δ is divided into where time is real: with more the recursion is hardly closer to its delay equation."""
ONE_WAY = 0.05
"""T over δ where nothing flows in circles (κ = 0): a neuron takes over at once what it hears."""
SHORTEST = 0.5
"""T over δ of free-running blocks where no loop asks for more."""


@dataclass(frozen=True, slots=True)
class Extrapolation:
    """How prospective neurons extrapolate; see `dyadnet.dynamics.prospective`.

    Attributes
    ----------
    span
        Firings of the sender that the difference is taken over; in real time, parts of δ of which it has `REAL_AGE`.
    modes
        Where the eigenvalues of the drive lie.
    eta, gamma
        η and γ as set; None: chosen for the spectral radius.
    share
        Part of a block's neurons that update when it fires: chosen steps are so much larger.
    """

    span: int
    modes: Modes = "imaginary"
    eta: float | None = None
    gamma: float | None = None
    share: float = 1.0

    def setting(self, radius: float, age: int) -> Setting:
        """η and γ for an estimated spectral radius and the mean age of what is held."""
        eta = None if self.eta is None else self.eta * self.share
        return tuned(radius, age, self.span, self.modes, eta=eta, gamma=self.gamma)


@dataclass(frozen=True, slots=True)
class StepRule:
    """How the step follows from a spectral radius.

    Attributes
    ----------
    kind
        ``fixed``, ``over-relaxed``, ``descent`` (ω = 1 for κ > 0), ``delayed`` (best η of the scalar recursion),
        ``safe``, ``prospective`` (best η and γ of the recursion with extrapolation), or ``free`` (a time constant, in
        units of the delay).
    value
        The step if it is fixed, the margin if it is a time constant.
    lag
        τ of the recursion.
    sign
        −1 if modes are imaginary (κ < 0), +1 if real.
    why
        In words, for the record.
    prospective
        What prospective neurons extrapolate by; None: they do not.
    """

    kind: str
    value: float = 1.0
    lag: int = 0
    sign: int = -1
    why: str = ""
    prospective: Extrapolation | None = None

    @property
    def needs_radius(self) -> bool:
        """Whether step or γ depend on ρ."""
        if self.prospective is not None and self.kind != "fixed":
            return self.prospective.eta is None or self.prospective.gamma is None
        return self.kind in ("over-relaxed", "delayed", "safe", "free")

    def step(self, radius: float) -> float:
        """η, ω, or T over the delay, for an estimated spectral radius."""
        if self.kind == "free" and self.prospective is not None:
            eta = min(self.prospective.setting(radius, REAL_AGE).eta, 1.0 - 1e-9)
            return max(SHORTEST, self.value / (REAL_AGE * -math.log1p(-eta)))
        if self.kind == "fixed" and self.prospective is not None:
            return self.value
        if self.prospective is not None:
            if self.prospective.eta is not None:
                return self.prospective.eta
            return min(self.prospective.setting(radius, self.lag + 1).eta / self.prospective.share, 1.0)
        rho = MARGIN * radius
        if self.kind == "over-relaxed":
            return over_relaxation(rho)
        if self.kind in ("delayed", "safe"):
            return best_step(round(rho, 3), self.lag, self.sign)
        if self.kind == "free":
            return time_constant(rho, self.sign, self.value)
        return self.value

    def gamma(self, radius: float) -> float:
        """γ of prospective neurons for an estimated spectral radius; 0: nothing is extrapolated."""
        if self.prospective is None:
            return 0.0
        if self.prospective.gamma is not None:
            return self.prospective.gamma
        return self.prospective.setting(radius, self.lag + 1).gamma


def over_relaxation(rho: float) -> float:
    """ω = 2/(1+√(1+ρ²)) for κ < 0, with √|κ| in ρ."""
    return 2.0 / (1.0 + math.sqrt(1.0 + rho * rho))


def time_constant(rho: float, sign: int, margin: float) -> float:
    """T over δ of free-running blocks: `margin` times the smallest that is stable, and at least `SHORTEST`.

    A mode of T·ȧ(t) = −a(t) + e·a(t−δ) is at the edge of stability where 1 + iωT = e·exp(−iωδ): at ωT = √(ρ²−1), and
    ωδ = asin(1/ρ) for e = iρ (κ < 0), ωδ = π − acos(1/ρ) for e = −ρ (κ > 0). Modes with ρ ≤ 1 are always stable.
    """
    if rho <= 1.0:
        return SHORTEST
    angle = math.asin(1.0 / rho) if sign < 0 else math.pi - math.acos(1.0 / rho)
    return max(SHORTEST, margin * math.sqrt(rho * rho - 1.0) / angle)


def growth(eta: float, mode: complex, lag: int) -> float:
    """Largest |z| of the recursion a(t+1) = (1−η)a(t) + η·mode·a(t−lag): below 1 it settles."""
    coefficients = np.zeros(lag + 2, dtype=np.complex128)
    coefficients[0] = 1.0
    coefficients[1] -= 1.0 - eta
    coefficients[-1] -= eta * mode
    return float(np.max(np.abs(np.roots(coefficients))))


@lru_cache(maxsize=4096)
def best_step(rho: float, lag: int, sign: int) -> float:
    """The η in (0, 1] whose slowest mode decays fastest.

    Parameters
    ----------
    rho
        Spectral radius, √|κ| in it.
    lag
        τ: ticks beyond the next one until a neighbour hears.
    sign
        −1 for modes ±iρ; +1 for modes ±ρ, of which +ρ ≥ 1 is left to the bounds of the activation.
    """
    modes: Sequence[complex] = (1j * rho,) if sign < 0 else (-rho, *([rho] if rho < 1 else []))
    # Slow modes of small ρ must not be forgotten: e = 0 decays with 1 − η.
    candidates = (*modes, 0j)

    def worst(eta: float) -> float:
        return max(growth(eta, mode, lag) for mode in candidates)

    grid = np.geomspace(1e-4, 1.0, 60)
    values = [worst(eta) for eta in grid]
    best = int(np.argmin(values))
    low, high = float(grid[max(best - 1, 0)]), float(grid[min(best + 1, len(grid) - 1)])
    golden = (math.sqrt(5.0) - 1.0) / 2.0
    for _ in range(30):
        one, two = high - golden * (high - low), low + golden * (high - low)
        if worst(one) <= worst(two):
            high = two
        else:
            low = one
    inside = 0.5 * (low + high)
    return inside if worst(inside) < values[best] else float(grid[best])


def growths(eta: float, modes: NDArray[np.complex128], lag: int) -> NDArray[np.float64]:
    """`growth` of many modes at once, shape (modes,): the eigenvalues of a companion matrix each."""
    companions = np.zeros((len(modes), lag + 1, lag + 1), dtype=np.complex128)
    companions[:, 0, 0] = 1.0 - eta
    companions[:, 0, -1] += eta * modes
    companions[:, np.arange(1, lag + 1), np.arange(lag)] = 1.0
    return np.asarray(np.abs(np.linalg.eigvals(companions)).max(axis=1))


def extremes(rho: float, sign: int) -> tuple[complex, complex]:
    """The modes ±iρ (`sign` −1) or ±ρ (+1) that a spectral radius stands for, √|κ| in it."""
    return (1j * rho, -1j * rho) if sign < 0 else (complex(-rho), complex(rho))


def largest_stable_step(modes: Sequence[complex] | NDArray[np.complex128], lag: int, ceiling: float = 1.0) -> float:
    """The largest η up to `ceiling` at which every mode still decays, for all smaller ones too.

    Parameters
    ----------
    modes
        Eigenvalues e of the linearised drive: ``extremes(rho, sign)``, or those of F·W at an equilibrium.
    lag
        τ: ticks beyond the next one until a neighbour hears.
    ceiling
        At most 2, where even a neuron that hears nobody circles.

    Returns
    -------
    float
        0 where a mode with real part of at least 1 grows at any step.
    """
    e = np.asarray(modes, dtype=np.complex128).reshape(-1)
    if np.any(e.real >= 1.0):
        return 0.0
    # A conjugate decays alike; modes within the unit circle bear any step up to 1.
    e = np.unique(np.where(e.imag < 0, e.conj(), e))
    if ceiling <= 1.0:
        e = e[np.abs(e) > 1.0 - 1e-9]
    if not len(e):
        return ceiling
    grid = [*np.geomspace(1e-5, ceiling, 80)[:-1], ceiling * (1.0 - 1e-9)]
    unstable = next((index for index, eta in enumerate(grid) if not _decay(eta, e, lag)), None)
    if unstable is None:
        return ceiling
    low, high = (grid[unstable - 1] if unstable else 0.0), grid[unstable]
    for _ in range(40):
        middle = 0.5 * (low + high)
        if _decay(middle, e, lag):
            low = middle
        else:
            high = middle
    return float(low)


def _decay(eta: float, modes: NDArray[np.complex128], lag: int) -> bool:
    return bool(np.all(growths(eta, modes, lag) < 1))
