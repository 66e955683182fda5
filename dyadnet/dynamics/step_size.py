"""Choice of the step: over-relaxation where Young's theory holds, the scalar recursion with delay elsewhere.

Let ρ be the spectral radius of F(θ+θᵀ), with each projection weighted by √|κ|. The synchronous iteration of a chain has
the eigenvalues e = ±√κ·ρᵢ (imaginary for κ < 0). A chain is consistently ordered. So alternating its two colours with
ω = 2/(1+√(1−κρ²)) is optimal for −1 ≤ κ ≤ 0. A synchronous block that hears its neighbours τ ticks later than the
next tick obeys a(t+1) = (1−η)a(t) + ηe·a(t−τ) for each mode, and the best η follows from that recursion.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dyadnet.config.steps import LARGEST_STEP, Circumstances, OwnStep
from dyadnet.dynamics.prospective import Modes, Setting, tuned
from dyadnet.dynamics.spectral_radius import Operator
from dyadnet.errors import UsageError

MARGIN = 1.1
"""Factor on the estimate of ρ: a power iteration approaches ρ from below, and ω tolerates little error."""
REAL_AGE = 24
"""Number of updates per δ in real time. With more, the recursion is hardly closer to its delay equation."""
ONE_WAY = 0.05
"""T/δ of pure feedforward networks (κ = 0): a neuron follows its inputs almost at once."""
SHORTEST = 0.5
"""Smallest T/δ of free-running blocks, used if no loop requires more."""


@dataclass(frozen=True, slots=True)
class Extrapolation:
    """How prospective neurons extrapolate; see `dyadnet.dynamics.prospective`.

    Attributes
    ----------
    span
        Number of the sender's firings over which the difference is taken; in real time, in units of δ/`REAL_AGE`.
    modes
        Location of the eigenvalues of the drive.
    eta, gamma
        η and γ as set; None: choose them for the spectral radius.
    share
        Fraction of a block's neurons that update at a firing. Chosen steps are divided by it.
    """

    span: int
    modes: Modes = "imaginary"
    eta: float | None = None
    gamma: float | None = None
    share: float = 1.0

    def setting(self, radius: float, age: int) -> Setting:
        """Return η and γ for an estimated spectral radius and the mean age of held messages."""
        eta = None if self.eta is None else self.eta * self.share
        return tuned(radius, age, self.span, self.modes, eta=eta, gamma=self.gamma)

    def gain(self, radius: float, age: int) -> float:
        """Return γ for an estimated spectral radius and the mean age of held messages."""
        return self.setting(radius, age).gamma if self.gamma is None else self.gamma


@dataclass(frozen=True, slots=True)
class StepRule(ABC):
    """Base class of rules by which the step follows from a spectral radius.

    Attributes
    ----------
    kind
        Name of the rule.
    may_circle
        Whether a residual that stops falling means that a relaxation diverges.
    operator
        Operator whose ρ is used where Young's theory does not hold; see `dyadnet.dynamics.spectral_radius`.
    why
        Reason for the choice in words, for the record.
    prospective
        Extrapolation of prospective neurons; None: neurons do not extrapolate.
    lag
        τ of the recursion for which the step is chosen.
    """

    kind: ClassVar[str]
    may_circle: ClassVar[bool] = True
    operator: ClassVar[Operator] = "norm"
    why: str = ""
    prospective: Extrapolation | None = None
    lag: int = 0

    @property
    def needs_radius(self) -> bool:
        """Whether the step or γ depends on ρ."""
        return True

    @abstractmethod
    def step(self, radius: float) -> float:
        """Return η, ω, or T/δ for an estimated spectral radius."""

    def gamma(self, radius: float) -> float:
        """Return γ of prospective neurons for an estimated spectral radius; 0: no extrapolation."""
        return 0.0


@dataclass(frozen=True, slots=True)
class Fixed(StepRule):
    """A rule with a constant step or time constant, `value`."""

    kind: ClassVar[str] = "fixed"
    value: float = 1.0

    @property
    def needs_radius(self) -> bool:
        """Whether the step or γ depends on ρ."""
        return False

    def step(self, radius: float) -> float:
        """Return η, or T in milliseconds or in units of the delay."""
        return self.value

    def gamma(self, radius: float) -> float:
        """Return γ of prospective neurons in real time."""
        return 0.0 if self.prospective is None else self.prospective.gain(radius, REAL_AGE)


@dataclass(frozen=True, slots=True)
class Descent(StepRule):
    """Neighbours take turns with ω = 1. For κ ≥ 0 every firing lowers the energy, so nothing oscillates."""

    kind: ClassVar[str] = "descent"
    may_circle: ClassVar[bool] = False

    @classmethod
    def suited(cls, about: Circumstances) -> Descent | None:
        """Return the rule if it suits a network, else None."""
        if not (about.forest and about.red_black and about.sign >= 0 and not about.mixed):
            return None
        what = "block descent on the energy (κ > 0)" if about.sign > 0 else "nothing flows in circles (κ = 0)"
        return cls(why=f"red-black with ω = 1: {what}")

    @property
    def needs_radius(self) -> bool:
        """Whether the step or γ depends on ρ."""
        return False

    def step(self, radius: float) -> float:
        """Return ω."""
        return 1.0


@dataclass(frozen=True, slots=True)
class OverRelaxed(StepRule):
    """Neighbours take turns with Young's ω, which is optimal for κ ≤ 0."""

    kind: ClassVar[str] = "over-relaxed"

    @classmethod
    def suited(cls, about: Circumstances) -> OverRelaxed | None:
        """Return the rule if it suits a network, else None."""
        if not (about.forest and about.red_black and about.sign < 0 and not about.mixed):
            return None
        return cls(why="red-black, over-relaxed: ω = 2/(1+√(1+ρ²))")

    def step(self, radius: float) -> float:
        """Return ω for an estimated spectral radius."""
        return over_relaxation(MARGIN * radius)


