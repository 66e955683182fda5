"""Fused element-wise kernels, compiled by numba: the passes between two matrix products.

Everything that a firing block does to its neurons, apart from products, is one pass per row, in cache. ``fastmath`` is
off: sums keep their order and NaN keeps its meaning.

Magnitudes below `FLUSH` become exact zeros, so that no denormal number (a hundred times slower) ever reaches
a product.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.numerics.compilation import Apart
from dyadnet.numerics.compilation import compiled as cached

Array = NDArray[Any]

FLUSH = 1e-25
"""Differences and optimiser moments smaller than this are set to zero."""

compiled = partial(cached, _nrt=False)
"""Compile with the cache, without the interpreter's lock and without numba's memory manager: nothing here allocates."""


def apart(function: Callable[..., Any]) -> Apart:
    """Compile a function that is large, or called in many places, apart from its callers: see `Apart`."""
    return Apart(compiled(function))


@compiled
def momentum(weights, gradient, velocity, rate, keep, decay, l2):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Update 1-D arrays: v ← keep·v + g; θ ← θ − rate·(v + decay·θ); `velocity` may be the gradient itself (keep 0)."""
    number = weights.dtype.type
    zero = number(0)
    flush = number(FLUSH)
    rate_, keep_, decay_, l2_ = number(rate), number(keep), number(decay), number(l2)
    for i in range(weights.shape[0]):
        w = weights[i]
        g = gradient[i] + l2_ * w
        v = g if keep_ == zero else keep_ * velocity[i] + g
        v = zero if abs(v) < flush else v
        velocity[i] = v
        weights[i] = w - rate_ * (v + decay_ * w)


@compiled
def adam(  # type: ignore[no-untyped-def]  # pragma: no cover
    weights, gradient, first, second, rate, correction, beta1, beta2, epsilon, decay, l2
):
    """Update 1-D arrays by Adam; `rate` is corrected for the first moment, `decay` is multiplied by the rate."""
    number = weights.dtype.type
    zero, one = number(0), number(1)
    flush = number(FLUSH)
    rate_, decay_, l2_, epsilon_ = number(rate), number(decay), number(l2), number(epsilon)
    b1, b2, scale = number(beta1), number(beta2), number(1.0 / correction)
    for i in range(weights.shape[0]):
        w = weights[i]
        g = gradient[i] + l2_ * w
        m = b1 * first[i] + (one - b1) * g
        v = b2 * second[i] + (one - b2) * g * g
        m = zero if abs(m) < flush else m
        v = zero if v < flush else v
        first[i] = m
        second[i] = v
        w = w - decay_ * w - rate_ * m / (np.sqrt(v * scale) + epsilon_)
        weights[i] = zero if abs(w) < flush else w


@compiled
def square(x):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return Σx² of a 1-D array in float64; eight partial sums are added last."""
    a = b = c = d = e = f = g = h = 0.0
    whole = x.shape[0] // 8 * 8
    for j in range(0, whole, 8):
        a += float(x[j]) * float(x[j])
        b += float(x[j + 1]) * float(x[j + 1])
        c += float(x[j + 2]) * float(x[j + 2])
        d += float(x[j + 3]) * float(x[j + 3])
        e += float(x[j + 4]) * float(x[j + 4])
        f += float(x[j + 5]) * float(x[j + 5])
        g += float(x[j + 6]) * float(x[j + 6])
        h += float(x[j + 7]) * float(x[j + 7])
    total = ((a + b) + (c + d)) + ((e + f) + (g + h))
    for j in range(whole, x.shape[0]):
        total += float(x[j]) * float(x[j])
    return total


@compiled
def column_sums(x, rows, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Write the sums over the rows of an array of shape (rows, columns) to `out`, adding one row after the other."""
    columns = out.shape[0]
    for j in range(columns):
        out[j] = x[j]
    for row in range(1, rows):
        part = x[row * columns : (row + 1) * columns]
        for j in range(columns):
            out[j] += part[j]
