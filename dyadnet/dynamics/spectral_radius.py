"""The spectral radius of the network's linear response, by a power iteration that the blocks carry out themselves.

It is an additional phase over the same blocks with ideal channels. Each block holds its part of one vector, sends θv
and θᵀv over its links, and sums what it receives. No process ever assembles all weights. The operator is √F·M·√F with
F the largest slope of each activation. It is applied twice per iteration, because pairs of eigenvalues ±ρ would keep a
single application from converging.

Where Young's theory applies, M is θ+θᵀ with each projection weighted by √|κ|. Elsewhere it is the mean dynamics
W_κ = θ + κθᵀ followed by its transpose, the difference dynamics; their norm bounds every eigenvalue. The norm of
W's skew part (W_κ − W_κᵀ)/2 bounds the imaginary parts. Both bounds hold for every slope between 0 and the largest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from dyadnet.numerics.sums import added

Operator = Literal["symmetric", "norm", "skew"]
Application = Literal["symmetric", "means", "differences", "skew"]
ITERATION: dict[Operator, tuple[Application, Application]] = {
    "symmetric": ("symmetric", "symmetric"),
    "norm": ("means", "differences"),
    "skew": ("skew", "skew"),
}
"""The two applications of one iteration."""


def factors(application: Application, coupling: float) -> tuple[float, float]:
    """Return the weights of θ (upwards) and of θᵀ (downwards) in one application."""
    if application == "symmetric":
        root = math.sqrt(abs(coupling))
        return root, root
    if application == "skew":
        return (1.0 - coupling) / 2.0, (coupling - 1.0) / 2.0
    return (1.0, coupling) if application == "means" else (coupling, 1.0)


def radius(squares: Sequence[float]) -> float:
    """Return ρ from the squared norms of every block's part of M²v, for v of norm 1, summed in block order."""
    return math.sqrt(math.sqrt(added(squares)))


def factor(squares: Sequence[float]) -> float | None:
    """Return the factor that normalises the whole vector to 1; None if it is zero and the iteration must restart."""
    total = added(squares)
    return 1.0 / math.sqrt(total) if total > 0 else None
