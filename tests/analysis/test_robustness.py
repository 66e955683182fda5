"""Local input gradients are gradients, and the attacks keep to their rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from dyadnet.analysis import robustness
from dyadnet.analysis.trained import Array, Trained, ideal, input_range, inputs_of
from dyadnet.network.description import layered
from dyadnet.training.evaluation import load
from tests.analysis.support import settler

BOUNDS = (0.0, 1.0)


@pytest.mark.parametrize("loss", ["squared-error", "cross-entropy"])
@pytest.mark.parametrize("lam", [0.0, 0.3, 0.5, 1.0])
def test_local_input_gradients_agree_with_finite_differences_of_the_settled_loss(lam: float, loss: str) -> None:
    trained = settler(layered(6, [7, 5], 4, lam=lam, activation="tanh", loss=loss, gain=0.6).with_blocks(2))
    draws = np.random.default_rng(2)
    x, y = draws.uniform(0, 1, (3, 6)), draws.integers(0, 4, 3)
    found = trained.input_gradient(x, y, 1e-4)
    expected = np.empty_like(x)
    for feature in range(6):
        step = np.zeros(6)
        step[feature] = 1e-5
        expected[:, feature] = (trained.settle(x + step, y).losses - trained.settle(x - step, y).losses) / 2e-5
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
    trained.close()


@pytest.fixture(scope="module")
def digits(runs: Mapping[str, Path]) -> Iterator[tuple[Trained, Array, robustness.Targets]]:
    saved = load(runs["sshm"])
    trained = Trained(ideal(saved.config, saved.couplings), saved.parameters)
    assert input_range(saved.dataset) == BOUNDS
    yield trained, *inputs_of(saved.dataset, "test", np.arange(60))
    trained.close()


def test_attacks_stay_within_epsilon_and_the_datas_range_and_raise_the_loss(
    digits: tuple[Trained, Array, robustness.Targets],
) -> None:
    trained, x, y = digits
    clean = trained.settle(x, y).losses
    one = robustness.fgsm(trained, x, y, 0.1, BOUNDS)
    many = robustness.pgd(trained, x, y, 0.1, BOUNDS, steps=8)
    for attacked in (one, many):
        assert np.abs(attacked - x).max() <= 0.1 + 1e-12
        assert BOUNDS[0] <= attacked.min()
        assert attacked.max() <= BOUNDS[1]
    losses = [trained.settle(attacked, y).losses.mean() for attacked in (one, many)]
    assert clean.mean() < losses[0] <= losses[1] * 1.02


def test_accuracy_falls_with_epsilon_and_with_sigma(
    digits: tuple[Trained, Array, robustness.Targets],
) -> None:
    trained, x, y = digits
    told = []
    rows = robustness.adversarial(trained, x, y, (0.0, 0.05, 0.2), BOUNDS, 5, lambda: told.append(1))
    clean = robustness.score(trained, x, y)
    assert rows[0] == {"epsilon": 0.0, "fgsm": clean, "pgd": clean}
    assert rows[0]["pgd"] > rows[1]["pgd"] > rows[2]["pgd"]
    noise = robustness.noisy(trained, x, y, (0.0, 0.5), 2, lambda: told.append(1))
    assert noise[0]["accuracy"] == pytest.approx(clean)
    assert noise[1]["accuracy"] < clean
    assert noise == robustness.noisy(trained, x, y, (0.0, 0.5), 2, lambda: told.append(1))
    assert len(told) == 7


def test_a_sample_whose_outputs_are_saturated_is_masked() -> None:
    trained = settler(layered(3, [4], 2, lam=0.5, gain=0.5, bias=0.3))
    x, y = np.full((2, 3), 0.5), np.array([0, 1])
    assert robustness.masked(trained, x, y) == 0
    trained.engine.blocks["out"].bias[...] = (10.0, -10.0)
    assert robustness.masked(trained, x, y) == 1
    trained.close()
