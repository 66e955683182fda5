"""A block's parts of its projections: weights as they are read in both directions.

Parts of compiled kinds are `Synapses`; those that are computed in Python are `CalledSynapses`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dyadnet.imperfections.device import Mismatch
from dyadnet.network.description import INPUT, Network, Projection
from dyadnet.network.topology import BlockSlice, Link
from dyadnet.numerics.blas import turned
from dyadnet.numerics.elementwise import transposed
from dyadnet.numerics.plans import N_PRE
from dyadnet.numerics.rng import Stream
from dyadnet.synapses.base import Ends, ProjectionKind
from dyadnet.synapses.compiled import CompiledKind, Plan

Array = NDArray[Any]
Moved = Callable[[Array, Array, str], Array]


class Initialisation(NamedTuple):
    """What initial weights depend on in addition to the projection, and how feedback weights differ from them."""

    network: Network
    seed: int
    dtype: np.dtype[Any]
    mismatch: Mismatch


@dataclass(slots=True)
class Synapses:
    """A block's part of one projection of a compiled kind.

    Attributes
    ----------
    source
        Name of the presynaptic block, or ``input``.
    projection
        The projection to which the part belongs.
    between
        The blocks that it joins; None if one end is the input.
    weights
        θ, C-contiguous; for dense synapses of shape (n_post, n_pre).
    plan
        Which neurons it joins; None for dense synapses.
    fan_in
        Number of synapses per postsynaptic neuron, averaged over the whole projection.
    coupling
        Present κ.
    projection_index
        Index of the projection among those between populations, in the order of the description.
    mismatch
        Factor between backward and forward weights, of the shape of θ; None if they are equal.
    backward
        θ as read by feedback. It is the array `weights` itself unless there is a mismatch.
    forward
        θᵀ, shape (n_pre, n_post), if BLAS multiplies faster by it; else None.
    """

    source: str
    projection: Projection
    between: Link | None
    weights: Array
    plan: Plan | None
    fan_in: float
    coupling: float = 0.0
    projection_index: int = -1
    mismatch: Array | None = None
    backward: Array = field(init=False)
    forward: Array | None = field(init=False)

    def __post_init__(self) -> None:
        self.backward = self.weights if self.mismatch is None else self.weights * self.mismatch
        self.forward = None
        # The product with the input is computed only once per relaxation, so it needs no transposed copy.
        if self.plan is None and self.projection_index >= 0:
            columns, inner = self.weights.shape
            self.forward = np.ascontiguousarray(self.weights.T) if turned(inner, columns) else None

    @property
    def link(self) -> Link:
        """The blocks that it joins. Not for a projection from the input."""
        assert self.between is not None, "one end is the input"
        return self.between

    @property
    def kind(self) -> CompiledKind:
        """The kind with its settings."""
        kind = self.projection.connectivity
        assert isinstance(kind, CompiledKind)
        return kind

    def refresh(self) -> None:
        """Update derived arrays after a change of the weights."""
        if self.mismatch is not None:
            np.multiply(self.weights, self.mismatch, out=self.backward)
        elif self.backward is not self.weights:
            self.backward[...] = self.weights
        if self.forward is not None:
            transposed(self.weights, self.forward)

    def parameters(self) -> dict[str, Array]:
        """Return θ by the name that the block uses for it; empty if there is nothing to learn."""
        return {self.source: self.weights} if self.weights.size else {}

    def prepared(self, dtype: Any = None) -> Any:
        """Return the part in the form that the array functions of `kind` take, in another type on request."""
        weights = self.weights if dtype is None else self.weights.astype(dtype)
        return weights if self.plan is None else (self.plan, weights.reshape(-1), {"": self.weights.shape})

    def adopt(self, moved: Moved, weights: Array, backward: Array | None, forward: Array) -> None:
        """Move its arrays into arrays that many blocks share; see `dyadnet.learning.block.Block.adopt`."""
        if not self.weights.size:
            return
        read = self.backward
        self.weights = moved(self.weights, weights, self.source)
        self.backward = self.weights
        if backward is not None and self.projection_index >= 0:
            self.backward = moved(read, backward, self.source)
        if self.forward is not None:
            self.forward = moved(self.forward, forward, self.source)

    # Python versions, for back-propagation and analyses

    def product(self, x: Array) -> Array:
        """Return θx for each row."""
        return self.kind.forward(self.prepared(), x)

    def transposed(self, d: Array, x: Array | None = None) -> Array:
        """Return θᵀd for each row. Pooling kinds also need x, the array that θ multiplies in forward direction."""
        return self.kind.backward(self.prepared(), d, x)

    def gradient(self, post: Array, pre: Array) -> dict[str, Array]:
        """Return the gradient of Σ post·θ pre, by the block's name of θ."""
        found = self.kind.contrast(self.prepared(), post, pre)
        return dict.fromkeys(self.parameters(), found[""])

    def dense(self) -> NDArray[np.float64]:
        """Return θ as a matrix of shape (n_post, n_pre)."""
        if self.plan is None:
            return self.weights.astype(np.float64)
        rows = np.eye(int(self.plan[N_PRE]))
        return np.asarray(self.kind.forward(self.prepared(np.float64), rows), dtype=np.float64).T


