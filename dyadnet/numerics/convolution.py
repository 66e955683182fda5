"""Compiled convolution and pooling of one row at a time: windows as columns of a matrix, boxing, and switches."""

from __future__ import annotations

from functools import partial

import numpy as np

from dyadnet.numerics.kernels import apart, compiled
from dyadnet.numerics.plans import (
    N_ACROSS,
    N_BOX,
    N_BOX_LEFT,
    N_BOX_TOP,
    N_CHANNELS,
    N_DOWN,
    N_FILTERS,
    N_HEIGHT,
    N_KERNEL_HEIGHT,
    N_KERNEL_WIDTH,
    N_LARGEST,
    N_LEFT,
    N_POOL,
    N_POST,
    N_ROOM,
    N_STRIDE,
    N_TOP,
    N_WIDTH,
)

_pasted = partial(compiled, forceinline=True)
_u = np.uint64
"""Indices are unsigned: a signed index is checked for being negative, which prevents vectorisation of loops."""


@_pasted
def _copy_run(X, x, n, Y, y):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Copy a few numbers, Y[y:] = X[x:]: eight at a time, which takes one instruction each way."""
    j = 0
    while j + 8 <= n:
        a, b = _u(x + j), _u(y + j)
        v0, v1, v2, v3 = X[a], X[a + _u(1)], X[a + _u(2)], X[a + _u(3)]
        v4, v5, v6, v7 = X[a + _u(4)], X[a + _u(5)], X[a + _u(6)], X[a + _u(7)]
        Y[b], Y[b + _u(1)], Y[b + _u(2)], Y[b + _u(3)] = v0, v1, v2, v3
        Y[b + _u(4)], Y[b + _u(5)], Y[b + _u(6)], Y[b + _u(7)] = v4, v5, v6, v7
        j += 8
    while j < n:
        Y[_u(y + j)] = X[_u(x + j)]
        j += 1


@_pasted
def _add_run(X, x, n, Y, y):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add a few numbers, Y[y:] += X[x:], eight at a time like `_copy_run`."""
    j = 0
    while j + 8 <= n:
        a, b = _u(x + j), _u(y + j)
        v0, v1, v2, v3 = X[a], X[a + _u(1)], X[a + _u(2)], X[a + _u(3)]
        v4, v5, v6, v7 = X[a + _u(4)], X[a + _u(5)], X[a + _u(6)], X[a + _u(7)]
        w0, w1, w2, w3 = Y[b], Y[b + _u(1)], Y[b + _u(2)], Y[b + _u(3)]
        w4, w5, w6, w7 = Y[b + _u(4)], Y[b + _u(5)], Y[b + _u(6)], Y[b + _u(7)]
        Y[b], Y[b + _u(1)], Y[b + _u(2)], Y[b + _u(3)] = w0 + v0, w1 + v1, w2 + v2, w3 + v3
        Y[b + _u(4)], Y[b + _u(5)], Y[b + _u(6)], Y[b + _u(7)] = w4 + v4, w5 + v5, w6 + v6, w7 + v7
        j += 8
    while j < n:
        Y[_u(y + j)] += X[_u(x + j)]
        j += 1


@compiled
def boxes(P, p):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return how many numbers a boxed row has; it lies at the end of the scratch."""
    return P[p + N_CHANNELS] * P[p + N_HEIGHT] * P[p + N_WIDTH]


@apart
def seen(P, p, X, x, Z, z, columns):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Write the windows of one row, boxed if the plan says so, as columns of a matrix, from its column `z` on."""
    if P[p + N_BOX] == 1:
        _patches(P, p, X, x, Z, z, columns)
        return
    box = P[p + N_ROOM] - boxes(P, p)
    Z[box : P[p + N_ROOM]] = Z.dtype.type(0)
    height, width, side = P[p + N_HEIGHT], P[p + N_WIDTH], P[p + N_BOX]
    share = Z.dtype.type(1.0 / (side * side))
    for channel in range(P[p + N_CHANNELS]):
        for a in range(height):
            into = box + (channel * height + a) * width
            for i in range(side):
                for j in range(side):
                    start, first, last = _under(P, p, channel, a + i, j)
                    _add_run(X, x + start, last - first, Z, into + first)
            for b in range(into, into + width):
                Z[_u(b)] *= share
    _patches(P, p, Z, box, Z, z, columns)


