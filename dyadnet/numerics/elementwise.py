"""Compiled element-wise passes over arrays: activations, the nudge of cross-entropy, levels, norms, copies.

Everything works on flat arrays. ``fastmath`` is off: sums keep their order and NaN keeps its meaning. Largest absolute
values are computed from the bit patterns of the floats, because an integer maximum vectorises. As integers these
patterns have the order of the magnitudes. NaN and infinity exceed every finite number, so they are never lost.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.numerics.kernels import compiled

PIECEWISE, LOGISTIC, TANH, CALLED_ACTIVATION = range(4)
"""Forms of an activation; the last one is called in Python."""
NO_LOSS, SQUARED_ERROR, CROSS_ENTROPY, CALLED_LOSS = range(4)
"""Forms of a loss; the first is for blocks that are not nudged, the last is called in Python."""


@compiled
def activate(kind, leak, gain, top, A, D, m, d):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Compute m and d of dyads with pre-activations A ± D; if `d` is empty, only m = f(A).

    Piecewise linear, f(a) = leak·a + gain·clip(a, 0, top): the overlap of [A−|D|, A+|D|] with [0, top] is
    min(|D|, top−A) + min(|D|, A), exactly 2|D| inside, without the cancellation of clip(A+D) − clip(A−D). Logistic
    and tanh: d by their addition theorems.
    """
    number = A.dtype.type
    zero, half, one, two = number(0), number(0.5), number(1), number(2)
    size = A.shape[0]
    if kind == PIECEWISE:
        leak_, gain_, top_ = number(leak), number(gain), number(top)
        if d.shape[0] == 0:
            for j in range(size):
                a = A[j]
                m[j] = leak_ * a + gain_ * min(max(a, zero), top_)
            return
        for j in range(size):
            a = A[j]
            b = D[j]
            plus = min(max(a + b, zero), top_)
            minus = min(max(a - b, zero), top_)
            m[j] = leak_ * a + gain_ * half * (plus + minus)
            width = abs(b)
            overlap = max(min(width, top_ - a) + min(width, a), zero) * half
            d[j] = leak_ * b + gain_ * (overlap if b > zero else -overlap)
        return
    if kind == LOGISTIC:
        for j in range(size):
            if d.shape[0] == 0:
                m[j] = half * (one + math.tanh(half * A[j]))
                continue
            plus = half * (one + math.tanh(half * (A[j] + D[j])))
            minus = half * (one + math.tanh(half * (A[j] - D[j])))
            m[j] = half * (plus + minus)
            d[j] = half * math.tanh(D[j]) * (plus * (one - minus) + minus * (one - plus))
        return
    for j in range(size):
        if d.shape[0] == 0:
            m[j] = math.tanh(A[j])
            continue
        plus = math.tanh(A[j] + D[j])
        minus = math.tanh(A[j] - D[j])
        m[j] = half * (plus + minus)
        d[j] = half * math.tanh(two * D[j]) * (one - plus * minus)


@compiled
def softmax_nudge(m, d, y, rows, mean, difference):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Compute the mean and half difference of softmax(m ± d) − y, row by row."""
    number = m.dtype.type
    half = number(0.5)
    columns = m.shape[0] // max(rows, 1)
    for i in range(rows):
        at = i * columns
        top_plus = m[at] + d[at]
        top_minus = m[at] - d[at]
        for j in range(at, at + columns):
            top_plus = max(top_plus, m[j] + d[j])
            top_minus = max(top_minus, m[j] - d[j])
        sum_plus = number(0)
        sum_minus = number(0)
        for j in range(at, at + columns):
            mean[j] = math.exp(m[j] + d[j] - top_plus)
            difference[j] = math.exp(m[j] - d[j] - top_minus)
            sum_plus += mean[j]
            sum_minus += difference[j]
        for j in range(at, at + columns):
            plus = mean[j] / sum_plus
            minus = difference[j] / sum_minus
            mean[j] = (plus + minus) * half - y[j]
            difference[j] = (plus - minus) * half


@compiled
def largest(bits, size, before):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the largest of `before` and the magnitudes of `size` floats; all are given and returned as bits."""
    magnitude = np.int64(2**31 - 1) if bits.itemsize == 4 else np.int64(2**63 - 1)
    mask = bits.dtype.type(magnitude)
    found = bits.dtype.type(before)
    for j in range(size):
        found = max(found, bits[j] & mask)
    return found


@compiled
def differs(new, old):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Whether any of two arrays' entries differ."""
    count = 0
    for j in range(new.shape[0]):
        count += new[j] != old[j]
    return count > 0


@compiled
def copied(X, source, target, size):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Copy numbers of an arena to another place in it."""
    a = X[source : source + size]
    b = X[target : target + size]
    for j in range(size):
        b[j] = a[j]


@compiled
def turn(W, w, rows, columns, F):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Write the transpose of a matrix of parameters to the same place of another array, tile by tile."""
    tile = 16
    for i in range(0, rows, tile):
        for j in range(0, columns, tile):
            for k in range(i, min(i + tile, rows)):
                for l in range(j, min(j + tile, columns)):  # noqa: E741
                    F[w + l * rows + k] = W[w + k * columns + l]


def transposed(matrix: NDArray[Any], into: NDArray[Any]) -> None:
    """Write the transpose of a contiguous matrix into another array."""
    turn(matrix.reshape(-1), 0, *matrix.shape, into.reshape(-1))


@compiled
def row_norm(x):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return ‖x‖, computed in float64."""
    total = 0.0
    for j in range(x.shape[0]):
        total += float(x[j]) * float(x[j])
    return math.sqrt(total)


@compiled
def scaled(x, factor):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Multiply an array in place by κ; −1 and 1 are exact."""
    if factor == 1.0:
        return
    if factor == -1.0:
        for j in range(x.shape[0]):
            x[j] = -x[j]
        return
    number = x.dtype.type(factor)
    for j in range(x.shape[0]):
        x[j] *= number


@compiled
def level(x, step, origin, least, most, draw):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Round one number to a level in float64: at random if `draw` is in [0, 1), to the nearest if it is negative."""
    place = (x - origin) / step if step > 0.0 else 0.0 * x
    place = np.rint(place) if draw < 0.0 else math.floor(place + draw)
    return origin + min(max(place, least), most) * step