@dataclass(slots=True)
class CalledSynapses:
    """A block's part of a projection whose kind is computed in Python.

    Attributes
    ----------
    source
        Name of the presynaptic block, or ``input``.
    kind
        The kind with its settings.
    arrays
        Parameters by name.
    ends
        The populations that it joins.
    coupling
        Present κ.
    projection_index
        Index of the projection among those between populations, in the order of the description.
    """

    source: str
    kind: ProjectionKind
    arrays: dict[str, Array]
    ends: Ends
    coupling: float = 0.0
    projection_index: int = -1
    _prepared: Any = field(init=False)

    def __post_init__(self) -> None:
        self.refresh()

    def parameters(self) -> dict[str, Array]:
        """Return its arrays by the names that the block uses for them: ``<source>.<name>``."""
        return {f"{self.source}.{name}": array for name, array in self.arrays.items()}

    def adopt(self, moved: Moved, weights: Array, backward: Array | None, forward: Array) -> None:
        """Move its arrays into an array that many blocks share; see `dyadnet.learning.block.Block.adopt`."""
        self.arrays = {name: moved(array, weights, f"{self.source}.{name}") for name, array in self.arrays.items()}
        self.refresh()

    def refresh(self) -> None:
        """Update derived data after a change of the parameters."""
        self._prepared = self.kind.prepared(self.arrays, self.ends)

    def product(self, x: Array) -> Array:
        """Return θx for each row."""
        return self.kind.forward(self._prepared, x)

    def transposed(self, d: Array, x: Array | None = None) -> Array:
        """Return θᵀd for each row. The argument x is ignored."""
        return self.kind.backward(self._prepared, d)

    def gradient(self, post: Array, pre: Array) -> dict[str, Array]:
        """Return the gradient of Σ post·θ pre, by the block's names of the parameters."""
        found = self.kind.contrast(self._prepared, post, pre)
        return {f"{self.source}.{name}": found[name] for name in self.arrays}

    def widely(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return θx for each row in float64."""
        return np.asarray(self.kind.forward(self._wide(), x), dtype=np.float64)

    def dense(self) -> NDArray[np.float64]:
        """Return θ as a matrix of shape (n_post, n_pre)."""
        return self.kind.dense(self._wide(), self.ends)

    def _wide(self) -> Any:
        return self.kind.prepared({name: array.astype(np.float64) for name, array in self.arrays.items()}, self.ends)


@dataclass(slots=True)
class Axon:
    """This block's side of a link whose synapses live with another block. State goes out, feedback comes in."""

    link: Link
    coupling: float
    projection_index: int


Made = Synapses | CalledSynapses


def made(block: BlockSlice, projection: Projection, link: Link | None, number: int, run: Initialisation) -> Made:
    """Build a block's part of a projection with its initial weights.

    Parameters
    ----------
    link
        The blocks that it joins; None if one end is the input.
    number
        Index of the projection among those between populations; −1 for one from the input.
    """
    kind, ends = projection.connectivity, run.network.ends(projection)
    source = INPUT if link is None else link.pre.name
    if not isinstance(kind, CompiledKind):
        drawn = kind.initial(ends, projection.gain, Stream(run.seed, "weights", projection.name).at())
        arrays = {name: np.array(drawn[name], dtype=run.dtype, order="C") for name in kind.shapes(ends)}
        return CalledSynapses(source, kind, arrays, ends, projection.coupling, number)
    rows = slice(block.start, block.stop)
    columns = slice(0, ends.n_pre) if link is None else slice(link.pre.start, link.pre.stop)
    part, fan_in, whole = kind.part(ends, rows, columns), kind.fan_in(ends), (projection.name, kind.shape(ends))
    drawn_weights = normal(run.seed, "weights", *whole)[part] * (projection.gain / np.sqrt(fan_in))
    weights = np.ascontiguousarray(drawn_weights, dtype=run.dtype)
    differs = None
    if link is not None and not run.mismatch.ideal():
        spread = 1.0 + run.mismatch.spread * normal(run.seed, "mismatch", *whole)[part]
        differs = np.ascontiguousarray(spread, dtype=run.dtype)
    plan = kind.plan(ends, rows, columns)
    return Synapses(source, projection, link, weights, plan, fan_in, projection.coupling, number, differs)


@lru_cache(maxsize=2)
def normal(seed: int, purpose: str, projection: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Draw standard normal numbers for a whole projection. They do not depend on the division into blocks."""
    whole = Stream(seed, purpose, projection).at().standard_normal(shape)
    whole.setflags(write=False)
    return whole
