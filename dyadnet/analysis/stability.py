"""Stability at the equilibrium: the spectrum of the linearised dynamics, and the largest step that it bears.

A small perturbation of the pre-activations at an equilibrium obeys A(t+1) = (1−η)A(t) + η W F A(t−τ), F = diag f′, so
the eigenvalues e of F·W are the modes of the scalar recursion in `dyadnet.dynamics.step_size`; D obeys it with Wᵀ and
has the same ones. Saturated neurons, f′ = 0, add modes e = 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dyadnet.analysis.assembled import Array, Assembled
from dyadnet.dynamics.step_size import largest_stable_step

Modes = NDArray[np.complex128]


def modes(network: Assembled, slope: Array) -> Modes:
    """Eigenvalues of F·W at one sample's equilibrium: those of its moving neurons, and 0 if any is saturated.

    Parameters
    ----------
    slope
        f′ of every neuron, shape (neurons,).
    """
    moving = np.flatnonzero(slope)
    e = np.linalg.eigvals(slope[moving, np.newaxis] * network.W[np.ix_(moving, moving)])
    return np.append(e, 0.0) if len(moving) < len(slope) else e.astype(np.complex128)


@dataclass(frozen=True, slots=True)
class Stability:
    """Of one equilibrium.

    Attributes
    ----------
    radius
        Largest |e|.
    rightmost
        Largest real part: below 1, or the equilibrium holds at no step and no delay.
    steps
        Largest stable η of synchronous blocks, up to 1, for each delay asked for.
    """

    radius: float
    rightmost: float
    steps: tuple[float, ...]


def stability(e: Modes, delays: Sequence[int]) -> Stability:
    """What a spectrum says.

    Parameters
    ----------
    delays
        Of every channel, in ticks.
    """
    steps = tuple(largest_stable_step(e, delay - 1) for delay in delays)
    return Stability(float(np.abs(e).max()), float(e.real.max()), steps)
