"""Devices: laws of spreads and noise, what few levels of weights do, and that blocks do not matter to fixed draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dyadnet.config import RunConfig
from dyadnet.dynamics.request import Pace, Phase
from dyadnet.engines.group import Group
from dyadnet.imperfections.device import Device
from dyadnet.imperfections.realized import AUTO_RANGE
from dyadnet.learning.block import Block
from dyadnet.learning.optimisers import SGD
from dyadnet.learning.update import Update
from dyadnet.network.activations import ACTIVATIONS
from dyadnet.network.description import Network, layered
from dyadnet.network.topology import Topology
from dyadnet.program import calls
from dyadnet.program import tables as c
from tests.reference.clocks import Moment
from tests.reference.contrast import contrasts
from tests.reference.devices import Hardware
from tests.reference.dyads import Dyads
from tests.reference.engine import ReferenceEngine
from tests.support import Settler
from tests.support import reference as engine

Array = np.ndarray[Any, Any]
WIDE = layered(6, [4000], 4, lam=0.0)
DOUBLE = np.dtype(np.float64)


def hardware(device: dict[str, Any], network: Network = WIDE, block: str = "h1") -> Hardware:
    """The device of one block."""
    return Hardware(Device.read(device), 5, Topology(network).blocks[block], DOUBLE)


def block(device: dict[str, Any], network: Network, name: str, dtype: Any = DOUBLE) -> Block:
    """A block with a device."""
    return Block(name, Topology(network), 5, np.dtype(dtype), SGD(), Device.read(device))


# Spreads


def test_speeds_are_lognormal_and_no_step_overshoots() -> None:
    built = hardware({"time_constants": 0.4})
    assert built.rates is not None
    assert np.log(built.rates).mean() == pytest.approx(0, abs=4 * 0.4 / np.sqrt(4000))
    assert np.log(built.rates).std() == pytest.approx(0.4, rel=0.05)
    eta = np.empty(4000)
    built.steps(0.3, eta)
    assert np.array_equal(eta, np.minimum(0.3 * built.rates, 1.0))
    built.steps(1.5, eta)
    assert eta.max() == 1.5


def test_a_free_running_neuron_has_a_time_constant_of_its_own() -> None:
    """After Δt a neuron has moved by 1 − e^(−Δt/Tᵢ)."""
    network = {"layered": {"inputs": 4, "hidden": [300], "outputs": 2}}
    values = {"network": network, "engine": "ray", "seed": 5, "dynamics": {"mode": "free", "dtype": "float64"}}
    config = RunConfig.read(values | {"imperfections": {"device": {"time_constants": 0.4}}})
    group = Group(config, None, lambda work, items: [work(item) for item in items], 1)
    lane = group.lane(0)
    lane.begin(1, 1.0, 3, np.zeros((3, 4)), np.zeros((3, 2)), ideal=False)
    lane.measure(Pace(0.01, 0.0), 1.0, None, settle=False)
    lane.state.reg[c.REG_INTERVAL] = 7_000_000
    calls.begin_repeat(*lane.views, np.arange(2), 1)
    at = int(lane.tables.blocks[0, c.B_ETA])
    eta = lane.memory.X[at : at + 900].reshape(3, 300)
    speeds = np.empty(300)
    group.blocks["h1"].actual.speeds(speeds)
    assert np.log(speeds).std() == pytest.approx(0.4, rel=0.2)
    np.testing.assert_allclose(eta, np.broadcast_to(-np.expm1(-0.7 * speeds), (3, 300)))


def test_gains_are_lognormal_and_thresholds_normal() -> None:
    built = hardware({"gain": 0.2, "threshold": 0.3})
    assert built.gain is not None
    assert built.threshold is not None
    assert np.log(built.gain).std() == pytest.approx(0.2, rel=0.05)
    assert built.threshold.std() == pytest.approx(0.3, rel=0.05)
    assert abs(np.corrcoef(built.gain, built.threshold)[0, 1]) < 0.06
    assert hardware({"gain": 0.2}).threshold is None


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_states_and_their_potential_are_those_of_each_neurons_own_function(name: str) -> None:
    """s± = f(g(a± − t)), and the potential's slope is the inverse of that."""
    activation = ACTIVATIONS[name]
    built = hardware({"gain": 0.2, "threshold": 0.05}, layered(6, [12], 4), "h1")
    assert built.gain is not None
    assert built.threshold is not None
    draws = np.random.default_rng(0)
    a = draws.uniform(0.3, 0.7, (5, 12))
    d = draws.uniform(-0.1, 0.1, (5, 12))
    m, half = np.empty_like(a), np.empty_like(a)
    activation.compartments(built.seen(a), built.scaled(d), m, half)
    np.testing.assert_allclose(m + half, activation.value(built.gain * (a + d - built.threshold)))
    np.testing.assert_allclose(m - half, activation.value(built.gain * (a - d - built.threshold)))
    s = activation.value(built.seen(a))
    slope = (built.potential(activation, s + 1e-6) - built.potential(activation, s - 1e-6)) / 2e-6
    np.testing.assert_allclose(slope, a, rtol=1e-6)
    np.testing.assert_allclose(built.steepest(activation), activation.steepest * built.gain)