@apart
def unboxed(P, p, Z, box, Y, y):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Transpose boxing: add the boxed row at `box` to the row that it was boxed from."""
    height, width, side = P[p + N_HEIGHT], P[p + N_WIDTH], P[p + N_BOX]
    share = Z.dtype.type(1.0 / (side * side))
    for channel in range(P[p + N_CHANNELS]):
        for a in range(height):
            into = box + (channel * height + a) * width
            for b in range(into, into + width):
                Z[_u(b)] *= share
            for i in range(side):
                for j in range(side):
                    start, first, last = _under(P, p, channel, a + i, j)
                    _add_run(Z, into + first, last - first, Y, y + start)


@_pasted
def _under(P, p, channel, a, j):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the numbers of a row at one place of the boxes of a line: their offset, and the range of boxes."""
    side, top, left = P[p + N_BOX], P[p + N_BOX_TOP], P[p + N_BOX_LEFT]
    height = P[p + N_HEIGHT] + side - 1 - 2 * top
    width = P[p + N_WIDTH] + side - 1 - 2 * left
    line = a - top
    if line < 0 or line >= height:
        return 0, 0, 0
    first, last = max(0, left - j), min(P[p + N_WIDTH], width + left - j)
    return (channel * height + line) * width + first + j - left, first, last


@_pasted
def _inside(P, p, j):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return where column j of the first window lies, and the range of windows whose column j is inside the input."""
    across, stride, left = P[p + N_ACROSS], P[p + N_STRIDE], j - P[p + N_LEFT]
    first = min(max(0, (-left + stride - 1) // stride), across)
    return left, first, max(first, min(across, (P[p + N_WIDTH] - 1 - left) // stride + 1))


@compiled
def _patches(P, p, X, x, Z, z, columns):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Write the windows of one row as columns of a matrix, from its column `z` on."""
    height, width = P[p + N_HEIGHT], P[p + N_WIDTH]
    down, across, stride = P[p + N_DOWN], P[p + N_ACROSS], P[p + N_STRIDE]
    zero = Z.dtype.type(0)
    into = z
    for channel in range(P[p + N_CHANNELS]):
        for i in range(P[p + N_KERNEL_HEIGHT]):
            for j in range(P[p + N_KERNEL_WIDTH]):
                left, first, last = _inside(P, p, j)
                for a in range(down):
                    at = a * stride + i - P[p + N_TOP]
                    line = into + a * across
                    if at < 0 or at >= height:
                        Z[line : line + across] = zero
                        continue
                    start = x + (channel * height + at) * width + left
                    for b in range(first):
                        Z[_u(line + b)] = zero
                    if stride == 1:
                        _copy_run(X, start + first, last - first, Z, line + first)
                    else:
                        for b in range(first, last):
                            Z[_u(line + b)] = X[_u(start + b * stride)]
                    for b in range(last, across):
                        Z[_u(line + b)] = zero
                into += columns


