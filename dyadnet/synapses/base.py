"""Kinds of projections: what is asked of one, and what a block has of one that Python computes.

Dense synapses are compiled, see `dyadnet.synapses.dense`. Every other kind is *called back*: compiled code returns to
Python for its products and for its Hebbian contrast, and does all else. So such a kind is a few array functions.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.network.connectivity import Connectivity, Shapes
from dyadnet.numerics.rng import Stream

Array = NDArray[Any]
Arrays = Mapping[str, Array]


class ProjectionKind(Connectivity):
    """One kind of projection: a linear map θ from presynaptic to postsynaptic neurons, by parameters of its own.

    A subclass is a record of settings (`dyadnet.schema.Spec`) whose field ``kind`` has the registered name as the
    default. Its methods depend on their arguments alone, for several threads call them at a time. Arrays have the type
    of the run, ``float32`` or ``float64``; analyses call with ``float64``. Rows are samples: the result for a row may
    depend on how many rows there are, and on nothing else.
    """

    @abstractmethod
    def shapes(self, post: int, pre: int) -> Shapes:
        """Shapes of its parameters by name, in the order in which they are stored, each C-contiguous.

        Parameters
        ----------
        post, pre
            Numbers of post- and presynaptic neurons.

        Returns
        -------
        Mapping
            A name begins with a letter; letters, digits, ``_`` and ``-`` follow. A projection that learns nothing has
            none.
        """

    def initial(self, post: int, pre: int, gain: float, draws: np.random.Generator) -> dict[str, Array]:
        """Parameters before learning; normal with standard deviation gain/√pre unless a kind says otherwise.

        Parameters
        ----------
        gain
            Of the projection.
        draws
            A generator that depends on the run's seed and the projection's name.
        """
        scale = gain / np.sqrt(pre)
        return {name: scale * draws.standard_normal(shape) for name, shape in self.shapes(post, pre).items()}

    def prepared(self, parameters: Arrays) -> Any:
        """What the methods below get as `p`, made anew after each change of the parameters; these themselves, usually.

        For what is worth computing once for many products. The parameters' arrays stay the same objects.
        """
        return parameters

    @abstractmethod
    def forward(self, p: Any, x: Array) -> Array:
        """θx of each row: shape (rows, pre) to (rows, post)."""

    @abstractmethod
    def backward(self, p: Any, d: Array) -> Array:
        """θᵀd of each row: shape (rows, post) to (rows, pre)."""

    @abstractmethod
    def contrast(self, p: Any, post: Array, pre: Array) -> dict[str, Array]:
        """The gradient of Σ post·θ pre, summed over rows, with respect to each parameter.

        With (d_post, m_pre) and (κm_post, d_pre) below each other as rows this is the Hebbian contrast of the
        projection (paper, eq. 5). Dense synapses have ``post.T @ pre``.

        Parameters
        ----------
        post, pre
            Shapes (rows, post) and (rows, pre).
        """

    def dense(self, p: Any, pre: int) -> NDArray[np.float64]:
        """θ as a matrix of shape (post, pre)."""
        return np.asarray(self.forward(p, np.eye(pre)), dtype=np.float64).T


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
    pre
        Number of presynaptic neurons.
    coupling
        κ in force.
    projection_index
        Which of the description's projections between populations it is.
    """

    source: str
    kind: ProjectionKind
    arrays: dict[str, Array]
    pre: int
    coupling: float = 0.0
    projection_index: int = -1
    _prepared: Any = field(init=False)

    def __post_init__(self) -> None:
        self.refresh()

    def parameters(self) -> dict[str, Array]:
        """Its arrays, by the names that the block has for them: ``<source>.<name>``."""
        return {f"{self.source}.{name}": array for name, array in self.arrays.items()}

    def adopt(
        self, moved: Callable[[Array, Array, str], Array], weights: Array, backward: Array | None, forward: Array
    ) -> None:
        """Move its arrays into an array of many blocks; see `dyadnet.learning.block.Block.adopt`."""
        self.arrays = {name: moved(array, weights, f"{self.source}.{name}") for name, array in self.arrays.items()}
        self.refresh()

    def refresh(self) -> None:
        """Follow a change of the parameters."""
        self._prepared = self.kind.prepared(self.arrays)

    def forward(self, x: Array) -> Array:
        """θx of each row."""
        return self.kind.forward(self._prepared, x)

    def backward(self, d: Array) -> Array:
        """θᵀd of each row."""
        return self.kind.backward(self._prepared, d)

    def contrast(self, post: Array, pre: Array) -> dict[str, Array]:
        """The gradient of Σ post·θ pre, by the block's names of the parameters."""
        found = self.kind.contrast(self._prepared, post, pre)
        return {f"{self.source}.{name}": found[name] for name in self.arrays}

    def widely(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """θx of each row in float64."""
        return np.asarray(self.kind.forward(self._wide(), x), dtype=np.float64)

    def dense(self) -> NDArray[np.float64]:
        """θ as a matrix of shape (post, pre)."""
        return self.kind.dense(self._wide(), self.pre)

    def _wide(self) -> Any:
        return self.kind.prepared({name: array.astype(np.float64) for name, array in self.arrays.items()})


def initial(
    kind: ProjectionKind, seed: int, projection: str, gain: float, post: int, pre: int, dtype: np.dtype[Any]
) -> dict[str, Array]:
    """The parameters of a whole projection before learning, in the order of `ProjectionKind.shapes`."""
    drawn = kind.initial(post, pre, gain, Stream(seed, "weights", projection).at())
    return {name: np.array(drawn[name], dtype=dtype, order="C") for name in kind.shapes(post, pre)}
