"""Lipschitz constants: the paper's bound, brute force, and the trained models' order."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dyadnet.analysis import lipschitz
from dyadnet.analysis.assembled import Assembled, assemble
from dyadnet.analysis.trained import Trained, ideal
from dyadnet.network.description import Network, Population, Projection, layered
from dyadnet.training.evaluation import load
from tests.analysis.support import settler

ROUNDING = 1 + 1e-9
Array = np.ndarray[Any, Any]


def whole(W: Array, outputs: int = 1) -> Assembled:
    """A network of given weights whose last neurons are the output, and all of which read an input of their own."""
    size = len(W)
    return Assembled(W, np.eye(size), slice(size - outputs, size), {"all": slice(0, size)})


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_skew_symmetric_network_never_exceeds_1_whatever_its_weights(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 12))
    theta = data.draw(arrays(np.float64, (size, size), elements=st.floats(-1e4, 1e4, width=32)))
    network = whole(theta - theta.T)
    assert lipschitz.linear(network).hidden <= ROUNDING
    slopes = data.draw(arrays(np.float64, (2, size), elements=st.floats(0.01, 1.0) | st.just(0.0)))
    assert all(constants.hidden <= ROUNDING for constants in lipschitz.local(network, slopes))


@settings(max_examples=25, deadline=None)
@given(
    hidden=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    blocks=st.sampled_from([1, 2]),
    gain=st.floats(0.1, 100.0),
    seed=st.integers(0, 1000),
)
def test_nor_does_one_that_is_built_from_a_description(hidden: list[int], blocks: int, gain: float, seed: int) -> None:
    network = layered(3, hidden, 2, lam=0.0, gain=gain).with_blocks(min(blocks, *hidden))
    trained = settler(network, seed)
    assert lipschitz.linear(assemble(trained.engine.blocks)).hidden <= ROUNDING
    trained.close()


@pytest.mark.parametrize("lam", [0.0, 0.3, 0.5, 0.9, 1.0])
def test_linear_constants_are_those_of_the_settled_linear_network(lam: float) -> None:
    """Brute force: the equilibrium's response to each input, and to each hidden neuron's drive."""
    network = layered(4, [6, 5], 3, lam=lam, activation="linear", gain=0.4).with_blocks(2)
    trained = settler(network)
    found = lipschitz.linear(assemble(trained.engine.blocks))
    labels = np.zeros(4, dtype=np.int64)
    rest = trained.settle(np.zeros((1, 4)), labels[:1]).outputs
    by_input = trained.settle(np.eye(4), labels).outputs - rest
    assert found.output == pytest.approx(np.linalg.norm(by_input, 2), rel=1e-9)
    hidden = [block for block in trained.engine.blocks.values() if not block.is_output]
    columns = []
    for block in hidden:
        for neuron in range(block.spec.size):
            block.bias[neuron] += 1.0
            trained.settle(np.zeros((1, 4)), labels[:1])
            columns.append(np.concatenate([trained.engine.lanes(b.name)[0].state[0, 0] for b in hidden]))
            block.bias[neuron] -= 1.0
    assert found.hidden == pytest.approx(np.linalg.norm(columns, 2), rel=1e-9)
    trained.close()


@pytest.mark.parametrize("activation", ["tanh", "tempered-hard-sigmoid", "leaky-relu"])
@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
def test_local_constants_are_those_of_small_changes_at_the_equilibrium(lam: float, activation: str) -> None:
    network = layered(4, [6, 5], 3, lam=lam, activation=activation, gain=0.6, bias=0.3)
    trained = settler(network)
    draws = np.random.default_rng(0)
    x, y = draws.uniform(0, 1, (1, 4)), np.zeros(1, dtype=np.int64)
    (found,) = lipschitz.local(assemble(trained.engine.blocks), trained.settle(x, y).slopes)
    steps = 1e-6 * np.eye(4)
    up, down = (trained.settle(x + sign * steps, np.repeat(y, 4)).outputs for sign in (1, -1))
    assert found.output == pytest.approx(np.linalg.norm((up - down) / 2e-6, 2), rel=1e-6)
    trained.close()


def test_a_self_loop_and_a_cycle_are_assembled_as_they_act() -> None:
    network = Network(
        3,
        (Population("a", 4, "linear"), Population("b", 3, "linear"), Population("o", 2, "linear")),
        (
            Projection("input", "a"),
            Projection("a", "a", 0.7, 0.2),
            Projection("a", "b", 0.0, 0.3),
            Projection("b", "a", 0.5, 0.3),
            Projection("b", "o", 1.0, 0.3),
        ),
    )
    trained = settler(network)
    labels = np.zeros(3, dtype=np.int64)
    response = trained.settle(np.eye(3), labels).outputs
    found = lipschitz.linear(assemble(trained.engine.blocks))
    assert found.output == pytest.approx(np.linalg.norm(response, 2), rel=1e-9)
    trained.close()


def test_a_response_without_bound_is_infinite() -> None:
    found = lipschitz.linear(whole(np.array([[0.0, 1.0], [1.0, 0.0]])))
    assert found == lipschitz.Constants(float("inf"), float("inf"))
    assert lipschitz.singular_values(whole(np.array([[0.0, 1.0], [1.0, 0.0]]))).size == 0


def test_the_trained_models_are_in_the_papers_order(runs: Mapping[str, Path]) -> None:
    found = {}
    for model, run in runs.items():
        saved = load(run)
        trained = Trained(ideal(saved.config, saved.couplings), saved.parameters)
        found[model] = lipschitz.linear(assemble(trained.engine.blocks))
        trained.close()
    assert found["sshm"].hidden <= ROUNDING
    assert ROUNDING < 2 * found["sshm"].hidden < found["ffm"].hidden < found["hm"].hidden
    assert found["sshm"].output < found["hm"].output < found["ffm"].output
