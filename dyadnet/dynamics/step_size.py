"""Choosing the step: over-relaxation where Young's theory holds, the scalar recursion of delays elsewhere.

With ρ the spectral radius of F(θ+θᵀ), each projection weighed by √|κ|, the synchronous iteration of a chain has the
eigenvalues e = ±√κ·ρᵢ (imaginary for κ < 0). A chain is consistently ordered, so alternating its two colours with
ω = 2/(1+√(1−κρ²)) is optimal for −1 ≤ κ ≤ 0. A synchronous block that hears its neighbours τ ticks later than the
next tick obeys, mode by mode, a(t+1) = (1−η)a(t) + ηe·a(t−τ), and the best η is found from that recursion.
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

    def gain(self, radius: float, age: int) -> float:
        """γ alone."""
        return self.setting(radius, age).gamma if self.gamma is None else self.gamma


@dataclass(frozen=True, slots=True)
class StepRule(ABC):
    """How the step follows from a spectral radius; each rule is a class that states what it needs.

    Attributes
    ----------
    kind
        Its name.
    may_circle
        Whether a residual that stops falling means that a relaxation diverges.
    operator
        What ρ is of where Young's theory does not hold; see `dyadnet.dynamics.spectral_radius`.
    why
        In words, for the record.
    prospective
        What prospective neurons extrapolate by; None: they do not.
    lag
        τ of the recursion that it is chosen for.
    """

    kind: ClassVar[str]
    may_circle: ClassVar[bool] = True
    operator: ClassVar[Operator] = "norm"
    why: str = ""
    prospective: Extrapolation | None = None
    lag: int = 0

    @property
    def needs_radius(self) -> bool:
        """Whether step or γ depend on ρ."""
        return True

    @abstractmethod
    def step(self, radius: float) -> float:
        """η, ω, or T over the delay, for an estimated spectral radius."""

    def gamma(self, radius: float) -> float:
        """γ of prospective neurons for an estimated spectral radius; 0: nothing is extrapolated."""
        return 0.0


@dataclass(frozen=True, slots=True)
class Fixed(StepRule):
    """The step, or the time constant, is `value`."""

    kind: ClassVar[str] = "fixed"
    value: float = 1.0

    @property
    def needs_radius(self) -> bool:
        """Whether step or γ depend on ρ."""
        return False

    def step(self, radius: float) -> float:
        """η, or T over the delay."""
        return self.value

    def gamma(self, radius: float) -> float:
        """γ of prospective neurons in real time."""
        return 0.0 if self.prospective is None else self.prospective.gain(radius, REAL_AGE)


@dataclass(frozen=True, slots=True)
class Descent(StepRule):
    """Neighbours take turns with ω = 1: where κ ≥ 0 every firing descends the energy, and nothing circles."""

    kind: ClassVar[str] = "descent"
    may_circle: ClassVar[bool] = False

    @classmethod
    def suited(cls, about: Circumstances) -> Descent | None:
        """The rule, if it suits a network."""
        if not (about.forest and about.red_black and about.sign >= 0 and not about.mixed):
            return None
        what = "block descent on the energy (κ > 0)" if about.sign > 0 else "nothing flows in circles (κ = 0)"
        return cls(why=f"red-black with ω = 1: {what}")

    @property
    def needs_radius(self) -> bool:
        """Whether step or γ depend on ρ."""
        return False

    def step(self, radius: float) -> float:
        """ω."""
        return 1.0


@dataclass(frozen=True, slots=True)
class OverRelaxed(StepRule):
    """Neighbours take turns with Young's ω, which is the best for κ ≤ 0."""

    kind: ClassVar[str] = "over-relaxed"

    @classmethod
    def suited(cls, about: Circumstances) -> OverRelaxed | None:
        """The rule, if it suits a network."""
        if not (about.forest and about.red_black and about.sign < 0 and not about.mixed):
            return None
        return cls(why="red-black, over-relaxed: ω = 2/(1+√(1+ρ²))")

    def step(self, radius: float) -> float:
        """ω for an estimated spectral radius."""
        return over_relaxation(MARGIN * radius)


@dataclass(frozen=True, slots=True)
class TwoWay(OverRelaxed):
    """Neighbours take turns where they are joined by two projections, one each way.

    Two colours are consistently ordered whatever W is. A mode e settles if it lies in the ellipse with the half axes
    1 (real) and (2−ω)/ω (imaginary), whose best ω for the modes in an ellipse a, b is 2/(1+√(1−a²+b²)). Nothing
    bounds a below 1, so a = 0 is taken as everywhere; b is bounded by the norm of W's skew part, which stands for ρ.
    Modes with a real part near 1 are slow whatever ω is: a residual that rests does not mean that it is too large.
    """

    kind: ClassVar[str] = "two-way"
    may_circle: ClassVar[bool] = False
    operator: ClassVar[Operator] = "skew"

    @classmethod
    def suited(cls, about: Circumstances) -> TwoWay | None:
        """The rule, if it suits a network."""
        if not (about.two_way and about.red_black and about.sign == 0):
            return None
        return cls(why="red-black, weights of their own both ways: ω = 2/(1+√(1+ρ²)) for W's skew part")


