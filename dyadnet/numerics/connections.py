"""Products of projections that are not dense, compiled: convolution, pooling, and sparse synapses.

Each is a linear map θ between arrays of rows, one a sample, over flat arenas, like those of `dyadnet.numerics.blas`.
What it joins is written down in a *plan*: whole numbers, whose first is its form.

A convolution of a row is one matrix product of its kernels with *patches*, the windows of its input side by side, of
so many rows at a time that the product is large enough and its patches stay in the cache. It may be pooled at once. The
mean of p×p results is one result of the *boxed* input, each number of which is the mean of the p×p that begin there:
so the input is boxed, and the kernels move by p. By the largest of each window θ depends on the means: it has, for each
window, the place that won (the *switch*), and the differences and the feedback pass through the same one.

Sparse synapses are multiplied neuron by neuron for many rows at a time, with rows side by side.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from dyadnet.numerics.blas import outer, times, times_transposed
from dyadnet.numerics.kernels import compiled

CONVOLUTION, POOLING, SPARSE, TRANSPOSED = range(4)
"""Forms of a plan."""

# A plan's form; numbers of post- and presynaptic neurons, and of parameters; room that products need.
N_FORM, N_POST, N_PRE, N_SIZE, N_ROOM = range(5)
# Of the input of a convolution or pooling: channels and size; and of its output before pooling.
N_CHANNELS, N_HEIGHT, N_WIDTH, N_FILTERS, N_DOWN, N_ACROSS = range(5, 11)
# Of its kernels: size, stride, and how far the first window begins above and to the left of the input.
N_KERNEL_HEIGHT, N_KERNEL_WIDTH, N_STRIDE, N_TOP, N_LEFT = range(11, 16)
# Of its pooling: the side of a window (1: none), and whether the largest number stands for it; for how many firings in
# a relaxation the means choose. Rows whose patches are multiplied at a time.
N_POOL, N_LARGEST, N_CHOICES, N_TOGETHER = range(16, 20)
# The side of a box, if the input is boxed (1: it is not), and how much of it lies above and to the left of the input
# at first. Channels, sizes and windows above are those of the boxed input then.
N_BOX, N_BOX_TOP, N_BOX_LEFT = range(20, 23)
# Of sparse synapses: where those of each postsynaptic neuron begin, and the end; the presynaptic neuron of each. Then
# the same by presynaptic neurons: where theirs begin, the postsynaptic neuron of each, and which synapse it is.
N_STARTS = 5
# Of a transposed projection: the plan of what is transposed.
N_INNER = 5

_pasted = partial(compiled, forceinline=True)

COLUMNS = 512
"""Columns of patches that are multiplied at a time, at least, if there are so many."""
ABREAST = 64
"""Rows for which sparse synapses are multiplied at a time."""
TILE = 16
"""Side of a square that is transposed at a time."""
NONE = -1


_u = np.uint64
"""Indices are unsigned: a signed one is checked for being negative, and then loops do not vectorise."""


@compiled
def has_switches(P, p):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Whether a plan's θ depends on the means."""
    return P[p + N_FORM] <= POOLING and P[p + N_LARGEST] == 1


@compiled
def forward(P, p, X, x, rows, means, period, W, w, Y, y, S, s, Z):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Y[y:] = θX[x:] of each row.

    Parameters
    ----------
    P, p
        Plans, and where this one begins.
    X, Y
        Arrays of one type, float32 or float64, of shapes (rows, n_pre) and (rows, n_post) from `x` and `y` on.
    means
        So many rows are means, by which switches are set; those behind use what is there.
    period
        Rows of switches, which are used in turn.
    W, w
        Parameters.
    S, s
        Switches, as numbers of the windows' places: shape (period, n_post).
    Z
        Room of `N_ROOM` numbers.
    """
    if P[p] == TRANSPOSED:
        _back(P, p + N_INNER, X, x, rows, period, W, w, Y, y, S, s, Z)
    else:
        _onward(P, p, X, x, rows, means, period, W, w, Y, y, S, s, Z)


@compiled
def _onward(P, p, X, x, rows, means, period, W, w, Y, y, S, s, Z):  # type: ignore[no-untyped-def]  # pragma: no cover
    if P[p] == SPARSE:
        _sparse_forward(P, p, X, x, rows, W, w, Y, y, Z)
        return
    post, pre = P[p + N_POST], P[p + N_PRE]
    filters, area = P[p + N_FILTERS], P[p + N_DOWN] * P[p + N_ACROSS]
    if P[p] == POOLING:
        for row in range(rows):
            of = s + row % period * post
            _pooled(P, p, X, x + row * pre, area, Y, y + row * post, S, of, row < means)
        return
    kernel = P[p + N_CHANNELS] * P[p + N_KERNEL_HEIGHT] * P[p + N_KERNEL_WIDTH]
    together = P[p + N_TOGETHER]
    result = kernel * together * area
    row = 0
    while row < rows:
        count = min(together, rows - row)
        columns = count * area
        for k in range(count):
            _seen(P, p, X, x + (row + k) * pre, Z, k * area, columns)
        times(W, w, filters, kernel, Z, 0, columns, Z, result)
        for k in range(count):
            of = s + (row + k) % period * post
            _pooled(P, p, Z, result + k * area, columns, Y, y + (row + k) * post, S, of, row + k < means)
        row += count


@compiled
def backward(P, p, D, d, rows, period, W, w, Y, y, S, s, Z):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Y[y:] = θᵀD[d:] of each row; see `forward`."""
    if P[p] == TRANSPOSED:
        _onward(P, p + N_INNER, D, d, rows, 0, period, W, w, Y, y, S, s, Z)
    else:
        _back(P, p, D, d, rows, period, W, w, Y, y, S, s, Z)