@pytest.mark.parametrize("parts", [2, 3])
def test_fixed_draws_are_the_same_however_a_population_is_split(parts: int) -> None:
    whole = layered(6, [13, 11], 4, lam=0.0)
    split = whole.with_blocks(parts)
    device = {"gain": 0.2, "threshold": 0.2, "time_constants": 0.2, "mismatch": 0.2}
    one = hardware(device, whole)
    for name in ("gain", "threshold", "rates"):
        pieces = [getattr(hardware(device, split, f"h1.{part}"), name) for part in range(parts)]
        assert np.array_equal(np.concatenate(pieces), getattr(one, name))
    backward = block(device, whole, "h2").synapses[0].backward
    rows = [np.hstack([s.backward for s in block(device, split, f"h2.{part}").synapses]) for part in range(parts)]
    assert np.array_equal(np.vstack(rows), backward)


# Mismatch


def test_feedback_is_read_from_synapses_that_differ_for_good() -> None:
    built = block({"mismatch": 0.3}, layered(6, [80, 70], 4, lam=0.0), "h2")
    (synapses,) = built.synapses
    ratio = synapses.backward / synapses.weights - 1
    assert ratio.mean() == pytest.approx(0, abs=0.02)
    assert ratio.std() == pytest.approx(0.3, rel=0.05)
    synapses.weights *= 2
    synapses.refresh()
    np.testing.assert_allclose(synapses.backward / synapses.weights - 1, ratio)


@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
def test_what_is_sent_down_is_the_product_with_the_mismatched_synapses(lam: float) -> None:
    built = engine(layered(6, [9, 8], 4, lam=lam), imperfections={"device": {"mismatch": 0.3}})
    settler = Settler(built)
    settler.nudged(0.2)
    (synapses,) = built.blocks["h2"].synapses
    sender, receiver = built.dyads["h2"][0], built.dyads["h1"][0]
    feedback = receiver.held["h2", "feedback"]
    np.testing.assert_allclose(feedback.differences, sender.state[1] @ synapses.backward, atol=1e-9)
    if feedback.mean:
        kappa = 2 * lam - 1
        np.testing.assert_allclose(feedback.means, kappa * sender.state[0] @ synapses.backward, atol=1e-9)
    assert not np.allclose(synapses.backward, synapses.weights)
    built.close()


# Weights of few bits


@pytest.mark.parametrize("bits", [1, 3, 6])
@pytest.mark.parametrize("limits", [None, 0.5, [-0.2, 0.6]])
def test_weights_are_always_on_their_levels(bits: int, limits: Any) -> None:
    device = {"weights": {"bits": bits, "range": limits}}
    built = engine(layered(6, [9, 8], 4, lam=0.0), imperfections={"device": device}, dtype="float32")
    settler = Settler(built, step=0.3)
    for count in range(1, 4):
        settler.run(Phase("dyadic", 0.3, 10, fixed=True))
        built.learn(Update(0.3, 5, 0.1, count))
        for each in built.blocks.values():
            for key, weights in each.parameters().items():
                if key == "bias":
                    continue
                fan_in = 6 if key == "input" else built.blocks[key].spec.size
                largest = AUTO_RANGE / np.sqrt(fan_in) if limits is None else 0.5
                low, high = limits if isinstance(limits, list) else (-largest, largest)
                levels = np.linspace(low, high, 2 if bits == 1 else 2**bits - (low == -high))
                assert np.abs(weights[..., np.newaxis] - levels).min(axis=-1).max() < 1e-6 * (high - low)
    built.close()


