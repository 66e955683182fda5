"""What is asked of a kind of projection.

The kinds of this package are compiled. One of a user's own is *called back*: compiled code returns to Python for its
products and for its Hebbian contrast, and does all else. So such a kind is a few array functions.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.schema import Spec

Array = NDArray[Any]
Arrays = Mapping[str, Array]

Shape = tuple[int, ...]
"""Of a population or of the data: (neurons,), or (channels, height, width), of which the last runs fastest."""
Shapes = Mapping[str, tuple[int, ...]]
"""Of arrays, by name."""


@dataclass(frozen=True, slots=True)
class Ends:
    """What a projection joins.

    Attributes
    ----------
    post, pre
        Shapes of the postsynaptic and the presynaptic population, or of the data.
    name
        The projection's.
    """

    post: Shape
    pre: Shape
    name: str = ""

    @property
    def n_post(self) -> int:
        """Number of postsynaptic neurons."""
        return math.prod(self.post)

    @property
    def n_pre(self) -> int:
        """Number of presynaptic neurons."""
        return math.prod(self.pre)


class ProjectionKind(Spec):
    """One kind of projection: a linear map θ from presynaptic to postsynaptic neurons, by parameters of its own.

    A subclass is a record of settings (`dyadnet.schema.Spec`) whose field ``kind`` has the registered name as the
    default. Its methods depend on their arguments alone, for several threads call them at a time. Arrays have the type
    of the run, ``float32`` or ``float64``; analyses call with ``float64``. Rows are samples: the result for a row may
    depend on how many rows there are, and on nothing else.

    Attributes
    ----------
    kind
        Its name in the registry ``projection``.
    """

    kind: str

    @abstractmethod
    def shapes(self, ends: Ends) -> Shapes:
        """Shapes of its parameters by name, in the order in which they are stored, each C-contiguous.

        Returns
        -------
        Mapping
            A name begins with a letter; letters, digits, ``_`` and ``-`` follow. A projection that learns nothing has
            none.
        """

    def misfit(self, ends: Ends) -> str | None:
        """What populations of these shapes lack to be joined by it, as an error says it; None if nothing."""
        return None

    def initial(self, ends: Ends, gain: float, draws: np.random.Generator) -> dict[str, Array]:
        """Parameters before learning; normal with standard deviation gain/√n_pre unless a kind says otherwise.

        Parameters
        ----------
        gain
            Of the projection.
        draws
            A generator that depends on the run's seed and the projection's name.
        """
        scale = gain / np.sqrt(ends.n_pre)
        return {name: scale * draws.standard_normal(shape) for name, shape in self.shapes(ends).items()}

    def prepared(self, parameters: Arrays, ends: Ends) -> Any:
        """What the methods below get as `p`, made anew after each change of the parameters; these themselves, usually.

        For what is worth computing once for many products. The parameters' arrays stay the same objects.
        """
        return parameters

    @abstractmethod
    def forward(self, p: Any, x: Array) -> Array:
        """θx of each row: shape (rows, n_pre) to (rows, n_post)."""

    @abstractmethod
    def backward(self, p: Any, d: Array) -> Array:
        """θᵀd of each row: shape (rows, n_post) to (rows, n_pre)."""

    @abstractmethod
    def contrast(self, p: Any, post: Array, pre: Array) -> dict[str, Array]:
        """The gradient of Σ post·θ pre, summed over rows, with respect to each parameter.

        With (d_post, m_pre) and (κm_post, d_pre) below each other as rows this is the Hebbian contrast of the
        projection (paper, eq. 5). Dense synapses have ``post.T @ pre``.

        Parameters
        ----------
        post, pre
            Shapes (rows, n_post) and (rows, n_pre).
        """

    def dense(self, p: Any, ends: Ends) -> NDArray[np.float64]:
        """θ as a matrix of shape (n_post, n_pre)."""
        return np.asarray(self.forward(p, np.eye(ends.n_pre)), dtype=np.float64).T
