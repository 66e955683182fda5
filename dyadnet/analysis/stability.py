"""Stability at the equilibrium: the spectrum of the linearised dynamics, and the largest stable step.

A small perturbation of the pre-activations at an equilibrium obeys A(t+1) = (1−η)A(t) + η W F A(t−τ), F = diag f′.
The eigenvalues e of F·W are therefore the modes of the scalar recursion in `dyadnet.dynamics.step_size`. D obeys the
same recursion with Wᵀ, and has the same eigenvalues. Saturated neurons, f′ = 0, add modes e = 0.
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
    """Return the eigenvalues of F·W at one sample's equilibrium: those of neurons with f′ ≠ 0, and 0 if any has f′ = 0.

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
    """Stability of one equilibrium.

    Attributes
    ----------
    radius
        Largest |e|.
    rightmost
        Largest real part. If it is not below 1, the equilibrium is unstable at every step and delay.
    steps
        Largest stable η of synchronous blocks, at most 1, for each given delay.
    """

    radius: float
    rightmost: float
    steps: tuple[float, ...]


def stability(e: Modes, delays: Sequence[int]) -> Stability:
    """Derive the stability of an equilibrium from its spectrum.

    Parameters
    ----------
    e
        Eigenvalues of F·W; see `modes`.
    delays
        Delays of all channels, in ticks, for which the largest stable step is computed.
    """
    steps = tuple(largest_stable_step(e, delay - 1) for delay in delays)
    return Stability(float(np.abs(e).max()), float(e.real.max()), steps)
