"""Compiled passes over the neurons of a firing block, between two matrix products.

Everything works on flat arrays of one block's (rows × neurons) numbers. ``fastmath`` is off: sums keep their order and
NaN keeps its meaning. Largest absolute values are computed from the bit patterns of the floats, because an integer
maximum vectorises. As integers these patterns have the order of the magnitudes. NaN and infinity exceed every finite
number, so they are never lost.
"""

from __future__ import annotations

import numpy as np

from dyadnet.numerics.blas import tiny
from dyadnet.numerics.elementwise import scaled
from dyadnet.numerics.kernels import FLUSH, apart, compiled
from dyadnet.program.tables import NONE, RUN, T_BACKWARD, T_INNER, T_OFFSET, T_WEIGHTS

CHUNK = 1024
"""Number of values that go through all passes together, in cache."""


@compiled
def _multiply(m, at, size, n, term, kappa):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Compute numbers `at` to ``at + size`` of a fused product of a block of n neurons, into `m.term`."""
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
        Array of the parameters: forward or backward ones.
    scale
        Factor of each product, such as κ.
    start
        Whether the first product replaces the content of `total`.
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
    """Add the product of two by two synapses: the same as `tiny`, without its overhead."""
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


@apart
def drive(m, base, at, row, n, terms, runs, factors, count):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Compute a chunk of base + Σ factor·term into `row`, for a block of n neurons; terms with a factor come first.

    Two terms are added to the base one after the other if the second has no factor; in other cases with more than one
    term the terms are summed first.
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
    """Set X ← (1−η)X + ηX* in place and in `out`, with X* in `row`; leave X*−X in `row` (paper, eq. 8 and 10).

    Parameters
    ----------
    step, eta
        η of all neurons; if `eta` is not empty, it gives η of each number instead.
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
