"""Dense synapses: every neuron of one block reaches every neuron of another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.network.topology import Link
from dyadnet.numerics.blas import turned
from dyadnet.numerics.elementwise import transposed
from dyadnet.numerics.rng import Stream

Array = NDArray[Any]


@dataclass(slots=True)
class Synapses:
    """A block's part of one projection.

    Attributes
    ----------
    link
        The blocks it joins; this block is ``link.post``.
    weights
        θ, shape (n_post, n_pre), C-contiguous.
    coupling
        κ in force.
    projection_index
        Which of the description's projections between populations it belongs to.
    mismatch
        By how much backward use differs, of the shape of θ; None if it does not.
    backward
        θ as feedback is read from it: the weights themselves unless there is a mismatch.
    forward
        θᵀ, shape (n_pre, n_post), where BLAS multiplies faster by it; None elsewhere.
    """

    link: Link
    weights: Array
    coupling: float
    projection_index: int
    mismatch: Array | None = None
    backward: Array = field(init=False)
    forward: Array | None = field(init=False)

    def __post_init__(self) -> None:
        self.backward = self.weights if self.mismatch is None else self.weights * self.mismatch
        columns, inner = self.weights.shape
        self.forward = np.ascontiguousarray(self.weights.T) if turned(inner, columns) else None

    def refresh(self) -> None:
        """Follow a change of the weights."""
        if self.mismatch is not None:
            np.multiply(self.weights, self.mismatch, out=self.backward)
        elif self.backward is not self.weights:
            self.backward[...] = self.weights
        if self.forward is not None:
            transposed(self.weights, self.forward)

    def parameters(self) -> dict[str, Array]:
        """θ, by the name that the block has for it."""
        return {self.source: self.weights}

    def dense(self) -> NDArray[np.float64]:
        """θ as a matrix of shape (post, pre)."""
        return self.weights.astype(np.float64)

    def adopt(
        self, moved: Callable[[Array, Array, str], Array], weights: Array, backward: Array | None, forward: Array
    ) -> None:
        """Move its arrays into arrays of many blocks; see `dyadnet.learning.block.Block.adopt`."""
        read = self.backward
        self.weights = moved(self.weights, weights, self.source)
        self.backward = self.weights if backward is None else moved(read, backward, self.source)
        if self.forward is not None:
            self.forward = moved(self.forward, forward, self.source)

    @property
    def source(self) -> str:
        """Name of the presynaptic block."""
        return self.link.pre.name


@dataclass(slots=True)
class Axon:
    """This block's side of a link whose synapses live with another block: state goes out, feedback comes in."""

    link: Link
    coupling: float
    projection_index: int


@lru_cache(maxsize=1)
def normal(seed: int, projection: str, rows: int, columns: int) -> NDArray[np.float64]:
    """Standard normal weights of a whole projection, the same however it is split into blocks."""
    whole = Stream(seed, "weights", projection).at().standard_normal((rows, columns))
    whole.setflags(write=False)
    return whole
