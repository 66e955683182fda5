"""The Hebbian contrast is the gradient of the settled loss: for every λ, graph, loss, clock and delay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dyadnet.engines.local import LocalEngine
from dyadnet.network.description import Network, layered
from tests.support import Settler, cyclic, data, engine

BETA = 1e-4
BERNOULLI: dict[str, Any] = {
    "clock": {"kind": "bernoulli", "p": 0.5},
    "delay": {"kind": "uniform", "low": 1, "high": 3},
}
BY_NEURON: dict[str, Any] = {
    "clock": {"kind": "bernoulli", "p": 0.5, "unit": "neuron"},
    "delay": {"kind": "geometric", "p": 0.5, "maximum": 4, "draw": "neuron"},
}


PROSPECTIVE: dict[str, Any] = {"clock": "every-tick", "delay": 3, "prospective": "auto"}


def relative_error(network: Network, entries: int = 2, **dynamics: Any) -> float:
    """Of the contrast at β = 1e-4 against central finite differences of the settled loss."""
    settler = Settler(engine(network, **dynamics))
    draws = np.random.default_rng(3)
    for block in settler.engine.blocks.values():
        block.bias += 0.2 + 0.1 * draws.normal(size=block.bias.shape)
    assert settler.nudged(BETA).capped == 0
    contrast = settler.gradients(BETA)
    found, expected = [], []
    for (name, key), gradient in contrast.items():
        weights = settler.engine.blocks[name].parameters()[key]
        for _ in range(entries):
            entry = tuple(draws.integers(0, size) for size in weights.shape)
            losses = []
            kept = weights[entry]
            for change in (1e-5, -1e-5):
                weights[entry] = kept + change
                settler.engine.blocks[name].refresh()
                losses.append(settler.loss())
            weights[entry] = kept
            settler.engine.blocks[name].refresh()
            expected.append((losses[0] - losses[1]) / 2e-5)
            found.append(gradient[entry])
    settler.engine.close()
    return float(np.linalg.norm(np.subtract(found, expected)) / np.linalg.norm(expected))


@pytest.mark.parametrize("loss", ["squared-error", "cross-entropy"])
@pytest.mark.parametrize("lam", [0.0, 0.25, 0.5, 0.8, 1.0])
def test_contrast_is_the_gradient_for_every_lambda(lam: float, loss: str) -> None:
    network = layered(6, [7, 5], 4, lam=lam, activation="tanh", loss=loss, gain=0.5)
    assert relative_error(network) < 1e-6


@pytest.mark.parametrize("hidden", [[5], [5, 4, 5], [5, 4, 5, 4]])
@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
def test_contrast_is_the_gradient_for_every_depth(hidden: list[int], lam: float) -> None:
    assert relative_error(layered(5, hidden, 3, lam=lam, activation="logistic", gain=0.8)) < 1e-6


@pytest.mark.parametrize("activation", ["tempered-hard-sigmoid", "hard-sigmoid", "leaky-relu", "linear"])
def test_contrast_is_the_gradient_on_each_linear_piece(activation: str) -> None:
    assert relative_error(layered(5, [6, 5], 3, lam=0.0, activation=activation, gain=0.6)) < 1e-6


def test_contrast_is_the_gradient_with_a_lambda_for_each_projection() -> None:
    network = layered(5, [6, 5, 4, 4], 3, lam=[0.0, 1.0, 0.25, 0.5], activation="tanh", loss="cross-entropy", gain=0.5)
    assert relative_error(network) < 1e-6


@pytest.mark.parametrize("loss", ["squared-error", "cross-entropy"])
def test_contrast_is_the_gradient_on_a_graph_with_a_cycle_and_a_self_loop(loss: str) -> None:
    assert relative_error(cyclic(loss)) < 1e-6


@pytest.mark.parametrize("dynamics", [BERNOULLI, BY_NEURON], ids=["blocks", "neurons"])
@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
def test_contrast_is_the_gradient_on_bernoulli_clocks_with_random_delays(dynamics: Any, lam: float) -> None:
    network = layered(5, [5, 4], 3, lam=lam, activation="tanh", gain=0.5)
    assert relative_error(network, entries=1, **dynamics) < 1e-6


@pytest.mark.parametrize("loss", ["squared-error", "cross-entropy"])
@pytest.mark.parametrize("lam", [0.0, 0.25, 0.5, 0.8, 1.0])
def test_prospective_networks_settle_where_plain_ones_do_for_every_lambda(lam: float, loss: str) -> None:
    network = layered(6, [7, 5], 4, lam=lam, activation="tanh", loss=loss, gain=0.5)
    assert relative_error(network, entries=1, **PROSPECTIVE) < 1e-6


@pytest.mark.parametrize("span", ["auto", 4])
def test_prospective_contrast_is_the_gradient_on_a_graph_with_a_cycle_and_a_self_loop(span: Any) -> None:
    assert relative_error(cyclic(), entries=1, **PROSPECTIVE, prospective_span=span) < 1e-6


@pytest.mark.parametrize("dynamics", [BERNOULLI, BY_NEURON], ids=["blocks", "neurons"])
@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
def test_prospective_contrast_is_the_gradient_on_random_clocks_and_delays(dynamics: Any, lam: float) -> None:
    network = layered(5, [5, 4], 3, lam=lam, activation="tanh", gain=0.5)
    assert relative_error(network, entries=1, **dynamics, prospective="auto") < 1e-6
    assert relative_error(network, entries=1, **dynamics, prospective=0.3, prospective_span=2) < 1e-6


def test_contrast_is_the_gradient_on_a_cyclic_graph_with_random_clocks_and_delays() -> None:
    assert relative_error(cyclic(), entries=1, **BERNOULLI) < 1e-6


def test_blocks_and_lanes_leave_the_gradient_what_it_is() -> None:
    network = layered(5, [6, 5], 3, lam=0.0, activation="tanh", gain=0.6)
    assert relative_error(network.with_blocks(2), lanes=2) < 1e-6


SPREADS: dict[str, Any] = {"device": {"time_constants": 0.3, "gain": 0.3, "threshold": 0.2}}
LOSSES: dict[str, Any] = {"channel": {"loss": 0.2, "duplication": 0.2}}


@pytest.mark.parametrize("imperfections", [SPREADS, LOSSES], ids=["spreads", "losses"])
@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
def test_contrast_is_the_gradient_of_neurons_that_differ_and_of_channels_that_lose(
    lam: float, imperfections: Any
) -> None:
    """Neither a spread of f and η nor lost messages move the network off the gradient of its own settled loss."""
    network = layered(5, [5, 4], 3, lam=lam, activation="tanh", gain=0.5)
    assert relative_error(network, entries=1, imperfections=imperfections, delay=2) < 1e-6
    assert relative_error(network, entries=1, imperfections=imperfections, **PROSPECTIVE) < 1e-6


def test_feedforward_contrast_is_back_propagation() -> None:
    network = layered(6, [7, 5], 4, lam=0.5, activation="tanh", gain=0.9)
    settler = Settler(engine(network))
    settler.nudged(1e-6)
    found = settler.gradients(1e-6)
    blocks = settler.engine.blocks
    dataset = data(network)
    x, y = dataset.train.images, np.eye(4)[dataset.train.labels]
    activity, names = [x], ["h1", "h2", "out"]
    for name in names:
        weights = next(w for key, w in blocks[name].parameters().items() if key != "bias")
        activity.append(np.tanh(activity[-1] @ weights.T + blocks[name].bias))
    error = (activity[-1] - y) / len(x)
    for depth in (2, 1, 0):
        name = names[depth]
        error = error * (1 - activity[depth + 1] ** 2)
        key, weights = next((k, w) for k, w in blocks[name].parameters().items() if k != "bias")
        np.testing.assert_allclose(found[name, key], error.T @ activity[depth], rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(found[name, "bias"], error.sum(axis=0), rtol=1e-7, atol=1e-9)
        error = error @ weights
    settler.engine.close()


def test_input_gradient_is_the_difference_of_the_first_layer_fed_back() -> None:
    network = layered(6, [7, 5], 4, lam=0.0, activation="tanh", gain=0.7)
    settler = Settler(engine(network))
    settler.nudged(BETA)
    first = settler.engine.lanes("h1")[0]
    weights = settler.engine.blocks["h1"].input_weights
    assert weights is not None
    found = -(first.state[1] @ weights) / BETA
    assert isinstance(settler.engine, LocalEngine)
    assert settler.engine.group.dataset is not None
    images = settler.engine.group.dataset.train.images
    for entry in ((0, 0), (2, 3), (4, 5)):
        losses = []
        for change in (1e-5, -1e-5):
            images[entry] += change
            losses.append(settler.loss() * settler.samples)
            images[entry] -= change
        assert found[entry] == pytest.approx((losses[0] - losses[1]) / 2e-5, rel=1e-5)
    settler.engine.close()
