"""Prospective dynamics: the linear theory of neurons that extrapolate what they hear, and the best step, gain and span.

What a neuron holds of a neighbour is old. It can undo most of that by itself, from what it held before:

    u = held + γ·age·(held − held before)/span,

`age` being how old what is held is and `span` how far apart the two lie, both counted in updates of the neighbour.
γ = 1 extrapolates to now along a straight line; γ = 0 is plain dynamics. Mode by mode, e being an eigenvalue of the
linearised drive, synchronous blocks then obey

    a(t+1) = (1−η)a(t) + ηe[(1+g)·a(t+1−age) − g·a(t+1−age−span)],        g = γ·age/span.

Fixed points do not depend on γ: at rest there is nothing to extrapolate. Pure functions of numbers; `docs/theory.md`
says what follows from them and who found what first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

MARGIN = 1.25
"""Step and gain are tuned for so many times the spectral radius: the optimum itself is stable to 1.1 times only."""
WEAK = 0.05
"""Below this spectral radius nothing that matters flows back, and nothing is extrapolated."""
GRID = 1.02
"""Factor between two radii that are told apart, so that few searches are made."""
_EXACT = 24
"""From this age on step and gain follow from those at this age: the recursion is close to its delay equation."""
_MODES = 9
_LARGEST_GAIN = 3.0
_STRONG = 60

Modes = Literal["imaginary", "real", "disc"]
"""Where the eigenvalues of the drive lie: all κ = −1 or below 0, all κ > 0, or both signs and cycles."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How prospective neurons move.

    Attributes
    ----------
    eta, gamma
        η and γ.
    growth
        Largest |z| of the modes that they were chosen for: below 1 all of them decay.
    """

    eta: float
    gamma: float
    growth: float


def growths(
    eta: float,
    gamma: float,
    modes: Sequence[complex] | NDArray[Any],
    age: int,
    span: int = 1,
    leak: float = 1,
) -> NDArray[np.float64]:
    """Largest |z| of the recursion above for each mode, shape (modes,): below 1 it decays.

    Parameters
    ----------
    eta, gamma
        η and γ.
    modes
        Eigenvalues e.
    age
        Updates from when a state is sent to when it is used, at least 1: a delay of so many ticks.
    span
        Updates that the difference is taken over, at least 1.
    leak
        1; 0 for neurons without a leak, a(t+1) = a(t) + ηe[…]: players of a bilinear game.
    """
    e = np.asarray(modes, dtype=np.complex128).reshape(-1)
    weight = gamma * age / span
    order = age + span
    companions = np.zeros((len(e), order, order), dtype=np.complex128)
    companions[:, np.arange(1, order), np.arange(order - 1)] = 1.0
    companions[:, 0, 0] = 1.0 - leak * eta
    companions[:, 0, age - 1] += eta * e * (1.0 + weight)
    companions[:, 0, order - 1] -= eta * e * weight
    return np.asarray(np.abs(np.linalg.eigvals(companions)).max(axis=1))


def modes_of(radius: float, kind: Modes, count: int = _MODES) -> NDArray[Any]:
    """Modes that stand for a spectral radius: weak ones and strong ones, and e = 0, which decays with 1 − η.

    Modes with a real part near 1 or above are left to the bounds of the activations, as plain dynamics leave them.
    """
    sizes = np.linspace(0.0, radius, count)
    if kind == "imaginary":
        return 1j * sizes
    if kind == "real":
        return np.concatenate([-sizes, [radius] if radius < 1.0 else []]).astype(np.complex128)
    angles = np.linspace(0.0, math.pi, 7)
    disc = (sizes[1:, np.newaxis] * np.exp(1j * angles)).reshape(-1)
    kept = disc[disc.real <= 0.5]
    return np.concatenate([np.zeros(1, dtype=np.complex128), kept])


def ticks(growth: float, factor: float = 1e-3) -> float:
    """Ticks in which a mode shrinks to a part of what it was; infinite if it does not."""
    if growth >= 1.0:
        return math.inf
    return math.log(factor) / math.log(growth) if growth > 0.0 else 1.0


@lru_cache(maxsize=4096)
def best(
    radius: float,
    age: int,
    span: int = 1,
    kind: Modes = "imaginary",
    *,
    eta: float | None = None,
    gamma: float | None = None,
) -> Setting:
    """The η and γ whose slowest mode decays fastest, for all modes up to a spectral radius.

    Parameters
    ----------
    radius
        ρ, with √|κ| in it; include a margin, see `tuned`.
    age, span
        As in `growths`.
    kind
        Which modes there are.
    eta, gamma
        One of them if it is given already.
    """
    modes = modes_of(radius, kind)
    scale = 1.0
    if age > _EXACT:
        # η·age, γ and span/age are what counts.
        scale = _EXACT / age
        span, age = max(1, round(span * scale)), _EXACT

    def worst(log_eta: float, g: float) -> float:
        return float(growths(math.exp(log_eta), g, modes, age, span).max())

    given = None if eta is None else math.log(eta / scale)
    first = given if given is not None else math.log(min(0.55 / (max(radius, 0.5) * age), 0.9))
    starts = [0.7, 0.0] if gamma is None else [gamma]
    found = min((_descend(worst, first, g, given is None, gamma is None) for g in starts), key=lambda one: one[0])
    growth, log_eta, g = found
    return Setting(
        float(eta) if eta is not None else math.exp(log_eta) * scale,
        float(gamma) if gamma is not None else g,
        growth**scale,
    )


def tuned(
    radius: float,
    age: int,
    span: int = 1,
    kind: Modes = "imaginary",
    *,
    eta: float | None = None,
    gamma: float | None = None,
) -> Setting:
    """`best` with `MARGIN` for an estimated radius, which is rounded up to one of a grid of 2 % steps."""
    rho = MARGIN * radius
    if rho < WEAK and gamma is None:
        return Setting(1.0 if eta is None else float(eta), 0.0, 0.0)
    rho = GRID ** math.ceil(math.log(max(rho, WEAK)) / math.log(GRID))
    return best(rho, age, span, kind, eta=eta, gamma=gamma)


def _descend(
    worst: object, log_eta: float, gamma: float, move_eta: bool, move_gamma: bool
) -> tuple[float, float, float]:
    """Pattern search for the smallest growth: (growth, log η, γ). Deterministic, without derivatives."""
    assert callable(worst)
    here = float(worst(log_eta, gamma))
    wide = 0.4
    while wide > 4e-3:
        better = False
        for along_eta, along_gamma in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, -1), (1, -1), (-1, 1)):
            if (along_eta and not move_eta) or (along_gamma and not move_gamma):
                continue
            x = min(log_eta + along_eta * wide, 0.0)
            g = min(max(gamma + along_gamma * wide, 0.0), _LARGEST_GAIN)
            if (x, g) == (log_eta, gamma):
                continue
            there = float(worst(x, g))
            if there < here:
                here, log_eta, gamma, better = there, x, g, True
                break
        if not better:
            wide *= 0.5
    return here, log_eta, gamma


def largest_stable_step(
    modes: Sequence[complex] | NDArray[Any], age: int, gamma: float, span: int = 1, ceiling: float = 1.0
) -> float:
    """The largest η up to `ceiling` at which every mode decays, for all smaller ones too.

    Parameters
    ----------
    modes
        Eigenvalues e of the linearised drive, such as those of F·W at an equilibrium.
    age, gamma, span, ceiling
        As in `growths`; at most 2, where even a neuron that hears nobody circles.

    Returns
    -------
    float
        0 where a mode with real part of at least 1 grows at any step.
    """
    e = np.asarray(modes, dtype=np.complex128).reshape(-1)
    if np.any(e.real >= 1.0):
        return 0.0
    e = np.unique(np.round(np.where(e.imag < 0, e.conj(), e), 12))
    e = e[np.argsort(-np.abs(e))]
    # The strongest modes nearly always decide; all of them are asked in the end.
    found = _largest_stable(e[:_STRONG], age, gamma, span, ceiling)
    if len(e) > _STRONG and not _decay(0.999 * found, gamma, e, age, span):
        found = _largest_stable(e, age, gamma, span, ceiling)
    return found


def _decay(eta: float, gamma: float, modes: NDArray[Any], age: int, span: int) -> bool:
    return bool(np.all(growths(eta, gamma, modes, age, span) < 1.0))


def _largest_stable(e: NDArray[Any], age: int, gamma: float, span: int, ceiling: float) -> float:
    grid = [*np.geomspace(1e-4, ceiling, 60)[:-1], ceiling * (1.0 - 1e-9)]
    low, high = 0.0, 0.0
    for eta in grid:
        if not _decay(eta, gamma, e, age, span):
            high = eta
            break
        low = eta
    if high == 0.0:
        return ceiling
    for _ in range(25):
        middle = 0.5 * (low + high)
        if _decay(middle, gamma, e, age, span):
            low = middle
        else:
            high = middle
    return float(low)


def stable_radius(setting: Setting, age: int, span: int = 1, kind: Modes = "imaginary", most: float = 50.0) -> float:
    """The largest spectral radius up to `most` at which a setting is stable."""
    low, high = 0.0, most
    for _ in range(40):
        middle = 0.5 * (low + high)
        strongest = modes_of(middle, kind, 5)
        if bool(np.all(growths(setting.eta, setting.gamma, strongest[1:], age, span) < 1.0)):
            low = middle
        else:
            high = middle
    return low


def noise_gain(eta: float, gamma: float, mode: complex, age: int, span: int = 1, points: int = 4096) -> float:
    """Standard deviation of a stable mode under white noise of standard deviation 1 on every message.

    With H(z) = ηe(z^(1−age) + g(z^(1−age) − z^(1−age−span)))/z over 1 − (1−η)/z − the same: the root of the mean of
    |H|² over the unit circle.
    """
    weight = gamma * age / span
    z = np.exp(-2j * np.pi * (np.arange(points) + 0.5) / points)
    heard = eta * mode * ((1.0 + weight) * z**age - weight * z ** (age + span))
    response = heard / (1.0 - (1.0 - eta) * z - heard)
    return float(np.sqrt(np.mean(np.abs(response) ** 2)))


def mean_age(
    distribution: NDArray[np.float64], *, sends: float = 1.0, loss: float = 0.0, duplication: float = 0.0
) -> float:
    """Mean ticks since what is held was sent, where each message draws its delay and the newest one is held.

    Pr(age > a) is the probability that none of the messages sent 1 to a ticks ago has arrived.

    Parameters
    ----------
    distribution
        Probabilities of the delays 1, 2, …, the largest; they sum to 1.
    sends
        Probability that the sender fires at a tick.
    loss, duplication
        Of a message, and of its duplicate.
    """
    arrived = np.cumsum(distribution)
    total, missing, tick = 0.0, 1.0, 0
    while missing > 1e-12 and tick < 100_000:
        total += missing
        here = (1.0 - loss) * (arrived[tick] if tick < len(arrived) else 1.0)
        missing *= 1.0 - sends * (1.0 - (1.0 - here) * (1.0 - duplication * here))
        tick += 1
    return total


def lag(delays: Sequence[int], neurons: Sequence[int]) -> float:
    """Mean ticks by which the neurons of a channel are later than the first of them, each with a delay of its own."""
    ticks = sum(delay * count for delay, count in zip(delays, neurons, strict=True))
    return ticks / sum(neurons) - min(delays)
