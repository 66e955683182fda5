"""One compartment after the other, on half the state: the same result as both at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dyadnet.bench.turns import TOLERANCES, measure
from dyadnet.config import RunConfig
from dyadnet.data import load
from dyadnet.dynamics.request import Phase
from dyadnet.engines.local import LocalEngine
from dyadnet.errors import ConfigError
from dyadnet.network.description import Network, Population, Projection, layered
from dyadnet.timing.alternating import sides
from dyadnet.training.coordinator import Coordinator
from tests.reference.contrast import contrasts
from tests.support import Settler, cyclic, data, engine, reference

BETA = 0.1


def chain(lam: float | list[float], loss: str = "squared-error") -> Network:
    """Three hidden layers, whose gain is small enough for a symmetric network to have one fixed point."""
    return layered(6, [7, 5, 6], 4, lam=lam, loss=loss, gain=0.6, bias=0.3)


def tree() -> Network:
    """A hub that two populations hear, one across κ = −1 and one across κ = +1; the latter is the output."""
    populations = (Population("hub", 6), Population("aside", 5), Population("out", 4))
    projections = (
        Projection("input", "hub"),
        Projection("hub", "aside", 0.0, 0.7),
        Projection("hub", "out", 1.0, 0.7),
    )
    return Network(6, populations, projections, output="out", bias=0.3)


NETWORKS = {
    "symmetric": chain(1.0),
    "skew-symmetric": chain(0.0),
    "of both kinds": chain([0.0, 1.0, 0.0]),
    "skew-symmetric, cross-entropy": chain(0.0, "cross-entropy"),
    "a tree": tree(),
    "split into blocks": chain(0.0).with_blocks(2),
}


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_turns_end_where_both_compartments_at_once_do(network: Network) -> None:
    together, alone = engine(network), engine(network)
    both, turns = Settler(together), Settler(alone)
    assert both.nudged(BETA).capped == 0
    # A settled first turn leaves little for the residual to tell the second from: only exact settling is fair.
    phases = Phase("free", 0.0, 5000), Phase("first", BETA, 5000, side=1), Phase("second", BETA, 5000, side=-1)
    assert turns.run(*phases).capped == 0
    for name in together.blocks:
        (one,), (other,) = together.lanes(name), alone.lanes(name)
        np.testing.assert_allclose(other.readout, one.readout, rtol=0, atol=1e-11)
    for key, gradient in both.gradients(BETA).items():
        found = turns.gradients(BETA)[key]
        assert np.linalg.norm(found - gradient) < 1e-9 * np.linalg.norm(gradient)
    together.close()
    alone.close()


@pytest.mark.parametrize("lam", [0.0, 1.0])
def test_a_turn_is_a_network_of_one_state_a_neuron(lam: float) -> None:
    """The fixed point of a turn is that of a ← θu_pre + κθᵀu_post + θ₀x ∓ β(u_out − y), solved here without dyads."""
    network = chain(lam)
    kappa = 2 * lam - 1
    ours = engine(network)
    settler = Settler(ours)
    dataset = data(network)
    x, y = dataset.train.images, np.eye(4)[dataset.train.labels]
    blocks = list(ours.blocks.values())
    for side in (1, -1):
        settler.run(Phase("free", 0.0, 5000), Phase("first", BETA, 5000, side=side))
        a = [np.zeros((len(x), block.spec.size)) for block in blocks]
        for _ in range(20000):
            u = [np.clip(values / 2, 0, 1) for values in a]
            for k, block in enumerate(blocks):
                drive = block.bias + (x @ block.input_weights.T if block.input_weights is not None else 0)
                if k:
                    drive = drive + u[k - 1] @ block.synapses[0].weights.T
                if k + 1 < len(blocks):
                    drive = drive + kappa * u[k + 1] @ blocks[k + 1].synapses[0].weights
                else:
                    drive = drive - side * BETA * (u[k] - y)
                a[k] = 0.9 * a[k] + 0.1 * drive
        for block, values in zip(blocks, a, strict=True):
            (lane,) = ours.lanes(block.name)
            np.testing.assert_allclose(lane.state[0], np.clip(values / 2, 0, 1), atol=1e-10)
            assert len(lane.state) == 1
    ours.close()


def trained(phases: str, lam: float, **dynamics: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Weights and the last line of the record after two epochs, in float64."""
    network = chain(lam)
    values = {
        "network": network,
        "dynamics": {"phases": phases, "dtype": "float64", "tolerance": 1e-12, "tolerance_difference": 1e-10}
        | {"sweeps": 3000, "nudged_sweeps": 3000, "patience": 3000}
        | dynamics,
        "learning": {"epochs": 2, "minibatch": 10, "optimiser": {"kind": "sgd"}},
        "engine": "local",
    }
    config = RunConfig.read(values)
    dataset = data(network, samples=40)
    runner = LocalEngine(config, dataset)
    try:
        coordinator = Coordinator(config, dataset.sizes, runner)
        lines = [coordinator.epoch(0), coordinator.epoch(1)]
        weights = {
            f"{block} {key}": array.copy()
            for block, named in runner.parameters().items()
            for key, array in named.items()
        }
        return weights, lines[-1]
    finally:
        runner.close()


