"""What a firing does to its neurons, compiled: the passes between two matrix products.

Everything works on flat arrays of one block's (rows × neurons) numbers. No ``fastmath``: sums keep their order and NaN
keeps its meaning. Largest absolute values are taken over the bit patterns of the floats, whose order as integers is
the order of their magnitudes, because an integer maximum vectorises; NaN and infinity then come out above every
finite number and are never lost.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.kernels import FLUSH, compiled
from dyadnet.program.blas import tiny
from dyadnet.program.tables import LOGISTIC, NONE, PIECEWISE, RUN, T_BACKWARD, T_INNER, T_OFFSET, T_WEIGHTS

CHUNK = 1024
"""Numbers that go through all passes together, in cache."""


@compiled
def activate(kind, leak, gain, top, A, D, m, d):  # type: ignore[no-untyped-def]  # pragma: no cover
    """m and d of dyads with pre-activations A ± D; where `d` is empty, m = f(A) alone.

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
    """Mean and half difference of softmax(m ± d) − y, row by row."""
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
def _multiply(m, at, size, n, term, kappa):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Numbers `at` to ``at + size`` of a fused product of a block of n neurons."""
    x, inner, w = term[T_OFFSET] + at // n * term[T_INNER], term[T_INNER], term[T_WEIGHTS]
    if term[T_BACKWARD]:
        tiny(m.X, x, size // n, inner, m.V, w, n, False, m.term, 0)
        scaled(m.term[:size], kappa)
    else:
        tiny(m.X, x, size // n, inner, m.W, w, n, True, m.term, 0)


@compiled
def _add_run(m, at, size, total, runs, first, count, weights, scale, start):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add products of single synapses between single neurons, one after the other, four at a time.

    Parameters
    ----------
    weights
        Which parameters: forward or backward ones.
    scale
        κ, by which each product is multiplied.
    start
        Whether the first product takes the place of what is in `total`.
    """
    X = m.X
    factor = X.dtype.type(scale)
    plain = scale == 1.0
    k = first
    end = first + count
    if start:
        x, w = np.uint64(runs[k, 0] + at), weights[np.uint64(runs[k, 1])]
        for j in range(size):
            total[np.uint64(j)] = (X[x + np.uint64(j)] * w) * factor
        k += 1
    while k + 4 <= end:
        x0, w0 = np.uint64(runs[k, 0] + at), weights[np.uint64(runs[k, 1])]
        x1, w1 = np.uint64(runs[k + 1, 0] + at), weights[np.uint64(runs[k + 1, 1])]
        x2, w2 = np.uint64(runs[k + 2, 0] + at), weights[np.uint64(runs[k + 2, 1])]
        x3, w3 = np.uint64(runs[k + 3, 0] + at), weights[np.uint64(runs[k + 3, 1])]
        if plain:
            for j in range(size):
                i = np.uint64(j)
                total[i] = (((total[i] + X[x0 + i] * w0) + X[x1 + i] * w1) + X[x2 + i] * w2) + X[x3 + i] * w3
        else:
            for j in range(size):
                i = np.uint64(j)
                two = (total[i] + (X[x0 + i] * w0) * factor) + (X[x1 + i] * w1) * factor
                total[i] = (two + (X[x2 + i] * w2) * factor) + (X[x3 + i] * w3) * factor
        k += 4
    while k < end:
        x, w = np.uint64(runs[k, 0] + at), weights[np.uint64(runs[k, 1])]
        for j in range(size):
            total[np.uint64(j)] += (X[x + np.uint64(j)] * w) * factor
        k += 1