def test_a_small_update_of_few_levels_is_right_on_average() -> None:
    """Expected change and its variance, over many synapses that are all asked for the same."""
    network = layered(6, [400, 300], 4, lam=0.0)
    built = block({"weights": {"bits": 4, "range": 1.4}}, network, "h2")
    (synapses,) = built.synapses
    before = synapses.weights.copy()
    synapses.weights += 0.03
    built._programme(1)
    change = (synapses.weights - before)[np.abs(before) < 1.3]
    step = 0.2
    assert set(np.unique(np.rint(change / step))) == {0.0, 1.0}
    assert change.mean() == pytest.approx(0.03, abs=4 * 0.08 / np.sqrt(change.size))
    assert change.var() == pytest.approx(0.03 * (step - 0.03), rel=0.05)


def test_draws_of_an_update_depend_on_its_number() -> None:
    network = layered(6, [40, 30], 4, lam=0.0)
    found = []
    for count in (1, 2, 1):
        built = block({"weights": {"bits": 4, "range": 1.4}}, network, "h2")
        built.synapses[0].weights += 0.05
        built._programme(count)
        found.append(built.synapses[0].weights)
    assert np.array_equal(found[0], found[2])
    assert not np.array_equal(found[0], found[1])


def test_loaded_weights_go_to_the_nearest_level_and_saved_ones_come_back_to_the_bit() -> None:
    network = layered(6, [40, 30], 4, lam=0.0)
    fine, coarse = (block(device, network, "h2", np.float32) for device in ({}, {"weights": 5}))
    coarse.load(fine.parameters())
    step = AUTO_RANGE / np.sqrt(40) / 15
    assert 0 < np.abs(coarse.synapses[0].weights - fine.synapses[0].weights).max() <= 0.5001 * step
    kept = {key: array.copy() for key, array in coarse.parameters().items()}
    coarse.load(kept)
    assert all(np.array_equal(kept[key], array) for key, array in coarse.parameters().items())


def test_a_block_goes_back_to_its_snapshot_synapses_backward_included() -> None:
    built = block({"weights": 5, "mismatch": 0.1}, layered(6, [9, 8], 4, lam=0.0), "h2")
    kept = built.snapshot()
    backward = built.synapses[0].backward.copy()
    built.synapses[0].weights += 1.0
    built._programme(1)
    built.restore(kept)
    assert np.array_equal(built.synapses[0].backward, backward)


# Noise


def test_a_read_adds_what_fluctuating_synapses_would() -> None:
    """Against products with synapses whose every weight has been disturbed."""
    network = layered(6, [30, 2000], 4, lam=0.0, gain=1.5)
    built = hardware({"read_noise": 0.2}, network, "h2")
    draws = np.random.default_rng(0)
    x = draws.uniform(-1, 1, (2, 3, 30)) * np.array([1.0, 0.01])[:, None, None]
    projection = network.recurrent[0]
    noise = built.read("h1", projection, 30, x, 2000, (4, Moment(1)))
    direct = x @ (0.2 * 1.5 / np.sqrt(30) * draws.normal(size=(30, 2000)))
    assert noise.shape == direct.shape == (2, 3, 2000)
    np.testing.assert_allclose(noise.std(axis=2), direct.std(axis=2), rtol=0.08)
    np.testing.assert_allclose(noise.mean(axis=2) / noise.std(axis=2), 0, atol=4 / np.sqrt(2000))
    again = built.read("h1", projection, 30, x, 2000, (5, Moment(1)))
    assert abs(np.corrcoef(noise.ravel(), again.ravel())[0, 1]) < 0.05


def test_every_read_of_a_firing_block_is_noisy_and_none_before_the_first_tick() -> None:
    """With η = 1 the state after one tick is the drive: its spread around the ideal drive is the law's."""
    network = layered(30, [2000], 4, lam=0.5)
    spread = []
    for noise in (0.0, 0.2):
        built = engine(network, imperfections={"device": {"read_noise": noise}}, clock="every-tick")
        settler = Settler(built, step=1.0)
        settler.run(Phase("free", 0.0, 1, fixed=True))
        spread.append(built.dyads["h1"][0].A.copy())
        x = built.dyads["h1"][0].inputs
        built.close()
    assert x is not None
    expected = 0.2 / np.sqrt(30) * np.linalg.norm(x, axis=1)
    np.testing.assert_allclose((spread[1] - spread[0]).std(axis=1), expected, rtol=0.08)