@pytest.mark.parametrize("lam", [0.0, 1.0])
def test_training_in_turn_comes_to_the_same_weights_and_record(lam: float) -> None:
    both, line_of_both = trained("auto", lam, lanes=2)
    turns, line = trained("in-turn", lam, lanes=2)
    for key, weights in both.items():
        np.testing.assert_allclose(turns[key], weights, rtol=0, atol=1e-9, err_msg=key)
    assert line["train"]["loss"] == pytest.approx(line_of_both["train"]["loss"], abs=1e-8)
    assert line["test"]["accuracy"] == line_of_both["test"]["accuracy"]
    for block, found in line["train"]["blocks"].items():
        expected = line_of_both["train"]["blocks"][block]
        for name in ("saturated", "mean_norm", "difference_norm"):
            assert found[name] == pytest.approx(expected[name], abs=1e-8)


def test_sides_agree_across_positive_couplings_and_differ_across_negative_ones() -> None:
    assert sides(chain(0.0), [-1, -1, -1]) == {"h1": -1, "h2": 1, "h3": -1, "out": 1}
    assert set(sides(chain(1.0), [1, 1, 1]).values()) == {1}
    assert sides(tree(), [-1, 1]) == {"hub": 1, "aside": -1, "out": 1}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"network": chain(0.5)}, "λ = 0 or 1 throughout; at λ = 0.5 in h1->h2"),
        ({"network": cyclic()}, "λ = 0 or 1"),
        ({"learning": {"lam": 0.0}}, "leave out learning.lam"),
        ({"dynamics": {"phases": "in-turn", "mode": "free"}}, "virtual time only"),
        ({"dynamics": {"phases": "in-turn", "fixed": True, "average": 3}}, "averaged at once"),
        ({"imperfections": {"channel": {"additive": {"mean": 0.1}}}}, "under noise"),
    ],
)
def test_what_needs_both_compartments_at_once_is_refused(changes: dict[str, Any], complaint: str) -> None:
    values: dict[str, Any] = {"network": chain(0.0), "dynamics": {"phases": "in-turn"}} | changes
    with pytest.raises(ConfigError, match=complaint) as caught:
        RunConfig.read(values)
    assert caught.value.field == "dynamics.phases"


def test_an_odd_cycle_of_negative_couplings_mixes_the_compartments() -> None:
    populations = (Population("a", 3), Population("b", 3), Population("c", 3))
    joined = (("a", "b"), ("b", "c"), ("c", "a"))
    projections = (Projection("input", "a"), *(Projection(pre, post, 0.0) for pre, post in joined))
    network = Network(2, populations, projections, output="c")
    with pytest.raises(ConfigError, match="odd number of projections with λ = 0"):
        sides(network, [-1.0, -1.0, -1.0])
    assert sides(network, [-1.0, -1.0, 1.0])["c"] == 1


def test_a_block_goes_back_into_the_second_turn_with_what_it_kept_of_the_first() -> None:
    network = chain(0.0)
    ours = reference(network, dtype="float32", tolerance=1e-5)
    Settler(ours).run(Phase("first", BETA, 20, fixed=True, side=1), Phase("second", BETA, 3, fixed=True, side=-1))
    lanes = {name: lanes[0] for name, lanes in ours.dyads.items()}
    kept = {name: lane.snapshot() for name, lane in lanes.items()}
    before = {name: [tuple(map(np.copy, pair)) for _, pair in contrasts(lane)] for name, lane in lanes.items()}
    Settler(ours).run(Phase("free", 0.0, 5, fixed=True))
    for name, lane in lanes.items():
        assert lane.turn is None
        lane.restore(kept[name])
        assert lane.turn is not None
        again = [pair for _, pair in contrasts(lane)]
        assert all(
            np.array_equal(one, other)
            for pairs in zip(again, before[name], strict=True)
            for one, other in zip(*pairs, strict=True)
        )
    ours.close()


def test_one_state_a_neuron_is_half_of_what_two_hold_and_the_contrast_is_the_same() -> None:
    rows = measure("digits", load("digits").limited(300, 50), minibatch=10)
    assert len(rows) == 2 * 2 * len(TOLERANCES)
    for model in ("sshm", "hm"):
        both, turns = ([r for r in rows if (r["model"], r["way"]) == (model, way)] for way in ("at once", "in turn"))
        assert all(row["settled"] for row in (*both, *turns))
        for one, other in zip(both, turns, strict=True):
            assert 2 * other["bytes"] == one["bytes"]
            assert other["values"] < 2 * one["values"]
        assert turns[-1]["cosine"] > 0.99999
        assert turns[-1]["sweeps"] > both[-1]["sweeps"]