@compiled
def _back(P, p, D, d, rows, period, W, w, Y, y, S, s, Z):  # type: ignore[no-untyped-def]  # pragma: no cover
    if P[p] == SPARSE:
        _sparse_backward(P, p, D, d, rows, W, w, Y, y, Z)
        return
    post, pre = P[p + N_POST], P[p + N_PRE]
    filters, area = P[p + N_FILTERS], P[p + N_DOWN] * P[p + N_ACROSS]
    zero = Y.dtype.type(0)
    if P[p] == POOLING:
        for row in range(rows):
            Y[y + row * pre : y + (row + 1) * pre] = zero
            _spread(P, p, D, d + row * post, Y, y + row * pre, area, S, s + row % period * post)
        return
    kernel = P[p + N_CHANNELS] * P[p + N_KERNEL_HEIGHT] * P[p + N_KERNEL_WIDTH]
    together = P[p + N_TOGETHER]
    result = kernel * together * area
    row = 0
    while row < rows:
        count = min(together, rows - row)
        columns = count * area
        _unpooled(P, p, D, d + row * post, count, Z, result, S, s, row, period)
        outer(W, w, filters, kernel, Z, result, columns, Z, 0)
        for k in range(count):
            at = y + (row + k) * pre
            Y[at : at + pre] = zero
            if P[p + N_BOX] == 1:
                _put_back(P, p, Z, k * area, columns, Y, at)
                continue
            box = P[p + N_ROOM] - boxes(P, p)
            Z[box : P[p + N_ROOM]] = zero
            _put_back(P, p, Z, k * area, columns, Z, box)
            _unboxed(P, p, Z, box, Y, at)
        row += count


@compiled
def contrast(P, p, L, l, rows, period, R, r, G, g, S, s, Z, first):  # type: ignore[no-untyped-def]  # pragma: no cover  # noqa: E741
    """G[g:] = the gradient of Σ L[l:]·θR[r:], summed over rows, or that added to it.

    Parameters
    ----------
    L, R
        Postsynaptic and presynaptic numbers: shapes (rows, n_post) and (rows, n_pre).
    first
        Whether it takes the place of what is in G.
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


@compiled
def _correlate(P, p, L, l, rows, period, R, r, G, g, S, s, Z):  # type: ignore[no-untyped-def]  # pragma: no cover  # noqa: E741
    size = P[p + N_SIZE]
    if P[p] == POOLING:
        return
    if P[p] == SPARSE:
        _sparse_contrast(P, p, L, l, rows, R, r, G, g, Z)
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
            _seen(P, p, R, r + (row + k) * pre, Z, k * area, columns)
        _unpooled(P, p, L, l + row * post, count, Z, result, S, s, row, period)
        times_transposed(Z, result, filters, columns, Z, 0, kernel, Z, part)
        for j in range(size):
            G[g + j] += Z[part + j]


@_pasted
def _copy_run(X, x, n, Y, y):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Y[y:] = X[x:], a few numbers: eight at a time, which are one instruction each way."""
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
    """Y[y:] += X[x:], as `_copy_run` copies."""
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
    """Numbers of a boxed row, which lies at the end of the room."""
    return P[p + N_CHANNELS] * P[p + N_HEIGHT] * P[p + N_WIDTH]


@compiled
def _seen(P, p, X, x, Z, z, columns):  # type: ignore[no-untyped-def]  # pragma: no cover
    """The windows of one row, boxed if that is asked for, as columns of a matrix, from its column `z` on."""
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


