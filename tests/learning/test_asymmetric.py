"""Asymmetric chains: what their contrast follows, and that a tied one is the symmetric or the skew-symmetric model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import dyadnet as dn
from dyadnet.analysis.assembled import assemble
from dyadnet.dynamics.request import Phase
from dyadnet.engines.local import LocalEngine
from dyadnet.network.description import Network, layered
from tests.learning.test_gradients import BERNOULLI, BETA, BY_NEURON, PROSPECTIVE, relative_error
from tests.reference.engine import ReferenceEngine
from tests.support import Settler, data, engine

CHAIN: dict[str, Any] = {"activation": "tanh", "gain": 0.6}
TIED = [("h1", "h2"), ("h2", "out")]


def chain(**options: Any) -> Network:
    return layered(6, [7, 5], 4, lam="asymmetric", **(CHAIN | options))


@pytest.mark.parametrize("loss", ["squared-error", "cross-entropy"])
@pytest.mark.parametrize("feedback_gain", [0.0, 0.3, 0.9])
def test_contrast_is_the_gradient_whatever_the_feedback(feedback_gain: float, loss: str) -> None:
    assert relative_error(chain(loss=loss, feedback_gain=feedback_gain)) < 1e-6


@pytest.mark.parametrize("hidden", [[5], [5, 4, 5, 4]])
def test_contrast_is_the_gradient_at_every_depth(hidden: list[int]) -> None:
    assert relative_error(layered(5, hidden, 3, lam="asymmetric", activation="logistic", gain=0.8)) < 1e-6


@pytest.mark.parametrize("activation", ["tempered-hard-sigmoid", "leaky-relu"])
def test_contrast_is_the_gradient_on_each_linear_piece(activation: str) -> None:
    assert relative_error(chain(activation=activation)) < 1e-6


@pytest.mark.parametrize("dynamics", [BERNOULLI, BY_NEURON, PROSPECTIVE, {"delay": 3}, {"clock": "every-tick"}])
def test_contrast_is_the_gradient_on_every_clock(dynamics: dict[str, Any]) -> None:
    assert relative_error(chain(), entries=1, **dynamics) < 1e-6


def test_blocks_and_lanes_leave_the_gradient_what_it_is() -> None:
    assert relative_error(chain().with_blocks(2), lanes=2) < 1e-6


def tie(two_way: LocalEngine | ReferenceEngine, one_way: LocalEngine | ReferenceEngine, kappa: float) -> None:
    """The weights of another engine forward, and κ times their transposes back."""
    forward = {name: block.parameters() for name, block in one_way.blocks.items()}
    for name, block in two_way.blocks.items():
        for key, weights in block.parameters().items():
            weights[...] = forward[name][key] if key in forward[name] else kappa * forward[key][name].T
        block.refresh()


@pytest.mark.parametrize(("lam", "kappa"), [(1.0, 1.0), (0.0, -1.0)])
@pytest.mark.parametrize("beta", [1e-4, 0.3])
def test_tied_feedback_is_the_symmetric_and_the_skew_symmetric_model(lam: float, kappa: float, beta: float) -> None:
    """Same equilibrium at any β; the tied model's gradient is that of θ plus κ times that of its feedback's."""
    tied, free = (Settler(engine(network)) for network in (layered(6, [7, 5], 4, lam=lam, **CHAIN), chain()))
    tie(free.engine, tied.engine, kappa)
    for settler in (tied, free):
        settler.step = min(tied.step, free.step)
        assert settler.nudged(beta).capped == 0
    for name in tied.engine.blocks:
        (one,), (other,) = tied.engine.lanes(name), free.engine.lanes(name)
        np.testing.assert_allclose(other.A, one.A, rtol=0, atol=1e-11)
        np.testing.assert_allclose(other.D, one.D, rtol=0, atol=1e-11 * beta)
    expected, found = tied.gradients(beta), free.gradients(beta)
    for (name, key), gradient in expected.items():
        back = kappa * found[key, name].T if (key, name) in found else 0.0
        np.testing.assert_allclose(found[name, key] + back, gradient, rtol=1e-6, atol=1e-8)
    tied.engine.close()
    free.engine.close()


def test_a_tie_is_not_kept_by_learning() -> None:
    """Feedback has a gradient of its own, which is not the transpose of the forward one."""
    free, tied = Settler(engine(chain())), engine(layered(6, [7, 5], 4, lam=1.0, **CHAIN))
    tie(free.engine, tied, 1.0)
    free.nudged(BETA)
    found = free.gradients(BETA)
    assert all(not np.allclose(found[low, high], found[high, low].T, atol=1e-3) for low, high in TIED)
    free.engine.close()
    tied.close()


def linear_response(settler: Settler, adjoint: bool) -> NDArray[np.float64]:
    """∂ℓ/∂W by linear response at the free equilibrium: through Wᵀ, the exact one, or W, as in vector-field EP."""
    built = settler.engine
    settler.run(Phase("free", 0.0, 5000))
    network = built.config.network
    W = assemble(built.blocks).W
    m = np.concatenate([built.lanes(name)[0].state[0] for name in built.blocks], axis=1)
    targets = np.eye(network.classes)[data(network).train.labels]
    error = np.zeros_like(m)
    error[:, -network.classes :] = m[:, -network.classes :] - targets
    total = np.zeros_like(W)
    for state, force in zip(m, error, strict=True):
        F = np.diag(1.0 - state**2)
        delta = np.linalg.solve(np.eye(len(W)) - F @ (W.T if adjoint else W), F @ force)
        total += np.outer(delta, state) / len(m)
    return total


def cosine(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(np.vdot(one, other) / np.linalg.norm(one) / np.linalg.norm(other))


def test_differences_go_by_the_transpose_where_vector_field_equilibrium_propagation_takes_w_itself() -> None:
    """Only with tied feedback are the two the same; here the dyads' contrast is exact and the other is not."""
    settler = Settler(engine(chain()))
    exact, other = (linear_response(settler, adjoint) for adjoint in (True, False))
    settler.nudged(BETA)
    found = settler.gradients(BETA)
    low, high = slice(0, 7), slice(7, 12)
    for block, (name, key) in (((high, low), ("h2", "h1")), ((low, high), ("h1", "h2"))):
        assert cosine(found[name, key], exact[block]) > 1 - 1e-9
        assert cosine(found[name, key], other[block]) < 0.9
    settler.engine.close()


def test_it_learns_the_digits(tmp_path: Any) -> None:
    config = dn.RunConfig.read(
        {
            "network": {"layered": {"hidden": [40], "lam": "asymmetric", "gain": 0.35, "input_gain": 1.4, "bias": 0.3}},
            "learning": {"epochs": 6, "minibatch": 32, "learning_rate": 5e-3},
            "engine": "local",
        }
    )
    run = dn.train(config, tmp_path / "run", report=False)
    assert run.test_accuracy > 0.9
    back = run.weights["out->h1"]
    assert np.linalg.norm(back - run.weights["h1->out"].T) > 0.1 * np.linalg.norm(back)