@dataclass(frozen=True, slots=True)
class Delayed(StepRule):
    """The best η of the scalar recursion with delay.

    Attributes
    ----------
    sign
        −1 if modes are imaginary (κ < 0), +1 if real.
    """

    kind: ClassVar[str] = "delayed"
    sign: int = -1

    @classmethod
    def suited(cls, about: Circumstances) -> Delayed | None:
        """The rule, if it suits a network."""
        if not (about.forest and about.synchronous and not about.mixed):
            return None
        sign = 1 if about.sign > 0 else -1
        return cls(why=f"best η of the scalar recursion, τ = {about.lag}", lag=about.lag, sign=sign)

    def step(self, radius: float) -> float:
        """η for an estimated spectral radius."""
        return best_step(round(MARGIN * radius, 3), self.lag, self.sign)


@dataclass(frozen=True, slots=True)
class Safe(Delayed):
    """The η that suits any mode of modulus ρ."""

    kind: ClassVar[str] = "safe"

    @classmethod
    def suited(cls, about: Circumstances) -> Safe:
        """The rule, which suits every network."""
        return cls(why=f"safe η for any mode of modulus ρ, τ = {about.lag}", lag=about.lag)


@dataclass(frozen=True, slots=True)
class TimeConstant(StepRule):
    """T of free-running blocks, in units of the measured delay.

    Attributes
    ----------
    margin
        How many times the smallest stable one it is.
    sign
        −1 if modes are imaginary (κ < 0), +1 if real.
    """

    kind: ClassVar[str] = "free"
    margin: float = 1.0
    sign: int = -1

    def step(self, radius: float) -> float:
        """T over the delay for an estimated spectral radius."""
        return time_constant(MARGIN * radius, self.sign, self.margin)


@dataclass(frozen=True, slots=True)
class Prospective(StepRule):
    """The best η and γ of the recursion with extrapolation, as far as they are not set; τ is the mean age less one."""

    kind: ClassVar[str] = "prospective"
    prospective: Extrapolation = Extrapolation(1)

    @property
    def needs_radius(self) -> bool:
        """Whether step or γ depend on ρ."""
        return self.prospective.eta is None or self.prospective.gamma is None

    def step(self, radius: float) -> float:
        """η for an estimated spectral radius."""
        ahead = self.prospective
        if ahead.eta is not None:
            return ahead.eta
        return min(ahead.setting(radius, self.lag + 1).eta / ahead.share, 1.0)

    def gamma(self, radius: float) -> float:
        """γ for an estimated spectral radius."""
        return self.prospective.gain(radius, self.lag + 1)


@dataclass(frozen=True, slots=True)
class ProspectiveTimeConstant(Prospective):
    """T and γ of prospective free-running blocks, T in units of the measured delay.

    Attributes
    ----------
    margin
        How many times the best one T is.
    """

    kind: ClassVar[str] = "free"
    lag: int = REAL_AGE - 1
    margin: float = 1.0

    def step(self, radius: float) -> float:
        """T over the delay for an estimated spectral radius."""
        eta = min(self.prospective.setting(radius, REAL_AGE).eta, 1.0 - 1e-9)
        return max(SHORTEST, self.margin / (REAL_AGE * -math.log1p(-eta)))


@dataclass(frozen=True, slots=True)
class Own(StepRule):
    """A rule that a user has registered.

    Attributes
    ----------
    rule
        As the configuration has it.
    about
        What it is told.
    """

    kind: ClassVar[str] = "own"
    rule: OwnStep | None = None
    about: Circumstances = field(default_factory=Circumstances)

    @classmethod
    def of(cls, rule: OwnStep, about: Circumstances) -> Own:
        """A registered rule for a network."""
        name = rule.model_dump()["kind"]
        return cls(why=f"registered rule {name}, τ = {about.lag}", lag=about.lag, rule=rule, about=about)

    @property
    def needs_radius(self) -> bool:
        """Whether step or γ depend on ρ."""
        assert self.rule is not None
        return self.rule.needs_radius

    def step(self, radius: float) -> float:
        """η for an estimated spectral radius.

        Raises
        ------
        UsageError
            If the rule gives no number above 0 and up to 2.
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
"""What ``step: auto`` chooses from, the first that suits."""


def automatic(about: Circumstances) -> StepRule:
    """What ``step: auto`` means for a network and its clocks."""
    return next(rule for suited in SUITED if (rule := suited(about)) is not None)


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
