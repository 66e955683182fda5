"""Projections of every built-in kind in a network that settles and learns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import dyadnet as dn
from dyadnet.analysis.assembled import assemble
from dyadnet.dynamics.request import Phase
from dyadnet.engines.local import LocalEngine
from dyadnet.network.description import Network, layered
from dyadnet.network.layers import from_layers
from tests.learning.test_gradients import BERNOULLI, BY_NEURON, PROSPECTIVE, relative_error
from tests.support import Settler, data, engine
from tests.synapses.networks import LARGEST, images, pooling, sparse

LAMBDAS = [0.0, 0.3, 0.5, 1.0]


@pytest.mark.parametrize("loss", ["squared-error", "cross-entropy"])
@pytest.mark.parametrize("lam", LAMBDAS)
@pytest.mark.parametrize("network", [images, sparse])
def test_the_contrast_is_the_gradient_of_the_settled_loss(network: Any, lam: float, loss: str) -> None:
    assert relative_error(network(lam, loss)) < 1e-6


@pytest.mark.parametrize("lam", LAMBDAS)
def test_the_contrast_is_the_gradient_where_the_largest_is_taken(lam: float) -> None:
    assert relative_error(images(lam, pooled=LARGEST)) < 1e-6
    assert relative_error(pooling(lam, "max")) < 1e-6


@pytest.mark.parametrize("network", [images(blocks=2), sparse(blocks=3), pooling(blocks=2)])
def test_the_contrast_is_the_gradient_of_blocks(network: Network) -> None:
    assert relative_error(network) < 1e-6


@pytest.mark.parametrize("dynamics", [BERNOULLI, BY_NEURON, PROSPECTIVE, {"lanes": 2}])
@pytest.mark.parametrize("network", [images(), sparse()])
def test_the_contrast_is_the_gradient_whatever_the_clock(network: Network, dynamics: Any) -> None:
    assert relative_error(network, entries=1, **dynamics) < 1e-6


def test_the_contrast_is_the_gradient_of_an_asymmetric_convolution() -> None:
    """The way back of a convolution is the transpose of one, with weights of its own."""
    layers = ["conv 4 3x3 padding same", "pool 2", "conv 3 3x3", "sparse 6 0.5", "dense 4"]
    network = from_layers(layers, inputs=(1, 8, 8), lam="asymmetric", activation="tanh", gain=0.5, feedback_gain=0.3)
    assert [p.connectivity.kind for p in network.projections[2::2]] == ["transposed", "transposed", "dense"]
    assert relative_error(network) < 1e-6


def test_a_chain_of_some_density_is_joined_by_so_many_synapses() -> None:
    network = layered(6, [30, 20], 10, density=0.3)
    kinds = [projection.connectivity for projection in network.projections]
    assert [kind.kind for kind in kinds] == ["dense", "pairwise_bernoulli", "pairwise_bernoulli"]
    shapes = [network.shapes(projection)[""] for projection in network.recurrent]
    assert abs(shapes[0][0] / 600 - 0.3) < 0.1
    assert layered(6, [30], 4, density=1.0) == layered(6, [30], 4)
    for density in (0, 1.5, True, "half"):
        with pytest.raises(dn.ConfigError, match="density"):
            layered(6, [30], 4, density=density)  # type: ignore[arg-type]


def as_dense(own: LocalEngine) -> LocalEngine:
    """The same network with dense synapses of the same matrices."""
    network = own.config.network
    projections = tuple(replace(projection, kind="dense") for projection in network.projections)
    populations = tuple(replace(population, shared_bias=False) for population in network.populations)
    dense = replace(network, projections=projections, populations=populations)
    other = LocalEngine(own.config.model_copy(update={"network": dense}), data(network))
    for name, block in own.blocks.items():
        twin = other.blocks[name]
        twin.bias[...] = np.repeat(block.bias, block.spec.population.sharing)
        for made, same in zip(block.projections, twin.synapses, strict=True):
            same.weights[...] = made.dense()
        if block.entry is not None and twin.input_weights is not None:
            twin.input_weights[...] = block.entry.dense()
        twin.refresh()
    return other


@pytest.mark.parametrize("lam", LAMBDAS)
@pytest.mark.parametrize("network", [images, sparse, pooling])
def test_they_settle_where_dense_synapses_of_the_same_matrix_do(network: Any, lam: float) -> None:
    own = engine(network(lam), lanes=2)
    for block in own.blocks.values():
        block.bias += 0.1 * np.arange(len(block.bias))
    other = as_dense(own)
    np.testing.assert_allclose(assemble(own.blocks).W, assemble(other.blocks).W, rtol=1e-12)
    radii = [Settler(one).engine.spectral_radius(Settler(one).couplings, "norm", 200) for one in (own, other)]
    np.testing.assert_allclose(radii[0], radii[1], rtol=1e-6)
    for one in (own, other):
        assert Settler(one).nudged(0.1).capped == 0
    np.testing.assert_allclose(own.objective(0.1), other.objective(0.1), rtol=1e-9)
    for name in own.blocks:
        for here, there in zip(own.lanes(name), other.lanes(name), strict=True):
            np.testing.assert_allclose(here.readout, there.readout, rtol=1e-9, atol=1e-10)


def test_the_largest_is_held_once_the_choices_are_made() -> None:
    """With negative feedback who was chosen is weakened: it settles because the choice is held in the end."""
    network = images(0.0, pooled=LARGEST)
    settler = Settler(engine(network))
    assert settler.nudged(0.1).capped == 0
    never = images(0.0, pooled=LARGEST | {"choices": 10**6})
    outcome = Settler(engine(never)).run(Phase("free", 0.0, 300))
    assert outcome.capped == 1
