"""Compiled products of projections that are not dense: convolution, pooling, and sparse synapses.

Each projection is a linear map θ between arrays in flat arenas, with one row per sample, as in `dyadnet.numerics.blas`.
A *plan* describes its connections: an array of integers, the first of which is its form.

A convolution of a row is one matrix product of its kernels with *patches*, the windows of its input side by side. It
is computed for several rows at a time: enough for a large product, and few enough for the patches to stay in the
cache. Pooling may follow in the same step. Mean pooling over p×p results equals a convolution of the *boxed* input
with stride p: each number of the boxed input is the mean of the p×p inputs that begin there. So the input is boxed,
and the kernels move by p. With max pooling θ depends on the means: the *switch* of each window is the place of its
largest number, and differences and feedback pass through the same place.

Sparse synapses are multiplied neuron by neuron for many rows at a time, with rows side by side.
"""

from __future__ import annotations

from dyadnet.numerics import sparse
from dyadnet.numerics.blas import outer, times, times_transposed
from dyadnet.numerics.convolution import boxes, pooled, put_back, seen, spread, unboxed, unpooled
from dyadnet.numerics.kernels import apart, compiled
from dyadnet.numerics.plans import (
    N_ACROSS,
    N_BOX,
    N_CHANNELS,
    N_DOWN,
    N_FILTERS,
    N_FORM,
    N_INNER,
    N_KERNEL_HEIGHT,
    N_KERNEL_WIDTH,
    N_LARGEST,
    N_POST,
    N_PRE,
    N_ROOM,
    N_SIZE,
    N_TOGETHER,
    POOLING,
    SPARSE,
    TRANSPOSED,
)


@compiled
def has_switches(P, p):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Whether a plan's θ depends on the means."""
    return P[p + N_FORM] <= POOLING and P[p + N_LARGEST] == 1


@apart
def forward(P, p, X, x, rows, means, period, W, w, Y, y, S, s, Z):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Compute Y[y:] = θX[x:] of each row.

    Parameters
    ----------
    P, p
        Plans, and where this plan begins.
    X, Y
        Arrays of one type, float32 or float64, of shapes (rows, n_pre) and (rows, n_post) from `x` and `y` on.
    means
        Number of leading rows that are means and set the switches; the rows after them use the switches as they are.
    period
        Number of rows of switches; row i uses row i modulo `period`.
    W, w
        Parameters, and where those of this projection begin.
    S, s
        Switches, as indices of places in the windows: shape (period, n_post).
    Z
        Scratch of `N_ROOM` numbers.
    """
    if P[p] == TRANSPOSED:
        _back(P, p + N_INNER, X, x, rows, period, W, w, Y, y, S, s, Z)
    else:
        _onward(P, p, X, x, rows, means, period, W, w, Y, y, S, s, Z)


@apart
def _onward(P, p, X, x, rows, means, period, W, w, Y, y, S, s, Z):  # type: ignore[no-untyped-def]  # pragma: no cover
    if P[p] == SPARSE:
        sparse.forward(P, p, X, x, rows, W, w, Y, y, Z)
        return
    post, pre = P[p + N_POST], P[p + N_PRE]
    filters, area = P[p + N_FILTERS], P[p + N_DOWN] * P[p + N_ACROSS]
    if P[p] == POOLING:
        for row in range(rows):
            of = s + row % period * post
            pooled(P, p, X, x + row * pre, area, Y, y + row * post, S, of, row < means)
        return
    kernel = P[p + N_CHANNELS] * P[p + N_KERNEL_HEIGHT] * P[p + N_KERNEL_WIDTH]
    together = P[p + N_TOGETHER]
    result = kernel * together * area
    row = 0
    while row < rows:
        count = min(together, rows - row)
        columns = count * area
        for k in range(count):
            seen(P, p, X, x + (row + k) * pre, Z, k * area, columns)
        times(W, w, filters, kernel, Z, 0, columns, Z, result)
        for k in range(count):
            of = s + (row + k) % period * post
            pooled(P, p, Z, result + k * area, columns, Y, y + (row + k) * post, S, of, row + k < means)
        row += count


@apart
def backward(P, p, D, d, rows, period, W, w, Y, y, S, s, Z):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Compute Y[y:] = θᵀD[d:] of each row; see `forward`."""
    if P[p] == TRANSPOSED:
        _onward(P, p + N_INNER, D, d, rows, 0, period, W, w, Y, y, S, s, Z)
    else:
        _back(P, p, D, d, rows, period, W, w, Y, y, S, s, Z)