@apart
def put_back(P, p, Z, z, columns, Y, y):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Transpose `_patches`: add windows to the row that they were taken from."""
    height, width = P[p + N_HEIGHT], P[p + N_WIDTH]
    down, across, stride = P[p + N_DOWN], P[p + N_ACROSS], P[p + N_STRIDE]
    at_column = z
    for channel in range(P[p + N_CHANNELS]):
        for i in range(P[p + N_KERNEL_HEIGHT]):
            for j in range(P[p + N_KERNEL_WIDTH]):
                left, first, last = _inside(P, p, j)
                for a in range(down):
                    at = a * stride + i - P[p + N_TOP]
                    if at < 0 or at >= height:
                        continue
                    line, start = at_column + a * across, y + (channel * height + at) * width + left
                    if stride == 1:
                        _add_run(Z, line + first, last - first, Y, start + first)
                    else:
                        for b in range(first, last):
                            Y[_u(start + b * stride)] += Z[_u(line + b)]
                at_column += columns


@apart
def pooled(P, p, Z, z, columns, Y, y, S, s, choose):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Write one row of results to Y, pooled if the plan says so; in Z the filters lie `columns` numbers apart."""
    pool, down, across = P[p + N_POOL], P[p + N_DOWN], P[p + N_ACROSS]
    if pool == 1:
        area = down * across
        for f in range(P[p + N_FILTERS]):
            source, target = Z[z + f * columns : z + f * columns + area], Y[y + f * area : y + (f + 1) * area]
            for j in range(area):
                target[j] = source[j]
        return
    if P[p + N_LARGEST] == 1:
        if choose:
            _choose(P, p, Z, z, columns, S, s)
        k = 0
        for f in range(P[p + N_FILTERS]):
            for a in range(down // pool):
                for b in range(across // pool):
                    i, j = divmod(int(S[s + k]), pool)
                    Y[y + k] = Z[z + f * columns + (a * pool + i) * across + b * pool + j]
                    k += 1
        return
    share = Y.dtype.type(1.0 / (pool * pool))
    k = 0
    for f in range(P[p + N_FILTERS]):
        for a in range(down // pool):
            for b in range(across // pool):
                total = Y.dtype.type(0)
                for i in range(pool):
                    start = z + f * columns + (a * pool + i) * across + b * pool
                    for j in range(pool):
                        total += Z[start + j]
                Y[y + k] = total * share
                k += 1


@compiled
def _choose(P, p, Z, z, columns, S, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Set the switches: for each window the place of its largest number, the first of equal ones."""
    pool, across = P[p + N_POOL], P[p + N_ACROSS]
    k = 0
    for f in range(P[p + N_FILTERS]):
        for a in range(P[p + N_DOWN] // pool):
            for b in range(across // pool):
                best, place = Z[z + f * columns + a * pool * across + b * pool], 0
                for i in range(pool):
                    start = z + f * columns + (a * pool + i) * across + b * pool
                    for j in range(pool):
                        if Z[start + j] > best:
                            best, place = Z[start + j], i * pool + j
                S[s + k] = S.dtype.type(place)
                k += 1


@apart
def unpooled(P, p, D, d, count, Z, z, S, s, row, period):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Transpose pooling for `count` rows of D: write them to Z as results before pooling, side by side."""
    area = P[p + N_DOWN] * P[p + N_ACROSS]
    columns, post = count * area, P[p + N_POST]
    if P[p + N_POOL] > 1:
        Z[z : z + P[p + N_FILTERS] * columns] = Z.dtype.type(0)
    for k in range(count):
        spread(P, p, D, d + k * post, Z, z + k * area, columns, S, s + (row + k) % period * post)


@compiled
def spread(P, p, D, d, Z, z, columns, S, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Transpose pooling for one row of D; the target must hold zeros."""
    pool, down, across = P[p + N_POOL], P[p + N_DOWN], P[p + N_ACROSS]
    if pool == 1:
        area = down * across
        for f in range(P[p + N_FILTERS]):
            source, target = D[d + f * area : d + (f + 1) * area], Z[z + f * columns : z + f * columns + area]
            for j in range(area):
                target[j] = source[j]
        return
    largest = P[p + N_LARGEST] == 1
    share = D.dtype.type(1.0 / (pool * pool))
    k = 0
    for f in range(P[p + N_FILTERS]):
        for a in range(down // pool):
            for b in range(across // pool):
                start = z + f * columns + a * pool * across + b * pool
                if largest:
                    i, j = divmod(int(S[s + k]), pool)
                    Z[start + i * across + j] = D[d + k]
                else:
                    part = D[d + k] * share
                    for i in range(pool):
                        for j in range(pool):
                            Z[start + i * across + j] = part
                k += 1