@dataclass(frozen=True, slots=True)
class TwoWay(OverRelaxed):
    """Neighbours that are joined by two projections, one in each direction, take turns.

    Two colours are consistently ordered for any W. A mode e settles if it lies in the ellipse with the half axes 1
    (real) and (2−ω)/ω (imaginary). For modes in an ellipse with half axes a, b, the best ω is 2/(1+√(1−a²+b²)). No
    bound keeps a below 1, so a = 0 is used as in the other rules. The norm of W's skew part bounds b and is used as ρ.
    Modes with a real part near 1 are slow for any ω. Therefore a residual that stops falling does not mean that ω is
    too large.
    """

    kind: ClassVar[str] = "two-way"
    may_circle: ClassVar[bool] = False
    operator: ClassVar[Operator] = "skew"

    @classmethod
    def suited(cls, about: Circumstances) -> TwoWay | None:
        """Return the rule if it suits a network, else None."""
        if not (about.two_way and about.red_black and about.sign == 0):
            return None
        return cls(why="red-black, weights of their own both ways: ω = 2/(1+√(1+ρ²)) for W's skew part")


@dataclass(frozen=True, slots=True)
class Delayed(StepRule):
    """The best η of the scalar recursion with delay.

    Attributes
    ----------
    sign
        −1 if modes are imaginary (κ < 0), +1 if they are real.
    """

    kind: ClassVar[str] = "delayed"
    sign: int = -1

    @classmethod
    def suited(cls, about: Circumstances) -> Delayed | None:
        """Return the rule if it suits a network, else None."""
        if not (about.forest and about.synchronous and not about.mixed):
            return None
        sign = 1 if about.sign > 0 else -1
        return cls(why=f"best η of the scalar recursion, τ = {about.lag}", lag=about.lag, sign=sign)

    def step(self, radius: float) -> float:
        """Return η for an estimated spectral radius."""
        return best_step(round(MARGIN * radius, 3), self.lag, self.sign)


