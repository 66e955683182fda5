"""Compiled products with sparse synapses: neuron by neuron for many rows at a time, with rows side by side."""

from __future__ import annotations

from functools import partial

import numpy as np

from dyadnet.numerics.kernels import apart, compiled
from dyadnet.numerics.plans import ABREAST, N_POST, N_PRE, N_SIZE, N_STARTS

TILE = 16
"""Side of the square tiles of a transposition."""
NONE = -1
_u = np.uint64
"""Indices are unsigned: a signed index is checked for being negative, which prevents vectorisation of loops."""


@compiled
def _abreast(X, x, n, rows, Z, z):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Transpose rows of n numbers to n rows of `ABREAST`, in tiles that fit the cache; missing rows are zeros."""
    if rows < ABREAST:
        Z[z : z + n * ABREAST] = Z.dtype.type(0)
    for row in range(0, rows, TILE):
        for first in range(0, n, TILE):
            for j in range(first, min(first + TILE, n)):
                for k in range(row, min(row + TILE, rows)):
                    Z[_u(z + j * ABREAST + k)] = X[_u(x + k * n + j)]


@compiled
def _in_rows(Z, z, n, rows, Y, y):  # type: ignore[no-untyped-def]  # pragma: no cover
    """The reverse of `_abreast`."""
    for row in range(0, rows, TILE):
        for first in range(0, n, TILE):
            for k in range(row, min(row + TILE, rows)):
                for j in range(first, min(first + TILE, n)):
                    Y[_u(y + k * n + j)] = Z[_u(z + j * ABREAST + k)]


_summed = partial(compiled, fastmath={"reassoc", "contract"})
"""Compile sums whose terms may be reordered for speed; the order is the same each time."""


@_summed
def _gathered(P, starts, others, synapses, n, W, w, Z, x, y):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Sum over the synapses of each of n neurons, four at a time; every neuron has `ABREAST` numbers.

    Parameters
    ----------
    starts, others, synapses
        Where in P the following lists begin: the first synapse of each neuron; the neuron at the other end of each
        synapse; the parameter of each synapse (`NONE` if the parameters are in order).
    x, y
        Where in Z the numbers of the other neurons are, and where the sums go.
    """
    for i in range(n):
        into, k, end = y + i * ABREAST, P[starts + i], P[starts + i + 1]
        for j in range(ABREAST):
            Z[_u(into + j)] = Z.dtype.type(0)
        while k < end:
            if k + 3 < end:
                v0, v1, v2, v3 = k, k + 1, k + 2, k + 3
                if synapses >= 0:
                    v0, v1, v2, v3 = P[synapses + k], P[synapses + k + 1], P[synapses + k + 2], P[synapses + k + 3]
                one, two, three, four = W[w + v0], W[w + v1], W[w + v2], W[w + v3]
                a, b = x + P[others + k] * ABREAST, x + P[others + k + 1] * ABREAST
                c, d = x + P[others + k + 2] * ABREAST, x + P[others + k + 3] * ABREAST
                for j in range(ABREAST):
                    Z[_u(into + j)] += (one * Z[_u(a + j)] + two * Z[_u(b + j)]) + (
                        three * Z[_u(c + j)] + four * Z[_u(d + j)]
                    )
                k += 4
            else:
                one, a = W[w + (P[synapses + k] if synapses >= 0 else k)], x + P[others + k] * ABREAST
                for j in range(ABREAST):
                    Z[_u(into + j)] += one * Z[_u(a + j)]
                k += 1


@_summed
def _paired(P, starts, others, n, Z, x, y, G, g):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add to each synapse's number the scalar product of its neurons' numbers; the other neurons' are at `x`."""
    for i in range(n):
        a = y + i * ABREAST
        for k in range(P[starts + i], P[starts + i + 1]):
            b = x + P[others + k] * ABREAST
            total = Z.dtype.type(0)
            for j in range(ABREAST):
                total += Z[_u(a + j)] * Z[_u(b + j)]
            G[g + k] += total


@apart
def forward(P, p, X, x, rows, W, w, Y, y, Z):  # type: ignore[no-untyped-def]  # pragma: no cover
    post, pre = P[p + N_POST], P[p + N_PRE]
    starts = p + N_STARTS
    for row in range(0, rows, ABREAST):
        count, result = min(ABREAST, rows - row), pre * ABREAST
        _abreast(X, x + row * pre, pre, count, Z, 0)
        _gathered(P, starts, starts + post + 1, NONE, post, W, w, Z, 0, result)
        _in_rows(Z, result, post, count, Y, y + row * post)


@apart
def backward(P, p, D, d, rows, W, w, Y, y, Z):  # type: ignore[no-untyped-def]  # pragma: no cover
    post, pre, size = P[p + N_POST], P[p + N_PRE], P[p + N_SIZE]
    starts = p + N_STARTS + post + 1 + size
    others = starts + pre + 1
    for row in range(0, rows, ABREAST):
        count, given = min(ABREAST, rows - row), pre * ABREAST
        _abreast(D, d + row * post, post, count, Z, given)
        _gathered(P, starts, others, others + size, pre, W, w, Z, given, 0)
        _in_rows(Z, 0, pre, count, Y, y + row * pre)


@apart
def contrast(P, p, L, l, rows, R, r, G, g, Z):  # type: ignore[no-untyped-def]  # pragma: no cover  # noqa: E741
    post, pre = P[p + N_POST], P[p + N_PRE]
    starts = p + N_STARTS
    for row in range(0, rows, ABREAST):
        count, above = min(ABREAST, rows - row), pre * ABREAST
        _abreast(R, r + row * pre, pre, count, Z, 0)
        _abreast(L, l + row * post, post, count, Z, above)
        _paired(P, starts, starts + post + 1, post, Z, 0, above, G, g)
