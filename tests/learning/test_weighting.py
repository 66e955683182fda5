"""Samples are learned from as often as their weights say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyadnet.learning.weighting import weighted

WEIGHTS = st.lists(st.floats(0, 1e6, width=32), min_size=1, max_size=40).filter(any)
SEEDS = st.integers(0, 2**32)


@given(WEIGHTS, SEEDS)
def test_each_comes_as_often_as_its_weight_says_up_to_one(weights: list[float], seed: int) -> None:
    found = np.bincount(weighted(np.array(weights), np.random.default_rng(seed)), minlength=len(weights))
    wanted = len(weights) * np.array(weights) / sum(weights)
    assert found.sum() == len(weights)
    assert (np.abs(found - wanted) < 1 + 1e-6).all()
    assert not found[np.array(weights) == 0].any()


@given(st.integers(1, 200), st.floats(1e-6, 1e6), SEEDS)
def test_equal_weights_give_every_sample_once_in_order(count: int, weight: float, seed: int) -> None:
    assert np.array_equal(weighted(np.full(count, weight), np.random.default_rng(seed)), np.arange(count))


def test_over_draws_a_sample_comes_in_proportion() -> None:
    weights = np.array([0.3, 0.0, 2.2, 1.0, 0.5])
    draws = [weighted(weights, np.random.default_rng(seed)) for seed in range(2000)]
    assert np.bincount(np.concatenate(draws)) / 2000 == pytest.approx(5 * weights / weights.sum(), abs=0.05)


def test_classes_that_take_turns_come_together_in_every_draw() -> None:
    weights = np.where(np.arange(60) % 2, 1.0, 9.0)
    counts = [np.count_nonzero(weighted(weights, np.random.default_rng(seed)) % 2) for seed in range(50)]
    assert 2 <= min(counts) <= max(counts) <= 12