@dataclass(frozen=True, slots=True)
class Safe(Delayed):
    """An η that suits any mode of modulus ρ."""

    kind: ClassVar[str] = "safe"

    @classmethod
    def suited(cls, about: Circumstances) -> Safe:
        """Return the rule, which suits every network."""
        return cls(why=f"safe η for any mode of modulus ρ, τ = {about.lag}", lag=about.lag)


@dataclass(frozen=True, slots=True)
class TimeConstant(StepRule):
    """T of free-running blocks, in units of the measured delay.

    Attributes
    ----------
    margin
        T as a multiple of the smallest stable one.
    sign
        −1 if modes are imaginary (κ < 0), +1 if they are real.
    """

    kind: ClassVar[str] = "free"
    margin: float = 1.0
    sign: int = -1

    def step(self, radius: float) -> float:
        """Return T/δ for an estimated spectral radius."""
        return time_constant(MARGIN * radius, self.sign, self.margin)


@dataclass(frozen=True, slots=True)
class Prospective(StepRule):
    """The best η and γ of the recursion with extrapolation, unless they are set; τ is the mean age minus one."""

    kind: ClassVar[str] = "prospective"
    prospective: Extrapolation = Extrapolation(1)

    @property
    def needs_radius(self) -> bool:
        """Whether the step or γ depends on ρ."""
        return self.prospective.eta is None or self.prospective.gamma is None

    def step(self, radius: float) -> float:
        """Return η for an estimated spectral radius."""
        ahead = self.prospective
        if ahead.eta is not None:
            return ahead.eta
        return min(ahead.setting(radius, self.lag + 1).eta / ahead.share, 1.0)

    def gamma(self, radius: float) -> float:
        """Return γ for an estimated spectral radius."""
        return self.prospective.gain(radius, self.lag + 1)


@dataclass(frozen=True, slots=True)
class ProspectiveTimeConstant(Prospective):
    """T and γ of prospective free-running blocks, T in units of the measured delay.

    Attributes
    ----------
    margin
        T as a multiple of the best one.
    """

    kind: ClassVar[str] = "free"
    lag: int = REAL_AGE - 1
    margin: float = 1.0

    def step(self, radius: float) -> float:
        """Return T/δ for an estimated spectral radius."""
        eta = min(self.prospective.setting(radius, REAL_AGE).eta, 1.0 - 1e-9)
        return max(SHORTEST, self.margin / (REAL_AGE * -math.log1p(-eta)))


@dataclass(frozen=True, slots=True)
class Own(StepRule):
    """A step rule that a user has registered.

    Attributes
    ----------
    rule
        The rule, as in the configuration.
    about
        Properties of the run that the rule is told.
    """

    kind: ClassVar[str] = "own"
    rule: OwnStep | None = None
    about: Circumstances = field(default_factory=Circumstances)

    @classmethod
    def of(cls, rule: OwnStep, about: Circumstances) -> Own:
        """Build the rule for a network from a registered rule."""
        name = rule.model_dump()["kind"]
        return cls(why=f"registered rule {name}, τ = {about.lag}", lag=about.lag, rule=rule, about=about)

    @property
    def needs_radius(self) -> bool:
        """Whether the step or γ depends on ρ."""
        assert self.rule is not None
        return self.rule.needs_radius

    def step(self, radius: float) -> float:
        """Return η for an estimated spectral radius.

        Raises
        ------
        UsageError
            If the rule does not return a number above 0 and at most 2.
        """
        assert self.rule is not None
        eta = self.rule.step(radius, self.about)
        if not (isinstance(eta, int | float | np.floating) and 0 < eta <= LARGEST_STEP):
            name = self.rule.model_dump()["kind"]
            raise UsageError(
                f"dynamics.step: rule {name} gave {eta!r}; it should be above 0 and at most {LARGEST_STEP:g}"
            )
        return float(eta)


SUITED: tuple[Callable[[Circumstances], StepRule | None], ...] = (
    Descent.suited,
    OverRelaxed.suited,
    TwoWay.suited,
    Delayed.suited,
    Safe.suited,
)
"""Rules from which ``step: auto`` chooses the first that suits."""


