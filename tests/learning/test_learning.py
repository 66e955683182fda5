"""Optimisers and schedules."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyadnet.learning.optimisers import SGD, Adam, Momentum
from dyadnet.learning.schedules import ConstantSchedule, Cosine, Increments, Linear, Piece, Piecewise
from dyadnet.numerics.kernels import FLUSH

Array = np.ndarray[Any, Any]


def steps(optimiser: SGD | Momentum | Adam, weights: Array, gradients: list[Array], rate: float = 0.1) -> Array:
    """Weights after some updates."""
    weights = weights.copy()
    state = optimiser.start(weights)
    for count, gradient in enumerate(gradients, 1):
        optimiser.step(weights, gradient.copy(), state, rate, count, decay=True)
    return weights


DRAWS = np.random.default_rng(0)
WEIGHTS = DRAWS.normal(size=(3, 4))
GRADIENTS = [DRAWS.normal(size=(3, 4)) for _ in range(5)]


def test_sgd_is_the_textbook() -> None:
    expected = WEIGHTS.copy()
    for gradient in GRADIENTS:
        expected = expected - 0.1 * (gradient + 0.2 * expected + 0.3 * expected)
    found = steps(SGD(weight_decay=0.2, l2=0.3), WEIGHTS, GRADIENTS)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_momentum_is_the_textbook() -> None:
    expected, velocity = WEIGHTS.copy(), np.zeros_like(WEIGHTS)
    for gradient in GRADIENTS:
        velocity = 0.7 * velocity + gradient + 0.3 * expected
        expected = expected - 0.1 * (velocity + 0.2 * expected)
    found = steps(Momentum(momentum=0.7, weight_decay=0.2, l2=0.3), WEIGHTS, GRADIENTS)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_adam_is_the_textbook() -> None:
    expected, first, second = WEIGHTS.copy(), np.zeros_like(WEIGHTS), np.zeros_like(WEIGHTS)
    for count, gradient in enumerate(GRADIENTS, 1):
        g = gradient + 0.3 * expected
        first = 0.9 * first + 0.1 * g
        second = 0.999 * second + 0.001 * g * g
        fitted = (first / (1 - 0.9**count)) / (np.sqrt(second / (1 - 0.999**count)) + 1e-8)
        expected = expected - 0.1 * 0.2 * expected - 0.1 * fitted
    found = steps(Adam(weight_decay=0.2, l2=0.3), WEIGHTS, GRADIENTS)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("optimiser", [Momentum(), Adam(l2=1e-5)])
def test_no_state_becomes_denormal(optimiser: Momentum | Adam) -> None:
    """A pixel that was lit once and never again: its moments fade to exact zeros, not to denormals."""
    weights = np.full((1, 8), 1e-3, dtype=np.float32)
    state = optimiser.start(weights)
    for count in range(1, 30_000):
        gradient = np.full_like(weights, 1e-6 if count == 1 else 0.0)
        optimiser.step(weights, gradient, state, 1e-3, count, decay=True)
        if count % 500 == 0:
            for array in (*state.values(), weights):
                assert np.all((array == 0) | (np.abs(array) >= FLUSH))


def test_biases_do_not_decay() -> None:
    weights = np.ones(3)
    for optimiser in (SGD(weight_decay=0.5, l2=0.5), Adam(weight_decay=0.5, l2=0.5)):
        moved = weights.copy()
        optimiser.step(moved, np.zeros(3), optimiser.start(moved), 0.1, 1, decay=False)
        assert np.array_equal(moved, weights)


def test_schedules_go_where_they_say() -> None:
    assert ConstantSchedule(value=3.0).at(7.3, 10) == 3.0
    linear = Linear(start=0.5, end=0.0, begin=2, over=4)
    assert [linear.at(e, 10) for e in (0, 2, 4, 6, 9)] == [0.5, 0.5, 0.25, 0.0, 0.0]
    cosine = Cosine(start=1.0)
    assert cosine.at(0, 10) == 1.0
    assert cosine.at(5, 10) == pytest.approx(0.5)
    assert cosine.at(10, 10) == pytest.approx(0.0)
    growing = Increments(start=0.1, step=0.05, limit=0.3)
    assert [round(growing.at(e, 10), 9) for e in (0, 0.9, 1, 3.5, 9)] == [0.1, 0.1, 0.15, 0.25, 0.3]


def test_pieces_follow_each_other_as_runs_of_their_own() -> None:
    falling = Cosine(start=0.8, end=0.0)
    rising = Linear(start=0.5, end=1.0, over=2)
    pieces = [(4, falling), (3, rising), (2, ConstantSchedule(value=0.1))]
    found = Piecewise(pieces=[Piece(epochs=epochs, of=of) for epochs, of in pieces])
    assert [found.at(epoch, 9) for epoch in (0, 2, 3.5)] == [falling.at(epoch, 4) for epoch in (0, 2, 3.5)]
    assert [found.at(epoch, 9) for epoch in (4, 5, 6, 6.9, 7, 9, 20)] == [0.5, 0.75, 1.0, 1.0, 0.1, 0.1, 0.1]
    assert found.extremes(9) == (0.0, 1.0)
    assert found.extremes(4) == (0.0, 0.8)


@given(
    schedule=st.one_of(
        st.builds(Linear, start=st.floats(-5, 5), end=st.floats(-5, 5), begin=st.floats(0, 9)),
        st.builds(Cosine, start=st.floats(-5, 5), end=st.floats(-5, 5)),
        st.builds(Increments, start=st.floats(-5, 5), step=st.floats(-1, 1)),
    ),
    at=st.floats(0, 9.99),
)
def test_no_schedule_leaves_its_extremes(schedule: Linear | Cosine | Increments, at: float) -> None:
    low, high = schedule.extremes(10)
    assert low - 1e-9 <= schedule.at(at, 10) <= high + 1e-9
    assert math.isfinite(schedule.at(at, 10))
