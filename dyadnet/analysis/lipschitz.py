"""Lipschitz constants (paper, table 1): how far the equilibrium moves when the input changes.

An equilibrium s = f(W s + y) with y = θ₀x moves by ds = (I − FW)⁻¹F dy, F = diag f′ (paper, eq. 14 and appendix C).
The paper's constants omit f′, so that F = I. A neuron with f′ = 0 does not move and does not affect its neighbours, so
the response is the inverse of D − W over all other neurons, with D = 1/f′.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dyadnet.analysis.assembled import Array, Assembled


@dataclass(frozen=True, slots=True)
class Constants:
    """Spectral norms; infinite if the response is unbounded in some direction.

    Attributes
    ----------
    hidden
        L_hidden: norm of the hidden neurons' response to their drive y.
    output
        L_output: norm of the output's response to the input x (paper, eq. 17).
    """

    hidden: float
    output: float


def linear(network: Assembled) -> Constants:
    """Compute the paper's constants: ‖(I − W_κ)⁻¹‖ over hidden neurons, and ‖(I − W_κ)⁻¹ θ₀‖ over output rows.

    The constant of the hidden neurons is at most 1 in a skew-symmetric network, for any weights (paper, eq. 16).
    """
    return _constants(network, np.ones(len(network.W)))


def local(network: Assembled, slopes: Array) -> list[Constants]:
    """Compute the constants with f′ at the equilibrium of each sample: the response to a small change of its input.

    Parameters
    ----------
    slopes
        f′ of every neuron, shape (samples, neurons).
    """
    return [_constants(network, slope) for slope in slopes]


def _constants(network: Assembled, slope: Array) -> Constants:
    moving = np.flatnonzero(slope)
    response = _inverse(np.diag(1.0 / slope[moving]) - network.W[np.ix_(moving, moving)])
    if response is None:
        return Constants(float("inf"), float("inf"))
    outer = (moving >= network.output.start) & (moving < network.output.stop)
    return Constants(
        hidden=norm(response[np.ix_(~outer, ~outer)]), output=norm(response[outer] @ network.input_weights[moving])
    )


def singular_values(network: Assembled) -> Array:
    """Return all singular values of the linear response over the hidden neurons; empty if it is unbounded."""
    response = _inverse(np.eye(len(network.W)) - network.W)
    if response is None:
        return np.empty(0)
    return np.asarray(np.linalg.svd(response[np.ix_(network.hidden, network.hidden)], compute_uv=False))


def norm(matrix: Array) -> float:
    """Return the largest singular value; 0 for an empty matrix."""
    return float(np.linalg.norm(matrix, 2)) if matrix.size else 0.0


def _inverse(matrix: Array) -> NDArray[np.float64] | None:
    try:
        return np.asarray(np.linalg.inv(matrix), dtype=np.float64)
    except np.linalg.LinAlgError:
        return None