def automatic(about: Circumstances) -> StepRule:
    """Return the rule that ``step: auto`` selects for a network and its clocks."""
    return next(rule for suited in SUITED if (rule := suited(about)) is not None)


def over_relaxation(rho: float) -> float:
    """Return ω = 2/(1+√(1+ρ²)) for κ < 0, where ρ includes the factor √|κ|."""
    return 2.0 / (1.0 + math.sqrt(1.0 + rho * rho))


def time_constant(rho: float, sign: int, margin: float) -> float:
    """Return T/δ of free-running blocks: `margin` times the smallest stable one, and at least `SHORTEST`.

    A mode of T·ȧ(t) = −a(t) + e·a(t−δ) is at the edge of stability where 1 + iωT = e·exp(−iωδ). There ωT = √(ρ²−1),
    with ωδ = asin(1/ρ) for e = iρ (κ < 0), and ωδ = π − acos(1/ρ) for e = −ρ (κ > 0). Modes with ρ ≤ 1 are always
    stable.
    """
    if rho <= 1.0:
        return SHORTEST
    angle = math.asin(1.0 / rho) if sign < 0 else math.pi - math.acos(1.0 / rho)
    return max(SHORTEST, margin * math.sqrt(rho * rho - 1.0) / angle)


def growth(eta: float, mode: complex, lag: int) -> float:
    """Return the largest |z| of the recursion a(t+1) = (1−η)a(t) + η·mode·a(t−lag). Below 1, the mode decays."""
    coefficients = np.zeros(lag + 2, dtype=np.complex128)
    coefficients[0] = 1.0
    coefficients[1] -= 1.0 - eta
    coefficients[-1] -= eta * mode
    return float(np.max(np.abs(np.roots(coefficients))))


@lru_cache(maxsize=4096)
def best_step(rho: float, lag: int, sign: int) -> float:
    """Return the η in (0, 1] with the fastest decay of the slowest mode.

    Parameters
    ----------
    rho
        Spectral radius, including the factor √|κ|.
    lag
        τ: ticks beyond the next one until a neighbour receives a state.
    sign
        −1 for modes ±iρ; +1 for modes ±ρ. A mode +ρ ≥ 1 is omitted, because the bounds of the activation limit it.
    """
    modes: Sequence[complex] = (1j * rho,) if sign < 0 else (-rho, *([rho] if rho < 1 else []))
    # If ρ is small, the mode e = 0 may be the slowest: it decays with 1 − η.
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
    """Compute `growth` of many modes at once from the eigenvalues of their companion matrices, shape (modes,)."""
    companions = np.zeros((len(modes), lag + 1, lag + 1), dtype=np.complex128)
    companions[:, 0, 0] = 1.0 - eta
    companions[:, 0, -1] += eta * modes
    companions[:, np.arange(1, lag + 1), np.arange(lag)] = 1.0
    return np.asarray(np.abs(np.linalg.eigvals(companions)).max(axis=1))


def extremes(rho: float, sign: int) -> tuple[complex, complex]:
    """Return the modes ±iρ (`sign` −1) or ±ρ (+1) for a spectral radius that includes the factor √|κ|."""
    return (1j * rho, -1j * rho) if sign < 0 else (complex(-rho), complex(rho))


def largest_stable_step(modes: Sequence[complex] | NDArray[np.complex128], lag: int, ceiling: float = 1.0) -> float:
    """Return the largest η up to `ceiling` such that every mode decays at this and every smaller η.

    Parameters
    ----------
    modes
        Eigenvalues e of the linearised drive: ``extremes(rho, sign)``, or those of F·W at an equilibrium.
    lag
        τ: ticks beyond the next one until a neighbour receives a state.
    ceiling
        At most 2. At η = 2, even a neuron without inputs from other neurons oscillates.

    Returns
    -------
    float
        0 if a mode with real part of at least 1 grows at any step.
    """
    e = np.asarray(modes, dtype=np.complex128).reshape(-1)
    if np.any(e.real >= 1.0):
        return 0.0
    # Conjugate modes decay alike. Modes inside the unit circle are stable for any step up to 1.
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
