"""Dense synapses: every neuron of one population reaches every neuron of another."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from dyadnet.synapses.base import Array, Arrays, Ends
from dyadnet.synapses.compiled import CompiledKind

DENSE = "dense"


class Dense(CompiledKind):
    """Every neuron of one population reaches every neuron of another: one array θ, shape (n_post, n_pre)."""

    kind: Literal["dense"] = "dense"

    def shape(self, ends: Ends) -> tuple[int, ...]:
        """(n_post, n_pre)."""
        return ends.n_post, ends.n_pre

    def fan_in(self, ends: Ends) -> float:
        """All presynaptic neurons."""
        return ends.n_pre

    def part(self, ends: Ends, post: slice, pre: slice) -> Any:
        """Rows and columns."""
        return post, pre

    def plan(self, ends: Ends, post: slice, pre: slice) -> None:
        """None: its products are those of `dyadnet.numerics.blas`."""
        return

    def prepared(self, parameters: Arrays, ends: Ends) -> Any:
        """θ."""
        return parameters[""]

    def forward(self, p: Any, x: Array) -> Array:
        """xθᵀ."""
        return np.asarray(x @ p.T)

    def backward(self, p: Any, d: Array, of: Array | None = None) -> Array:
        """dθ."""
        return np.asarray(d @ p)

    def contrast(self, p: Any, post: Array, pre: Array) -> dict[str, Array]:
        """post.T @ pre."""
        return {"": np.asarray(post.T @ pre)}
