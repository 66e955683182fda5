"""A drive as a sum of terms, in the form in which the kernel adds it up."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
Term = tuple[Array, float]
"""An array that goes into a drive, and its factor."""


def reduced(terms: list[Term], none: Array) -> tuple[Array, float, Array]:
    """Terms as (first, scale, second), which stand for scale·first + second; `none` where there is no term.

    One or two terms are left to the kernel, of which only one may have a factor; more are added up here, those with a
    factor first.
    """
    terms = sorted(terms, key=lambda term: term[1] == 1.0)
    if len(terms) > 2 or (len(terms) == 2 and terms[1][1] != 1.0):
        first = terms[0][0] * terms[0][0].dtype.type(terms[0][1])
        for array, factor in terms[1:]:
            first += array if factor == 1.0 else array * array.dtype.type(factor)
        return first, 1.0, none
    first, scale = terms[0] if terms else (none, 1.0)
    return first, scale, terms[1][0] if len(terms) == 2 else none
