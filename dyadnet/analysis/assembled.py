"""Assemble all weights of a network into one matrix for linear algebra. Only analyses do so; training never does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dyadnet.learning.block import Block

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Assembled:
    """W_κ = θ + κθᵀ and θ₀ over all neurons, in block order.

    Attributes
    ----------
    W
        Shape (neurons, neurons): an equilibrium satisfies s = f(W s + θ₀x + b).
    input_weights
        θ₀, shape (neurons, features); zero rows for neurons that do not read the input.
    output
        Slice of the output population's neurons.
    places
        Slice of the neurons of each block.
    """

    W: Array
    input_weights: Array
    output: slice
    places: Mapping[str, slice]

    @property
    def hidden(self) -> NDArray[np.int64]:
        """Indices of all neurons except those of the output."""
        return np.delete(np.arange(len(self.W)), self.output)


def assemble(blocks: Mapping[str, Block]) -> Assembled:
    """Assemble the matrices from the blocks, under the current couplings."""
    places: dict[str, slice] = {}
    size = 0
    for name, block in blocks.items():
        places[name] = slice(size, size + block.spec.size)
        size += block.spec.size
    features = next(iter(blocks.values())).topology.network.inputs
    W, input_weights = np.zeros((size, size)), np.zeros((size, features))
    output = slice(0, 0)
    for name, block in blocks.items():
        here = places[name]
        for made in block.projections:
            there = places[made.source]
            theta = made.dense()
            W[here, there] += theta
            W[there, here] += made.coupling * theta.T
        if block.entry is not None:
            input_weights[here] = block.entry.dense()
        if block.is_output:
            output = here
    return Assembled(W, input_weights, output, places)
