"""The bare matrix products of a sweep, as a reference for the cost of a whole sweep."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.numerics.blas import times, times_transposed
from dyadnet.numerics.kernels import compiled

BELOW, ABOVE, UP, DOWN, WEIGHTS = range(5)
"""Columns of a link: sizes of its two blocks, and offsets of the values from below, from above, and of its weights."""


@compiled
def _multiply(sweeps, rows, links, up, down, weights, forward, feedback, backward):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Compute θ·m of every link, and θᵀ·m if `backward` is set, sweep after sweep."""
    for _ in range(sweeps):
        for k in range(links.shape[0]):
            below, above, w = links[k, BELOW], links[k, ABOVE], links[k, WEIGHTS]
            times_transposed(up, links[k, UP], rows, below, weights, w, above, forward, links[k, DOWN])
            if backward:
                times(down, links[k, DOWN], rows, above, weights, w, below, feedback, links[k, UP])


class Products:
    """The products of all links of a network, each with its own preallocated arrays.

    Parameters
    ----------
    links
        Sizes of the lower and the upper block of each link.
    rows
        Number of rows in each lane's products; each lane runs on its own thread.
    backward
        Whether to compute feedback as well.
    """

    def __init__(self, links: Sequence[tuple[int, int]], rows: Sequence[int], backward: bool = True) -> None:
        generator = np.random.Generator(np.random.Philox(1))
        sizes = np.array(links, dtype=np.int64)
        self._links, self._rows, self._backward = links, rows, backward
        self._weights = _normal(generator, int((sizes[:, 0] * sizes[:, 1]).sum()))
        self._lanes = [self._lane(generator, sizes, count) for count in rows]
        self._pool = ThreadPoolExecutor(len(rows))

    def seconds(self, sweeps: int) -> float:
        """Return the time of `sweeps` sweeps in compiled code, with the same BLAS as in the executor."""
        started = time.perf_counter()
        if len(self._lanes) == 1:
            _multiply(sweeps, self._rows[0], *self._lanes[0], self._backward)
        else:
            list(self._pool.map(lambda lane: _multiply(sweeps, lane[0], *lane[1], self._backward), self._both()))
        return time.perf_counter() - started

    def numpy_seconds(self, sweeps: int) -> float:
        """Return the time of `sweeps` sweeps with `numpy.matmul`, called from Python, lane after lane."""
        work = [views for lane in self._both() for views in self._views(*lane)]
        started = time.perf_counter()
        for _ in range(sweeps):
            for up, theta, down, forward, feedback in work:
                np.matmul(up, theta.T, out=forward)
                if self._backward:
                    np.matmul(down, theta, out=feedback)
        return time.perf_counter() - started

    def close(self) -> None:
        """Stop the threads."""
        self._pool.shutdown()

    def _both(self) -> list[tuple[int, tuple[NDArray[Any], ...]]]:
        return list(zip(self._rows, self._lanes, strict=True))

    def _lane(self, generator: np.random.Generator, sizes: NDArray[np.int64], rows: int) -> tuple[NDArray[Any], ...]:
        """Create the table of links and the arrays of one lane."""
        below, above = sizes.T
        starts = [np.cumsum(of) - of for of in (rows * below, rows * above, below * above)]
        links = np.ascontiguousarray(np.stack([below, above, *starts], axis=1))
        up, down = (generator.random(rows * int(of.sum()), dtype=np.float32) for of in (below, above))
        return links, up, down, self._weights, np.zeros_like(down), np.zeros_like(up)

    def _views(self, rows: int, lane: tuple[NDArray[Any], ...]) -> list[tuple[NDArray[Any], ...]]:
        """Return views of the matrices of every link: from below, weights, from above, and the two products."""
        links, up, down, weights, forward, feedback = lane
        views: list[tuple[NDArray[Any], ...]] = []
        for below, above, u, d, w in links.tolist():
            lower, upper = slice(u, u + rows * below), slice(d, d + rows * above)
            theta = weights[w : w + below * above].reshape(above, below)
            state, error = up[lower].reshape(rows, below), down[upper].reshape(rows, above)
            products = forward[upper].reshape(rows, above), feedback[lower].reshape(rows, below)
            views.append((state, theta, error, *products))
        return views


def _normal(generator: np.random.Generator, size: int) -> NDArray[np.float32]:
    return generator.standard_normal(size, dtype=np.float32)
