"""The cost of projection kinds: convolutions compared with matrix products, sparse with dense synapses."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from dyadnet.bench.networks import machine
from dyadnet.numerics import connections, plans
from dyadnet.numerics.blas import outer, times, times_transposed
from dyadnet.synapses.base import Ends, Shape
from dyadnet.synapses.compiled import CompiledKind, whole_plan
from dyadnet.synapses.convolution import Convolution
from dyadnet.synapses.sparse import PairwiseBernoulli

Array = NDArray[Any]
IMAGE: Shape = (1, 28, 28)
FILTERS, KERNEL = (32, 64), 5
"""Filters and kernel size of the stacked convolutions, from the input up."""
PRODUCTS = ("forward", "backward", "contrast")


@dataclass(frozen=True)
class Case:
    """One product of one projection, and the reference that it is compared with.

    Attributes
    ----------
    of
        Name of the projection.
    product
        One of `PRODUCTS`.
    own, bare
        Compute the product with the projection's kind, and with one matrix product. Both return their results; the
        axes of the matrix product may be in another order.
    """

    of: str
    product: str
    own: Callable[[], Array]
    bare: Callable[[], Array]


class _Products:
    """The products of one kind of projection, in preallocated arrays, called as by the executor."""

    def __init__(self, kind: CompiledKind, ends: Ends, rows: int, generator: np.random.Generator) -> None:
        self.rows, self.ends = rows, ends
        plan = whole_plan(kind, ends)
        assert plan is not None
        self.plan = plan
        self.x, self.y = (_normal(generator, rows * n) for n in (ends.n_pre, ends.n_post))
        self.theta = _normal(generator, int(plan[plans.N_SIZE]))
        self._room = np.empty(int(plan[plans.N_ROOM]), dtype=np.float32)
        self._switches = np.zeros(1, dtype=np.float32)
        self._results = [np.zeros_like(array) for array in (self.y, self.x, self.theta)]

    def forward(self) -> Array:
        """Compute θx, shape (rows, n_post)."""
        found, rows, more = self._results[0], self.rows, (self._switches, 0, self._room)
        connections.forward(self.plan, 0, self.x, 0, rows, rows, rows, self.theta, 0, found, 0, *more)
        return found.reshape(rows, -1)

    def backward(self) -> Array:
        """Compute θᵀy, shape (rows, n_pre)."""
        found, rows, more = self._results[1], self.rows, (self._switches, 0, self._room)
        connections.backward(self.plan, 0, self.y, 0, rows, rows, self.theta, 0, found, 0, *more)
        return found.reshape(rows, -1)

    def contrast(self) -> Array:
        """Compute the Hebbian contrast of y and x, one number per parameter."""
        found, rows, more = self._results[2], self.rows, (self._switches, 0, self._room)
        connections.contrast(self.plan, 0, self.y, 0, rows, rows, self.x, 0, found, 0, *more, True)
        return found


def convolutions(rows: int, image: Shape = IMAGE, filters: Sequence[int] = FILTERS, kernel: int = KERNEL) -> list[Case]:
    """Create the cases of stacked convolutions, each compared with products of its kernels and precomputed windows.

    Parameters
    ----------
    rows
        Number of samples in a product.
    """
    generator = np.random.Generator(np.random.Philox(1))
    kind = Convolution(kernel=kernel)
    shapes = [image]
    for count in filters:
        shapes.append((count, *kind.moved(shapes[-1])))
    return [
        case
        for pre, post in itertools.pairwise(shapes)
        for case in _convolution(_Products(kind, Ends(post, pre), rows, generator), kernel)
    ]


def _convolution(own: _Products, kernel: int) -> list[Case]:
    rows, pre, post = own.rows, own.ends.pre, own.ends.post
    windows = sliding_window_view(own.x.reshape(rows, *pre), (kernel, kernel), axis=(2, 3))
    patches = np.ascontiguousarray(windows.transpose(1, 4, 5, 0, 2, 3)).reshape(-1)
    numbers, columns = pre[0] * kernel**2, rows * post[1] * post[2]
    above = np.ascontiguousarray(own.y.reshape(rows, post[0], -1).transpose(1, 0, 2)).reshape(-1)
    results = [np.zeros_like(array) for array in (above, patches, own.theta)]

    def forward() -> Array:
        times(own.theta, 0, post[0], numbers, patches, 0, columns, results[0], 0)
        return results[0].reshape(post[0], rows, -1)

    def backward() -> Array:
        outer(own.theta, 0, post[0], numbers, above, 0, columns, results[1], 0)
        return results[1]

    def contrast() -> Array:
        times_transposed(above, 0, post[0], columns, patches, 0, numbers, results[2], 0)
        return results[2]

    name = f"{_written(pre)} → {_written(post)}, {kernel}x{kernel}"
    return [
        Case(name, p, getattr(own, p), bare) for p, bare in zip(PRODUCTS, (forward, backward, contrast), strict=True)
    ]


def sparse(rows: int, neurons: int, density: float) -> tuple[list[Case], dict[str, int]]:
    """Create the cases of sparse synapses between two populations, compared with dense synapses of the same matrix.

    Parameters
    ----------
    rows
        Number of samples in a product.
    neurons, density
        Number of neurons in each population, and probability of a synapse between two neurons.

    Returns
    -------
    tuple
        The cases, and a dict: ``synapses``, their number; ``sparse``, bytes of parameters and indices; ``dense``,
        bytes of the matrix.
    """
    generator = np.random.Generator(np.random.Philox(1))
    kind, ends = PairwiseBernoulli(p=density), Ends((neurons,), (neurons,), "bench")
    own = _Products(kind, ends, rows, generator)
    post, pre = kind.pairs(ends)
    matrix = np.zeros((neurons, neurons), dtype=np.float32)
    matrix[post, pre] = own.theta
    theta = matrix.reshape(-1)
    results = [np.zeros_like(array) for array in (own.y, own.x, theta)]

    def forward() -> Array:
        times_transposed(own.x, 0, rows, neurons, theta, 0, neurons, results[0], 0)
        return results[0].reshape(rows, -1)

    def backward() -> Array:
        times(own.y, 0, rows, neurons, theta, 0, neurons, results[1], 0)
        return results[1].reshape(rows, -1)

    def contrast() -> Array:
        outer(own.y, 0, rows, neurons, own.x, 0, neurons, results[2], 0)
        return results[2].reshape(neurons, -1)

    name = f"{neurons} → {neurons}, {100 * density:g} %"
    size = {"synapses": len(own.theta), "sparse": own.theta.nbytes + own.plan.nbytes, "dense": theta.nbytes}
    bare = zip(PRODUCTS, (forward, backward, contrast), strict=True)
    return [Case(name, p, getattr(own, p), dense) for p, dense in bare], size


def measure(minibatch: int, neurons: int, density: float, repetitions: int) -> dict[str, Any]:
    """Measure the CPU time of every product on one thread, as the minimum over interleaved repetitions, and ratios.

    Returns
    -------
    dict
        ``convolution``: rows with ``own_s``, ``bare_s`` and ``ratio``, bare over own (1 means equally fast).
        ``sparse``: rows with ``own_s``, ``bare_s`` (dense) and ``ratio``, dense over own. ``bytes``: sizes of both; see
        `sparse`.
    """
    pairs, size = sparse(minibatch, neurons, density)
    results: dict[str, Any] = {"machine": machine(), "load": os.getloadavg()[0], "minibatch": minibatch}
    results |= {"repetitions": repetitions, "bytes": size}
    with threadpool_limits(limits=1, user_api="blas"):
        results["convolution"] = _rows(convolutions(minibatch), repetitions)
        results["sparse"] = _rows(pairs, repetitions)
    return results


def _rows(cases: Sequence[Case], repetitions: int) -> list[dict[str, Any]]:
    rows = []
    for case in cases:
        # The first pair warms everything up.
        spent = [(_seconds(case.own), _seconds(case.bare)) for _ in range(repetitions + 1)][1:]
        own, bare = (min(times) for times in zip(*spent, strict=True))
        rows.append({"of": case.of, "product": case.product, "own_s": own, "bare_s": bare, "ratio": bare / own})
    return rows


def _seconds(work: Callable[[], Array]) -> float:
    """Return the CPU time of this thread, which excludes other load on the machine."""
    started = time.thread_time()
    work()
    return time.thread_time() - started


def _written(shape: Shape) -> str:
    return "x".join(map(str, shape))


def _normal(generator: np.random.Generator, size: int) -> NDArray[np.float32]:
    return generator.standard_normal(size, dtype=np.float32)