@apart
def _back(P, p, D, d, rows, period, W, w, Y, y, S, s, Z):  # type: ignore[no-untyped-def]  # pragma: no cover
    if P[p] == SPARSE:
        sparse.backward(P, p, D, d, rows, W, w, Y, y, Z)
        return
    post, pre = P[p + N_POST], P[p + N_PRE]
    filters, area = P[p + N_FILTERS], P[p + N_DOWN] * P[p + N_ACROSS]
    zero = Y.dtype.type(0)
    if P[p] == POOLING:
        for row in range(rows):
            Y[y + row * pre : y + (row + 1) * pre] = zero
            spread(P, p, D, d + row * post, Y, y + row * pre, area, S, s + row % period * post)
        return
    kernel = P[p + N_CHANNELS] * P[p + N_KERNEL_HEIGHT] * P[p + N_KERNEL_WIDTH]
    together = P[p + N_TOGETHER]
    result = kernel * together * area
    row = 0
    while row < rows:
        count = min(together, rows - row)
        columns = count * area
        unpooled(P, p, D, d + row * post, count, Z, result, S, s, row, period)
        outer(W, w, filters, kernel, Z, result, columns, Z, 0)
        for k in range(count):
            at = y + (row + k) * pre
            Y[at : at + pre] = zero
            if P[p + N_BOX] == 1:
                put_back(P, p, Z, k * area, columns, Y, at)
                continue
            box = P[p + N_ROOM] - boxes(P, p)
            Z[box : P[p + N_ROOM]] = zero
            put_back(P, p, Z, k * area, columns, Z, box)
            unboxed(P, p, Z, box, Y, at)
        row += count


@apart
def contrast(P, p, L, l, rows, period, R, r, G, g, S, s, Z, first):  # type: ignore[no-untyped-def]  # pragma: no cover  # noqa: E741
    """Write to G[g:] the gradient of Σ L[l:]·θR[r:], summed over rows, or add it there.

    Parameters
    ----------
    L, R
        Postsynaptic and presynaptic numbers: shapes (rows, n_post) and (rows, n_pre).
    first
        Whether the gradient replaces the content of G; otherwise it is added.
    """
    size = P[p + N_SIZE]
    if first:
        G[g : g + size] = G.dtype.type(0)
    if rows < 1:
        return
    if P[p] == TRANSPOSED:
        _correlate(P, p + N_INNER, R, r, rows, period, L, l, G, g, S, s, Z)
    else:
        _correlate(P, p, L, l, rows, period, R, r, G, g, S, s, Z)


@apart
def _correlate(P, p, L, l, rows, period, R, r, G, g, S, s, Z):  # type: ignore[no-untyped-def]  # pragma: no cover  # noqa: E741
    size = P[p + N_SIZE]
    if P[p] == POOLING:
        return
    if P[p] == SPARSE:
        sparse.contrast(P, p, L, l, rows, R, r, G, g, Z)
        return
    post, pre = P[p + N_POST], P[p + N_PRE]
    filters, area = P[p + N_FILTERS], P[p + N_DOWN] * P[p + N_ACROSS]
    kernel = P[p + N_CHANNELS] * P[p + N_KERNEL_HEIGHT] * P[p + N_KERNEL_WIDTH]
    together = P[p + N_TOGETHER]
    result = kernel * together * area
    part = result + filters * together * area
    for row in range(0, rows, together):
        count = min(together, rows - row)
        columns = count * area
        for k in range(count):
            seen(P, p, R, r + (row + k) * pre, Z, k * area, columns)
        unpooled(P, p, L, l + row * post, count, Z, result, S, s, row, period)
        times_transposed(Z, result, filters, columns, Z, 0, kernel, Z, part)
        for j in range(size):
            G[g + j] += Z[part + j]
