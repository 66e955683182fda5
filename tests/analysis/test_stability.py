"""The spectrum at the equilibrium says what the dynamics do."""

from __future__ import annotations

import numpy as np
import pytest

from dyadnet.analysis.assembled import assemble
from dyadnet.analysis.stability import modes, stability
from dyadnet.network.description import layered
from tests.analysis.support import settler


@pytest.mark.parametrize("lam", [0.0, 0.3, 0.5, 0.8, 1.0])
def test_saturated_neurons_add_only_modes_of_0(lam: float) -> None:
    trained = settler(layered(5, [8, 7], 3, lam=lam, gain=1.2, bias=0.3))
    network = assemble(trained.engine.blocks)
    slopes = trained.settle(np.random.default_rng(0).uniform(0, 2, (6, 5)), np.zeros(6, dtype=np.int64)).slopes
    assert 0 < np.count_nonzero(slopes == 0) < slopes.size
    for slope in slopes:
        expected = np.linalg.eigvals(slope[:, np.newaxis] * network.W)
        found = modes(network, slope)
        assert np.abs(found).max() == pytest.approx(np.abs(expected).max(), rel=1e-6, abs=1e-3)
        assert found.real.max() == pytest.approx(expected.real.max(), rel=1e-6, abs=1e-3)
    trained.close()


def test_modes_turn_under_negative_feedback_are_real_under_positive_and_vanish_without() -> None:
    for lam, turning, steady in ((0.0, True, False), (0.5, False, False), (1.0, False, True)):
        trained = settler(layered(5, [8, 7], 3, lam=lam, gain=0.8, bias=0.3))
        slopes = trained.settle(np.full((1, 5), 0.5), np.zeros(1, dtype=np.int64)).slopes
        e = modes(assemble(trained.engine.blocks), slopes[0])
        assert bool(np.abs(e.imag).max() > 0.1) == turning
        assert bool(np.abs(e.real).max() > 0.1) == steady
        trained.close()


def test_steps_shrink_with_the_delay_where_modes_turn_and_not_where_they_are_real_and_small() -> None:
    turning = stability(np.array([2j, -2j, 0.5j]), (1, 2, 5, 10))
    assert turning.radius == 2.0
    assert turning.rightmost == 0.0
    assert list(turning.steps) == sorted(turning.steps, reverse=True)
    assert turning.steps[0] == pytest.approx(0.4, rel=1e-6)  # |1 − η + iηρ| < 1 up to η = 2/(1 + ρ²)
    assert stability(np.array([0.9, -0.9]), (1, 5)).steps == (1.0, 1.0)
    assert stability(np.array([1.1, -0.9]), (1, 5)).steps == (0.0, 0.0)
