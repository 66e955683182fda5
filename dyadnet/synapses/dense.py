"""Dense synapses: every neuron of one population is connected to every neuron of another."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from dyadnet.synapses.base import Array, Arrays, Ends
from dyadnet.synapses.compiled import CompiledKind

DENSE = "dense"


class Dense(CompiledKind):
    """Every neuron of one population is connected to every neuron of another: one array θ, shape (n_post, n_pre)."""

    kind: Literal["dense"] = "dense"

    def shape(self, ends: Ends) -> tuple[int, ...]:
        """Return (n_post, n_pre)."""
        return ends.n_post, ends.n_pre

    def fan_in(self, ends: Ends) -> float:
        """Return the number of presynaptic neurons."""
        return ends.n_pre

    def part(self, ends: Ends, post: slice, pre: slice) -> Any:
        """Return rows and columns of θ."""
        return post, pre

    def plan(self, ends: Ends, post: slice, pre: slice) -> None:
        """Return None: `dyadnet.numerics.blas` computes its products."""
        return

    def prepared(self, parameters: Arrays, ends: Ends) -> Any:
        """Return θ."""
        return parameters[""]

    def forward(self, p: Any, x: Array) -> Array:
        """Return xθᵀ."""
        return np.asarray(x @ p.T)

    def backward(self, p: Any, d: Array, of: Array | None = None) -> Array:
        """Return dθ."""
        return np.asarray(d @ p)

    def contrast(self, p: Any, post: Array, pre: Array) -> dict[str, Array]:
        """Return ``post.T @ pre``."""
        return {"": np.asarray(post.T @ pre)}
