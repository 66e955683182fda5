"""Sums are the same on every version of Python."""

from __future__ import annotations

import functools
import operator

import numpy as np
import pytest

from dyadnet.dynamics.spectral_radius import factor, radius
from dyadnet.numerics.sums import added


@pytest.mark.parametrize("numbers", [[], [1.0], [1e16, 1.0, -1e16], np.random.default_rng(0).normal(size=100).tolist()])
def test_numbers_are_added_from_left_to_right(numbers: list[float]) -> None:
    assert added(iter(numbers)) == functools.reduce(operator.add, numbers, 0.0)


def test_rho_does_not_depend_on_the_version_of_python() -> None:
    # From left to right this is 1. From 3.12 on, the built-in sum says 1 + 4e-14.
    squares = [1.0] + 400 * [1e-16]
    assert radius(squares) == factor(squares) == 1.0