@compiled
def _add_square(m, offset, size, total, w, backward, scale):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add the product of two by two synapses: what `tiny` does, without its detours."""
    weights = m.V if backward else m.W
    a, d = weights[np.uint64(w)], weights[np.uint64(w + 3)]
    b, c = weights[np.uint64(w + 1)], weights[np.uint64(w + 2)]
    if backward:
        b, c = c, b
    x, into, factor = m.X[offset : offset + size], total[:size], m.X.dtype.type(scale)
    if scale == 1.0:
        for i in range(size // 2):
            u, v = x[2 * i], x[2 * i + 1]
            into[2 * i] += u * a + v * b
            into[2 * i + 1] += u * c + v * d
        return
    for i in range(size // 2):
        u, v = x[2 * i], x[2 * i + 1]
        into[2 * i] += (u * a + v * b) * factor
        into[2 * i + 1] += (u * c + v * d) * factor


@compiled
def drive(m, base, at, row, n, terms, runs, factors, count):  # type: ignore[no-untyped-def]  # pragma: no cover
    """A chunk of base + Σ factor·term into `row`, of a block of n neurons; terms with a factor come first.

    Two terms of which the second has no factor are added to the base one after the other; more are summed up first.
    """
    X, total = m.X, m.total
    number = X.dtype.type
    size = row.shape[0]
    if base >= 0:
        constant = X[base + at : base + at + size]
        for j in range(size):
            row[j] = constant[j]
    else:
        for j in range(size):
            row[j] = number(0)
    many = count > 2 or (count == 2 and factors[1, 0] != 1.0)
    for k in range(count):
        many = many or terms[k, T_WEIGHTS] == RUN
    for k in range(count):
        backward = terms[k, T_BACKWARD] == 1
        if terms[k, T_WEIGHTS] == RUN:
            weights = m.V if backward else m.W
            scale = factors[k, 1] if backward else factors[k, 0]
            _add_run(m, at, size, total, runs, terms[k, T_OFFSET], terms[k, T_INNER], weights, scale, k == 0)
            continue
        if many and k > 0 and n == 2 and terms[k, T_INNER] == 2 and terms[k, T_WEIGHTS] >= 0:
            scale = factors[k, 1] if backward else factors[k, 0]
            _add_square(m, terms[k, T_OFFSET] + at, size, total, terms[k, T_WEIGHTS], backward, scale)
            continue
        if terms[k, T_WEIGHTS] == NONE:
            x = X[terms[k, T_OFFSET] + at : terms[k, T_OFFSET] + at + size]
        else:
            _multiply(m, at, size, n, terms[k], factors[k, 1])
            x = m.term[:size]
        factor = number(factors[k, 0])
        if not many:
            for j in range(size):
                row[j] += factor * x[j]
        elif k == 0:
            for j in range(size):
                total[j] = x[j] * factor
        elif factor == number(1):
            for j in range(size):
                total[j] += x[j]
        else:
            for j in range(size):
                total[j] += x[j] * factor
    if many:
        for j in range(size):
            row[j] += total[j]


@compiled
def relax(x, row, step, eta, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """X ← (1−η)X + ηX* with X* in `row`, of which X*−X is left; the new X goes to `out`, too (paper, eq. 8 and 10).

    Parameters
    ----------
    step, eta
        η of all neurons, or, unless it is empty, of each number.
    """
    number = x.dtype.type
    one, zero, flush = number(1), number(0), number(FLUSH)
    if eta.shape[0] == 0:
        rest = one - step
        for j in range(x.shape[0]):
            old = x[j]
            new = rest * old + step * row[j]
            row[j] = row[j] - old
            new = zero if abs(new) < flush else new
            x[j] = new
            out[j] = new
        return
    for j in range(x.shape[0]):
        old = x[j]
        new = (one - eta[j]) * old + eta[j] * row[j]
        row[j] = row[j] - old
        new = zero if abs(new) < flush else new
        x[j] = new
        out[j] = new


@compiled
def largest(bits, size, before):  # type: ignore[no-untyped-def]  # pragma: no cover
    """The largest magnitude of `size` floats whose memory is `bits`, as its bits, and at least `before`."""
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
    """Copy numbers of an arena to another place of it."""
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
    """‖x‖ in float64."""
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
    """The level of one number in float64; `draw` in [0, 1) rounds at random, below 0 to the nearest."""
    place = (x - origin) / step if step > 0.0 else 0.0 * x
    place = np.rint(place) if draw < 0.0 else math.floor(place + draw)
    return origin + min(max(place, least), most) * step
