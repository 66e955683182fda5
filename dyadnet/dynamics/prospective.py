"""Prospective dynamics: linear theory of neurons that extrapolate messages, and the best step, gain and span.

The value that a neuron holds of a neighbour is old. The neuron can compensate most of that with an earlier value:

    u = held + γ·age·(held − held before)/span,

`age` is the age of the held value, and `span` is the interval between the two values; both are counted in updates of
the neighbour. γ = 1 extrapolates linearly to the present; γ = 0 is plain dynamics. For synchronous blocks, each mode
of the linearised drive with eigenvalue e obeys

    a(t+1) = (1−η)a(t) + ηe[(1+g)·a(t+1−age) − g·a(t+1−age−span)],        g = γ·age/span.

The fixed points do not depend on γ, because the difference vanishes at rest. All functions here are pure functions of
numbers. `docs/theory.md` gives the consequences and the references.
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
"""Step and gain are tuned for this multiple of the spectral radius; the optimum tolerates a factor of 1.1 only."""
WEAK = 0.05
"""Below this spectral radius, feedback is negligible and nothing is extrapolated."""
GRID = 1.02
"""Ratio of neighbouring radii on the search grid. A coarse grid limits the number of searches."""
_EXACT = 24
"""From this age on, step and gain are scaled from this age, because the recursion approaches its delay equation."""
_MODES = 9
_LARGEST_GAIN = 3.0
_STRONG = 60

Modes = Literal["imaginary", "real", "disc"]
"""Where the eigenvalues of the drive lie: all κ = −1 or below 0, all κ > 0, or both signs and cycles."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Parameters of prospective neurons.

    Attributes
    ----------
    eta, gamma
        η and γ.
    growth
        Largest |z| of the modes for which they were chosen. Below 1, all modes decay.
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
    """Compute the largest |z| of the recursion above for each mode, shape (modes,). Below 1, the mode decays.

    Parameters
    ----------
    eta, gamma
        η and γ.
    modes
        Eigenvalues e.
    age
        Number of updates from sending to use of a state, at least 1; equals the delay in ticks.
    span
        Number of updates over which the difference is taken, at least 1.
    leak
        1; or 0 for neurons without leak, a(t+1) = a(t) + ηe[…], as for players of a bilinear game.
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
    """Return modes that represent a spectral radius: weak and strong ones, and e = 0, which decays with 1 − η.

    Modes with a real part near 1 or above are omitted, because the bounds of the activations limit them, as in plain
    dynamics.
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
    """Return the number of ticks in which a mode shrinks by a factor; infinite if it does not decay."""
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
    """Return the η and γ with the fastest decay of the slowest mode, for all modes up to a spectral radius.

    Parameters
    ----------
    radius
        ρ, including the factor √|κ|; include a margin, see `tuned`.
    age, span
        As in `growths`.
    kind
        Location of the modes.
    eta, gamma
        Give one of them to keep it fixed.
    """
    modes = modes_of(radius, kind)
    scale = 1.0
    if age > _EXACT:
        # Only η·age, γ and span/age matter.
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
    """Return `best` for an estimated radius times `MARGIN`, rounded up to a grid of 2 % steps."""
    rho = MARGIN * radius
    if rho < WEAK and gamma is None:
        return Setting(1.0 if eta is None else float(eta), 0.0, 0.0)
    rho = GRID ** math.ceil(math.log(max(rho, WEAK)) / math.log(GRID))
    return best(rho, age, span, kind, eta=eta, gamma=gamma)


def _descend(
    worst: object, log_eta: float, gamma: float, move_eta: bool, move_gamma: bool
) -> tuple[float, float, float]:
    """Minimise the growth by pattern search. Return (growth, log η, γ). Deterministic and derivative-free."""
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
    """Return the largest η up to `ceiling` such that every mode decays at this and every smaller η.

    Parameters
    ----------
    modes
        Eigenvalues e of the linearised drive, such as those of F·W at an equilibrium.
    age, gamma, span
        As in `growths`.
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
    e = np.unique(np.round(np.where(e.imag < 0, e.conj(), e), 12))
    e = e[np.argsort(-np.abs(e))]
    # The strongest modes nearly always decide. The rest are checked afterwards.
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
    """Return the largest spectral radius up to `most` at which a setting is stable."""
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
    """Return the standard deviation of a stable mode under white noise of standard deviation 1 on every message.

    It is the root mean square of |H| over the unit circle, with the transfer function H(z) = h/(1 − (1−η)/z − h) and
    h = ηe(z^(1−age) + g(z^(1−age) − z^(1−age−span)))/z.
    """
    weight = gamma * age / span
    z = np.exp(-2j * np.pi * (np.arange(points) + 0.5) / points)
    heard = eta * mode * ((1.0 + weight) * z**age - weight * z ** (age + span))
    response = heard / (1.0 - (1.0 - eta) * z - heard)
    return float(np.sqrt(np.mean(np.abs(response) ** 2)))


def mean_age(
    distribution: NDArray[np.float64], *, sends: float = 1.0, loss: float = 0.0, duplication: float = 0.0
) -> float:
    """Return the mean age of the held message in ticks, if each message draws its delay and the newest one is held.

    Pr(age > a) is the probability that none of the messages sent 1 to a ticks ago has arrived.

    Parameters
    ----------
    distribution
        Probabilities of the delays 1, 2, …, the largest; they sum to 1.
    sends
        Probability that the sender fires at a tick.
    loss, duplication
        Probability that a message, or its duplicate, is lost; probability that a message is duplicated.
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
    """Return the mean delay in ticks of a channel's neurons, each with its own delay, relative to the smallest one."""
    ticks = sum(delay * count for delay, count in zip(delays, neurons, strict=True))
    return ticks / sum(neurons) - min(delays)
