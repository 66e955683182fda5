"""The matrix products between two blocks; a stream that has not changed is never multiplied again.

What is stacked into one product depends only on which streams are new, so that the bits do not depend on where or
how a block is run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.numerics.blas import outer, times, times_transposed
from tests.reference.messages import Message

Array = NDArray[Any]


def product_transposed(x: Array, weights: Array, out: Array) -> None:
    """x·weightsᵀ, for contiguous arrays of shapes (rows, inner), (columns, inner), (rows, columns)."""
    columns, inner = weights.shape
    times_transposed(x.reshape(-1), 0, len(x), inner, weights.reshape(-1), 0, columns, out.reshape(-1), 0)


def product(x: Array, weights: Array, out: Array) -> None:
    """x·weights, for contiguous arrays of shapes (rows, inner), (inner, columns), (rows, columns)."""
    inner, columns = weights.shape
    times(x.reshape(-1), 0, len(x), inner, weights.reshape(-1), 0, columns, out.reshape(-1), 0)


def outer_product(left: Array, right: Array, out: Array) -> None:
    """leftᵀ·right, for contiguous arrays of shapes (rows, m), (rows, n), (m, n)."""
    rows, m = left.shape
    outer(left.reshape(-1), 0, rows, m, right.reshape(-1), 0, right.shape[1], out.reshape(-1), 0)


@dataclass(slots=True)
class Forward:
    """θ·m_pre and θ·d_pre of what is held of one presynaptic block.

    Attributes
    ----------
    arrays
        Shape (2, batch, n_post); means first. Overwritten by `update`.
    mean_since, difference_since
        Which bits of the streams they were computed from.
    """

    arrays: Array
    mean_since: int = -1
    difference_since: int = -1

    def update(self, message: Message, weights: Array, turned: Array | None) -> None:
        """Follow a held message; `turned` is the transpose of the weights if it is to be multiplied by."""

        def multiply(x: Array, out: Array) -> None:
            if turned is None:
                product_transposed(x, weights, out)
            else:
                product(x, turned, out)

        batch = message.payload.shape[1]
        mean = message.mean_since != self.mean_since
        difference = message.difference and message.difference_since != self.difference_since
        if mean and difference:
            stacked = message.payload.reshape(2 * batch, -1)
            multiply(stacked, self.arrays.reshape(2 * batch, -1))
        elif mean:
            multiply(message.means, self.arrays[0])
        elif difference:
            multiply(message.differences, self.arrays[1])
        self.mean_since = message.mean_since
        if difference:
            self.difference_since = message.difference_since

    def copy(self) -> Forward:
        """With arrays of its own."""
        return replace(self, arrays=self.arrays.copy())


@dataclass(slots=True)
class Feedback:
    """(κθᵀm, θᵀd) as last sent to one presynaptic block; what was sent is never written again."""

    payload: Array | None = None
    mean_since: int = -1
    difference_since: int = -1

    def update(
        self,
        state: Array,
        mean_since: int,
        difference_since: int,
        weights: Array,
        coupling: float,
    ) -> Array:
        """The feedback of a state, shape (streams, batch, n_pre).

        Parameters
        ----------
        state
            (m, d) or (m,), shape (streams, batch, n_post).
        mean_since, difference_since
            Firing since which m and d have had these bits.
        """
        mean, difference = coupling != 0, state.shape[0] == 2
        streams, batch = mean + difference, state.shape[1]
        last = self.payload
        kept = last is not None and last.shape[0] == streams
        same_mean = not mean or (last is not None and self.mean_since == mean_since)
        same_difference = not difference or (kept and self.difference_since == difference_since)
        if last is not None and kept and same_mean and same_difference:
            return last
        payload = np.empty((streams, batch, weights.shape[1]), state.dtype)
        if mean and difference and not same_mean and not same_difference:
            product(state.reshape(2 * batch, -1), weights, payload.reshape(2 * batch, -1))
            _scale(payload[0], coupling)
        else:
            if mean and same_mean and last is not None:
                payload[0] = last[0]
            elif mean:
                product(state[0], weights, payload[0])
                _scale(payload[0], coupling)
            if difference and same_difference and last is not None:
                payload[-1] = last[-1]
            elif difference:
                product(state[1], weights, payload[-1])
        self.payload, self.mean_since, self.difference_since = payload, mean_since, difference_since
        return payload

    def copy(self) -> Feedback:
        """The same payload, which is never written again."""
        return replace(self)


def _scale(array: Array, coupling: float) -> None:
    if coupling == -1.0:
        np.negative(array, out=array)
    elif coupling != 1.0:
        array *= array.dtype.type(coupling)
