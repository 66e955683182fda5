"""The passes over a block's neurons that only the reference makes, compiled as those of `dyadnet.numerics.kernels`.

Largest absolute values are taken over the bit patterns of the floats, whose order as integers is the order of their
magnitudes; NaN and infinity then come out above every finite number and are never lost.
"""

from __future__ import annotations

from dyadnet.numerics.kernels import FLUSH, compiled


@compiled
def relax(X, base, first, scale, second, eta, row, bits, magnitude):  # type: ignore[no-untyped-def]  # pragma: no cover
    """X ← (1−η)X + ηX* with X* = base + scale·first + second, for X = A or D (paper eq. 8, 10).

    Parameters
    ----------
    X : (batch, n)
    base, first, second : (batch, n), or of shape (0, 0) for a term that is not there
    eta : (n,) the step of each neuron, 0 where it does not fire
    row, bits : (n,) scratch, and the same memory as integers
    magnitude
        The integer of that width whose bits are all set but the sign's.

    Returns
    -------
    tuple of float
        The largest |X*−X| before and the largest |X| after the update; not finite if any entry was not.
    """
    one = X.dtype.type(1)
    zero = X.dtype.type(0)
    factor = X.dtype.type(scale)
    flush = X.dtype.type(FLUSH)
    rows, columns = X.shape
    residual = magnitude & 0
    size = magnitude & 0
    for i in range(rows):
        if base.shape[0] > 0:
            for j in range(columns):
                row[j] = base[i, j]
        else:
            for j in range(columns):
                row[j] = zero
        if first.shape[0] > 0:
            for j in range(columns):
                row[j] += factor * first[i, j]
        if second.shape[0] > 0:
            for j in range(columns):
                row[j] += second[i, j]
        for j in range(columns):
            x = X[i, j]
            new = (one - eta[j]) * x + eta[j] * row[j]
            row[j] = row[j] - x
            X[i, j] = zero if abs(new) < flush else new
        for j in range(columns):
            residual = max(residual, bits[j] & magnitude)
        for j in range(columns):
            row[j] = X[i, j]
        for j in range(columns):
            size = max(size, bits[j] & magnitude)
    bits[0] = residual
    largest_residual = row[0]
    bits[0] = size
    return largest_residual, row[0]


@compiled
def changes(new, old):  # type: ignore[no-untyped-def]  # pragma: no cover
    """How many entries of two (batch, n) arrays differ."""
    count = 0
    rows, columns = new.shape
    for i in range(rows):
        for j in range(columns):
            count += new[i, j] != old[i, j]
    return count