@pytest.mark.parametrize("stream", [0, 1])
def test_feedback_is_read_anew_at_each_firing(stream: int) -> None:
    built = engine(layered(6, [900], 4, lam=0.0), imperfections={"device": {"read_noise": 0.3}}, clock="every-tick")
    Settler(built, step=0.3).run(Phase("dyadic", 0.3, 5, fixed=True))
    (out,) = built.dyads["out"]
    found = []
    for _ in range(2):
        out.course.tick += 1
        sent: list[Any] = out._emit()
        found.append(sent[0].payload[stream] - (-1, 1)[stream] * out.state[stream] @ out.block.synapses[0].weights)
    expected = 0.3 / np.sqrt(900) * np.linalg.norm(out.state[stream], axis=1)
    np.testing.assert_allclose(found[0].std(axis=1), expected, rtol=0.12)
    assert abs(np.corrcoef(found[0].ravel(), found[1].ravel())[0, 1]) < 0.06
    built.close()


def test_noise_on_the_nudge_is_independent_in_each_compartment() -> None:
    built = hardware({"nudge_noise": 0.4})
    zero = np.zeros((30, 200))
    mean, difference = built.nudge(zero, zero, (1, Moment(1)))
    for one in (mean + difference, mean - difference):
        assert one.std() == pytest.approx(0.4, rel=0.05)
    assert abs(np.corrcoef((mean + difference).ravel(), (mean - difference).ravel())[0, 1]) < 0.06
    other, _ = built.nudge(zero, zero, (2, Moment(1)))
    assert not np.array_equal(mean, other)


# Averages


def contrast(built: ReferenceEngine, lane: Dyads) -> Array:
    """The bias gradient that a lane would learn from."""
    return np.concatenate([pair[0].ravel() for key, pair in contrasts(lane) if key == "bias"])


@pytest.mark.parametrize("average", [1, 5, 40])
def test_an_average_is_the_mean_over_the_last_firings(average: int) -> None:
    """Against a probe-like record of every firing."""
    noise = {"channel": {"additive": {"mean": 0.1, "difference": 0.1}}}
    built = engine(layered(6, [9, 8], 4, lam=0.0), imperfections=noise, clock="every-tick")
    own: list[Array] = []
    held: list[Array] = []
    (dyad,) = built.dyads["h2"]

    class Watch:
        def note(self, *state: Any) -> None:
            own.append(dyad.state.copy())
            held.append(dyad.held["h1", "state"].payload.copy())

    built._probed["h2"] = dyad.probe = Watch()  # type: ignore[assignment]
    settler = Settler(built, step=0.3)
    settler.number += 1
    from dyadnet.dynamics.request import Relaxation

    phases = (Phase("free", 0.0, 10, fixed=True), Phase("nudged", 0.3, 50, fixed=True, average=average))
    relaxation = Relaxation(settler.number, "train", np.arange(5), phases, settler.couplings, 0.3, probed=True)
    built.relax(relaxation)
    np.testing.assert_allclose(dyad.readout, np.mean(own[-average:], axis=0))
    found = dict(contrasts(dyad))["h1"]
    m, d = np.mean(own[-average:], axis=0)
    np.testing.assert_allclose(found[0], np.concatenate((d, -m)))
    np.testing.assert_allclose(found[1], np.mean(held[-average:], axis=0).reshape(-1, 9))
    built.close()


def test_averaging_brings_the_contrast_nearer_to_that_without_noise() -> None:
    network = layered(6, [9, 8], 4, lam=0.0)
    noise = {"channel": {"additive": {"mean": 0.02, "difference": 0.02}}}
    errors = []
    expected: dict[tuple[str, str], Array] = {}
    for imperfections, average in ((None, 0), (noise, 0), (noise, 100)):
        built = engine(network, imperfections=imperfections, clock="every-tick")
        settler = Settler(built, step=0.3)
        settler.run(Phase("dyadic", 0.3, 200, fixed=True, average=average))
        found = settler.gradients(0.3)
        expected = expected or found
        errors.append(np.sqrt(sum(np.sum((found[key] - expected[key]) ** 2) for key in expected)))
        built.close()
    assert errors[0] == 0
    assert errors[2] < 0.4 * errors[1]