@compiled
def _unboxed(P, p, Z, box, Y, y):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add what lies at `box` to the row that it is boxed of."""
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
    """Where in a row the numbers lie that one place of the boxes in a line is over, and the first and last box."""
    side, top, left = P[p + N_BOX], P[p + N_BOX_TOP], P[p + N_BOX_LEFT]
    height = P[p + N_HEIGHT] + side - 1 - 2 * top
    width = P[p + N_WIDTH] + side - 1 - 2 * left
    line = a - top
    if line < 0 or line >= height:
        return 0, 0, 0
    first, last = max(0, left - j), min(P[p + N_WIDTH], width + left - j)
    return (channel * height + line) * width + first + j - left, first, last


@compiled
def _patches(P, p, X, x, Z, z, columns):  # type: ignore[no-untyped-def]  # pragma: no cover
    """The windows of one row as columns of a matrix, from its column `z` on."""
    height, width = P[p + N_HEIGHT], P[p + N_WIDTH]
    down, across, stride = P[p + N_DOWN], P[p + N_ACROSS], P[p + N_STRIDE]
    zero = Z.dtype.type(0)
    into = z
    for channel in range(P[p + N_CHANNELS]):
        for i in range(P[p + N_KERNEL_HEIGHT]):
            for j in range(P[p + N_KERNEL_WIDTH]):
                left = j - P[p + N_LEFT]
                first = min(max(0, (-left + stride - 1) // stride), across)
                last = max(first, min(across, (width - 1 - left) // stride + 1))
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


@compiled
def _put_back(P, p, Z, z, columns, Y, y):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add windows, as `_patches` makes them, to the row that they are of."""
    height, width = P[p + N_HEIGHT], P[p + N_WIDTH]
    down, across, stride = P[p + N_DOWN], P[p + N_ACROSS], P[p + N_STRIDE]
    at_column = z
    for channel in range(P[p + N_CHANNELS]):
        for i in range(P[p + N_KERNEL_HEIGHT]):
            for j in range(P[p + N_KERNEL_WIDTH]):
                left = j - P[p + N_LEFT]
                first = min(max(0, (-left + stride - 1) // stride), across)
                last = max(first, min(across, (width - 1 - left) // stride + 1))
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


@compiled
def _pooled(P, p, Z, z, columns, Y, y, S, s, choose):  # type: ignore[no-untyped-def]  # pragma: no cover
    """One row of results, `columns` numbers from filter to filter, as it is put out."""
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
    """Which place of each window has the largest number, the first of equal ones."""
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


@compiled
def _unpooled(P, p, D, d, count, Z, z, S, s, row, period):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Some rows of D as results before pooling, side by side."""
    area = P[p + N_DOWN] * P[p + N_ACROSS]
    columns, post = count * area, P[p + N_POST]
    if P[p + N_POOL] > 1:
        Z[z : z + P[p + N_FILTERS] * columns] = Z.dtype.type(0)
    for k in range(count):
        _spread(P, p, D, d + k * post, Z, z + k * area, columns, S, s + (row + k) % period * post)


@compiled
def _spread(P, p, D, d, Z, z, columns, S, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """One row of D, transposed through pooling, into zeros."""
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


@compiled
def _abreast(X, x, n, rows, Z, z):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Rows of n numbers as n rows of `ABREAST`, in tiles that stay in the cache; zeros where there are fewer."""
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
"""Compiles sums that a processor may add up in the order that suits it, the same one each time."""


@_summed
def _gathered(P, starts, others, synapses, n, W, w, Z, x, y):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Of n neurons the sum over their synapses, four at a time; all neurons have `ABREAST` numbers.

    Parameters
    ----------
    starts, others, synapses
        Where in P it says where each neuron's synapses begin, which neuron is at the other end, and which parameter is
        theirs; `NONE` for the last if these are in order.
    x, y
        Where in Z the other neurons' numbers are, and where the sums go.
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
    """Add to each synapse's number the scalar product of its neurons' numbers, `x` being the other ones."""
    for i in range(n):
        a = y + i * ABREAST
        for k in range(P[starts + i], P[starts + i + 1]):
            b = x + P[others + k] * ABREAST
            total = Z.dtype.type(0)
            for j in range(ABREAST):
                total += Z[_u(a + j)] * Z[_u(b + j)]
            G[g + k] += total


@compiled
def _sparse_forward(P, p, X, x, rows, W, w, Y, y, Z):  # type: ignore[no-untyped-def]  # pragma: no cover
    post, pre = P[p + N_POST], P[p + N_PRE]
    starts = p + N_STARTS
    for row in range(0, rows, ABREAST):
        count, result = min(ABREAST, rows - row), pre * ABREAST
        _abreast(X, x + row * pre, pre, count, Z, 0)
        _gathered(P, starts, starts + post + 1, NONE, post, W, w, Z, 0, result)
        _in_rows(Z, result, post, count, Y, y + row * post)


@compiled
def _sparse_backward(P, p, D, d, rows, W, w, Y, y, Z):  # type: ignore[no-untyped-def]  # pragma: no cover
    post, pre, size = P[p + N_POST], P[p + N_PRE], P[p + N_SIZE]
    starts = p + N_STARTS + post + 1 + size
    others = starts + pre + 1
    for row in range(0, rows, ABREAST):
        count, given = min(ABREAST, rows - row), pre * ABREAST
        _abreast(D, d + row * post, post, count, Z, given)
        _gathered(P, starts, others, others + size, pre, W, w, Z, given, 0)
        _in_rows(Z, 0, pre, count, Y, y + row * pre)


@compiled
def _sparse_contrast(P, p, L, l, rows, R, r, G, g, Z):  # type: ignore[no-untyped-def]  # pragma: no cover  # noqa: E741
    post, pre = P[p + N_POST], P[p + N_PRE]
    starts = p + N_STARTS
    for row in range(0, rows, ABREAST):
        count, above = min(ABREAST, rows - row), pre * ABREAST
        _abreast(R, r + row * pre, pre, count, Z, 0)
        _abreast(L, l + row * post, post, count, Z, above)
        _paired(P, starts, starts + post + 1, post, Z, 0, above, G, g)
