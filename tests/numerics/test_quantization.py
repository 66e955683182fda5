"""Levels: how many there are, which is nearest, and what random rounding does on average."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyadnet.numerics.quantization import quantised

BITS = st.integers(1, 10)


@pytest.mark.parametrize(
    ("bits", "limits", "levels"),
    [
        (1, (-2.0, 2.0), [-2, 2]),
        (2, (-2.0, 2.0), [-2, 0, 2]),
        (3, (-3.0, 3.0), [-3, -2, -1, 0, 1, 2, 3]),
        (1, (0.0, 1.0), [0, 1]),
        (2, (0.0, 1.5), [0, 0.5, 1, 1.5]),
    ],
)
def test_levels(bits: int, limits: tuple[float, float], levels: list[float]) -> None:
    x = np.linspace(-5, 5, 10_001)
    found = quantised(x, bits, limits)
    assert np.unique(found) == pytest.approx(levels)
    nearest = np.asarray(levels)[np.abs(np.clip(x, *limits)[:, None] - levels).argmin(axis=1)]
    gap = np.abs(np.abs(found - x) - np.abs(nearest - x))
    assert gap.max() < 1e-12


@given(bits=BITS, seed=st.integers(0, 100), symmetric=st.booleans(), double=st.booleans())
def test_what_is_on_a_level_stays_there_to_the_bit(bits: int, seed: int, symmetric: bool, double: bool) -> None:
    limits = (-0.7, 0.7) if symmetric else (-0.3, 1.1)
    x = np.random.default_rng(seed).normal(0, 1, (5, 40)).astype(np.float64 if double else np.float32)
    once = quantised(x, bits, limits)
    assert once.dtype == x.dtype
    assert np.array_equal(quantised(once, bits, limits), once)


@pytest.mark.parametrize("x", [-0.93, -0.2, 0.0, 0.41, 0.99])
@pytest.mark.parametrize("limits", [(-1.0, 1.0), (-1.0, 1.5)])
def test_random_rounding_has_the_right_mean_and_variance(x: float, limits: tuple[float, float]) -> None:
    draws = np.random.default_rng(1).random(40_000)
    found = quantised(np.full(40_000, x), 3, limits, draws)
    step = 1 / 3 if limits[0] == -limits[1] else 2.5 / 7
    part = ((x - (0.0 if limits[0] == -limits[1] else -1.0)) / step) % 1
    assert found.mean() == pytest.approx(x, abs=0.004)
    assert found.var() == pytest.approx(part * (1 - part) * step**2, abs=0.001)


def test_a_range_of_its_own_is_each_rows_and_gaps_stay_gaps() -> None:
    x = np.array([[0.1, -0.4, np.nan], [3.0, 1.0, 2.0], [0.0, 0.0, 0.0], [np.nan] * 3])
    found = quantised(x, 2, None)
    assert np.array_equal(np.isnan(found), np.isnan(x))
    assert np.array_equal(found[:3], np.array([[0, -0.4, np.nan], [3, 0, 3], [0, 0, 0]]), equal_nan=True)
