"""Interface of projection kinds.

The kinds of this package are compiled. A user's kind is called back: compiled code calls Python for its products and
for its Hebbian contrast, and does everything else itself. So a user's kind only consists of a few array functions.
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
"""Shape of a population or of the data: (neurons,), or (channels, height, width) in C order."""
Shapes = Mapping[str, tuple[int, ...]]
"""Shapes of arrays, by name."""


@dataclass(frozen=True, slots=True)
class Ends:
    """The two ends of a projection.

    Attributes
    ----------
    post, pre
        Shapes of the postsynaptic and the presynaptic population, or of the data.
    name
        Name of the projection.
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
    """A kind of projection: a linear map θ from presynaptic to postsynaptic neurons with its own parameters.

    A subclass is a record of settings (`dyadnet.schema.Spec`). The default of its field ``kind`` is the registered
    name. Its methods must depend only on their arguments, because several threads call them concurrently. Arrays have
    the type of the run, ``float32`` or ``float64``; analyses call with ``float64``. Rows are samples. The result for a
    row may depend on the number of rows, but not on the other rows.

    Attributes
    ----------
    kind
        Its name in the registry ``projection``.
    """

    kind: str

    @abstractmethod
    def shapes(self, ends: Ends) -> Shapes:
        """Return the shapes of its parameters by name, in the order in which they are stored, each C-contiguous.

        Returns
        -------
        Mapping
            Names start with a letter; letters, digits, ``_`` and ``-`` follow. A projection that learns nothing returns
            an empty mapping.
        """

    def misfit(self, ends: Ends) -> str | None:
        """Return why it cannot join populations of these shapes, as text for an error; None if it can."""
        return None

    def initial(self, ends: Ends, gain: float, draws: np.random.Generator) -> dict[str, Array]:
        """Return the initial parameters. Default: normal with standard deviation gain/√n_pre.

        Parameters
        ----------
        gain
            Gain of the projection.
        draws
            Random generator that depends on the run's seed and the projection's name.
        """
        scale = gain / np.sqrt(ends.n_pre)
        return {name: scale * draws.standard_normal(shape) for name, shape in self.shapes(ends).items()}

    def prepared(self, parameters: Arrays, ends: Ends) -> Any:
        """Return the argument `p` of the methods below. It is computed after each change of the parameters.

        Override it to precompute something for many products. Default: the parameters themselves. The parameters'
        arrays remain the same objects.
        """
        return parameters

    @abstractmethod
    def forward(self, p: Any, x: Array) -> Array:
        """Return θx for each row: shape (rows, n_pre) to (rows, n_post)."""

    @abstractmethod
    def backward(self, p: Any, d: Array) -> Array:
        """Return θᵀd for each row: shape (rows, n_post) to (rows, n_pre)."""

    @abstractmethod
    def contrast(self, p: Any, post: Array, pre: Array) -> dict[str, Array]:
        """Return the gradient of Σ post·θ pre, summed over rows, with respect to each parameter.

        If the rows are (d_post, m_pre) followed by (κm_post, d_pre), this is the Hebbian contrast of the projection
        (paper, eq. 5). For dense synapses it is ``post.T @ pre``.

        Parameters
        ----------
        post, pre
            Shapes (rows, n_post) and (rows, n_pre).
        """

    def dense(self, p: Any, ends: Ends) -> NDArray[np.float64]:
        """Return θ as a matrix of shape (n_post, n_pre)."""
        return np.asarray(self.forward(p, np.eye(ends.n_pre)), dtype=np.float64).T


def positions(shape: Shape) -> NDArray[np.float64]:
    """Return the positions of neurons in a unit square, shape (neurons, 2): down and across.

    Neurons of shape (channels, height, width) lie on a grid, with all channels at the same positions. Neurons without a
    shape lie on a horizontal line in the middle.
    """
    channels, height, width = shape if len(shape) == 3 else (1, 1, shape[0])
    down, across = (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width
    grid = np.stack(np.meshgrid(down, across, indexing="ij"), axis=-1).reshape(-1, 2)
    return np.tile(grid, (channels, 1))
