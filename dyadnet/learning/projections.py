"""What a block has of its projections: weights as they are read in both directions.

Those of compiled kinds are `Synapses`, those that Python computes `CalledSynapses`.
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
    """What initial weights depend on beside the projection, and how feedback differs from them."""

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
        Whose part it is.
    between
        The blocks it joins; None if the input is one end.
    weights
        θ, C-contiguous; of dense synapses of shape (n_post, n_pre).
    plan
        What it joins; None for dense synapses.
    fan_in
        Synapses of a postsynaptic neuron, on average over the whole projection.
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
        # Nobody multiplies forward by what comes from the input more than once.
        if self.plan is None and self.projection_index >= 0:
            columns, inner = self.weights.shape
            self.forward = np.ascontiguousarray(self.weights.T) if turned(inner, columns) else None

    @property
    def link(self) -> Link:
        """The blocks it joins; not of a projection from the input."""
        assert self.between is not None, "one end is the input"
        return self.between

    @property
    def kind(self) -> CompiledKind:
        """The kind with its settings."""
        kind = self.projection.connectivity
        assert isinstance(kind, CompiledKind)
        return kind

    def refresh(self) -> None:
        """Follow a change of the weights."""
        if self.mismatch is not None:
            np.multiply(self.weights, self.mismatch, out=self.backward)
        elif self.backward is not self.weights:
            self.backward[...] = self.weights
        if self.forward is not None:
            transposed(self.weights, self.forward)

    def parameters(self) -> dict[str, Array]:
        """θ, by the name that the block has for it; nothing if there is none to learn."""
        return {self.source: self.weights} if self.weights.size else {}

    def prepared(self, dtype: Any = None) -> Any:
        """The part, as array functions of `kind` take it; in another type if asked for."""
        weights = self.weights if dtype is None else self.weights.astype(dtype)
        return weights if self.plan is None else (self.plan, weights.reshape(-1), {"": self.weights.shape})

    def adopt(self, moved: Moved, weights: Array, backward: Array | None, forward: Array) -> None:
        """Move its arrays into arrays of many blocks; see `dyadnet.learning.block.Block.adopt`."""
        if not self.weights.size:
            return
        read = self.backward
        self.weights = moved(self.weights, weights, self.source)
        self.backward = self.weights
        if backward is not None and self.projection_index >= 0:
            self.backward = moved(read, backward, self.source)
        if self.forward is not None:
            self.forward = moved(self.forward, forward, self.source)

    # In Python, for back-propagation and analyses

    def product(self, x: Array) -> Array:
        """θx of each row."""
        return self.kind.forward(self.prepared(), x)

    def transposed(self, d: Array, x: Array | None = None) -> Array:
        """θᵀd of each row, where x is what θ multiplies, of which windows are pooled."""
        return self.kind.backward(self.prepared(), d, x)

    def gradient(self, post: Array, pre: Array) -> dict[str, Array]:
        """The gradient of Σ post·θ pre, by the block's name of θ."""
        found = self.kind.contrast(self.prepared(), post, pre)
        return dict.fromkeys(self.parameters(), found[""])

    def dense(self) -> NDArray[np.float64]:
        """θ as a matrix of shape (n_post, n_pre)."""
        if self.plan is None:
            return self.weights.astype(np.float64)
        rows = np.eye(int(self.plan[N_PRE]))
        return np.asarray(self.kind.forward(self.prepared(np.float64), rows), dtype=np.float64).T


@dataclass(slots=True)
class CalledSynapses:
    """A block's projection of a kind that Python computes.

    Attributes
    ----------
    source
        Name of the presynaptic block, or ``input``.
    kind
        The kind with its settings.
    arrays
        Its parameters by name.
    ends
        What it joins.
    coupling
        κ in force.
    projection_index
        Which of the description's projections between populations it is.
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
        """Its arrays, by the names that the block has for them: ``<source>.<name>``."""
        return {f"{self.source}.{name}": array for name, array in self.arrays.items()}

    def adopt(self, moved: Moved, weights: Array, backward: Array | None, forward: Array) -> None:
        """Move its arrays into an array of many blocks; see `dyadnet.learning.block.Block.adopt`."""
        self.arrays = {name: moved(array, weights, f"{self.source}.{name}") for name, array in self.arrays.items()}
        self.refresh()

    def refresh(self) -> None:
        """Follow a change of the parameters."""
        self._prepared = self.kind.prepared(self.arrays, self.ends)

    def product(self, x: Array) -> Array:
        """θx of each row."""
        return self.kind.forward(self._prepared, x)

    def transposed(self, d: Array, x: Array | None = None) -> Array:
        """θᵀd of each row; x, what θ multiplies, makes no difference."""
        return self.kind.backward(self._prepared, d)

    def gradient(self, post: Array, pre: Array) -> dict[str, Array]:
        """The gradient of Σ post·θ pre, by the block's names of the parameters."""
        found = self.kind.contrast(self._prepared, post, pre)
        return {f"{self.source}.{name}": found[name] for name in self.arrays}

    def widely(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """θx of each row in float64."""
        return np.asarray(self.kind.forward(self._wide(), x), dtype=np.float64)

    def dense(self) -> NDArray[np.float64]:
        """θ as a matrix of shape (n_post, n_pre)."""
        return self.kind.dense(self._wide(), self.ends)

    def _wide(self) -> Any:
        return self.kind.prepared({name: array.astype(np.float64) for name, array in self.arrays.items()}, self.ends)


@dataclass(slots=True)
class Axon:
    """This block's side of a link whose synapses live with another block: state goes out, feedback comes in."""

    link: Link
    coupling: float
    projection_index: int


Made = Synapses | CalledSynapses


def made(block: BlockSlice, projection: Projection, link: Link | None, number: int, run: Initialisation) -> Made:
    """A block's part of a projection before learning.

    Parameters
    ----------
    link
        What it joins; None if the input is one end.
    number
        Of the projection among those between populations; −1 for one from the input.
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
    """Standard normal numbers of a whole projection, the same however it is split into blocks."""
    whole = Stream(seed, purpose, projection).at().standard_normal(shape)
    whole.setflags(write=False)
    return whole
