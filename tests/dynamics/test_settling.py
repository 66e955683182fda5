"""The dynamics are the paper's, step by step, and have the structure that it proves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dyadnet.dynamics.request import Phase
from dyadnet.network.activations import ACTIVATIONS
from dyadnet.network.description import layered
from tests.reference.engine import ReferenceEngine
from tests.support import Settler
from tests.support import reference as engine

Array = NDArray[np.float64]


class Dense:
    """Equation 10 of the paper, with one matrix W = θ + κθᵀ over all neurons and nothing else of the project."""

    def __init__(self, engine: ReferenceEngine, lam: float) -> None:
        names = list(engine.blocks)
        sizes = [block.spec.size for block in engine.blocks.values()]
        self.slices = dict(zip(names, np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1]), strict=True))
        self.theta = np.zeros((sum(sizes), sum(sizes)))
        for name, block in engine.blocks.items():
            for synapses in block.synapses:
                self.theta[np.ix_(self.slices[name], self.slices[synapses.source])] = synapses.weights
        self.lam = lam
        self.base = np.concatenate([engine.dyads[name][0].base for name in names], axis=1)
        y = engine.dyads["out"][0].targets
        assert y is not None
        self.y = y
        self.plus = np.zeros_like(self.base)
        self.minus = np.zeros_like(self.base)

    def f(self, a: Array) -> Array:
        return np.clip(a / 2, 0, 1)

    def step(self, eta: float, beta: float, blocks: list[str]) -> None:
        """One firing of some blocks, from the present activities of all."""
        s, t = self.f(self.plus), self.f(self.minus)
        lam, bar, up, down = self.lam, 1 - self.lam, self.theta.T, self.theta
        plus = self.base + (lam * s + bar * t) @ up + (lam * s - bar * t) @ down
        minus = self.base + (lam * t + bar * s) @ up + (lam * t - bar * s) @ down
        out = self.slices["out"]
        plus[:, out] -= beta * (s[:, out] - self.y)
        minus[:, out] += beta * (t[:, out] - self.y)
        which = np.concatenate([self.slices[name] for name in blocks])
        self.plus[:, which] = (1 - eta) * self.plus[:, which] + eta * plus[:, which]
        self.minus[:, which] = (1 - eta) * self.minus[:, which] + eta * minus[:, which]


def pre_activations(engine: ReferenceEngine) -> tuple[Array, Array]:
    """a⁺ and a⁻ of all neurons, in block order."""
    lanes = [engine.dyads[name][0] for name in engine.blocks]
    A, D = (np.concatenate([getattr(lane, letter) for lane in lanes], axis=1) for letter in "AD")
    return A + D, A - D


@pytest.mark.parametrize("lam", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("clock", ["every-tick", "red-black"])
def test_every_step_is_equation_10(lam: float, clock: str) -> None:
    network = layered(6, [7, 6, 5], 4, lam=lam, gain=1.5, bias=0.4)
    blocks = ["h1", "h2", "h3", "out"]
    firing = [blocks] if clock == "every-tick" else [["h1", "h3"], ["h2", "out"]]
    for ticks in (1, 2, 3, 7, 12):
        built = engine(network, clock=clock, initial="zero")
        settler = Settler(built, step=0.3)
        sweep = built.timing.sweep
        if ticks % sweep:
            built.close()
            continue
        settler.run(Phase("dyadic", 0.4, ticks // sweep, fixed=True))
        dense = Dense(built, lam)
        for tick in range(ticks):
            dense.step(0.3, 0.4, firing[tick % len(firing)])
        plus, minus = pre_activations(built)
        np.testing.assert_allclose(plus, dense.plus, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(minus, dense.minus, rtol=1e-12, atol=1e-14)
        built.close()


def energy(engine: ReferenceEngine) -> float:
    """E(s) = ΣG(s) − ½sᵀWs − (θ₀x+b)ᵀs of the settled means, which are the states while nothing nudges."""
    total = 0.0
    for name, block in engine.blocks.items():
        lane = engine.dyads[name][0]
        total += float(np.sum(block.activation.potential(lane.state[0])) - np.sum(lane.base * lane.state[0]))
        for synapses in block.synapses:
            total -= float(np.sum(lane.state[0] * (engine.dyads[synapses.source][0].state[0] @ synapses.weights.T)))
    return total


def test_energy_of_the_symmetric_model_never_rises_under_red_black_at_full_step() -> None:
    built = engine(layered(6, [8, 8, 8], 4, lam=1.0, gain=2.0), initial="zero")
    assert built.timing.rule.kind == "descent"
    settler = Settler(built)
    energies = []
    for sweeps in range(1, 25):
        settler.run(Phase("free", 0.0, sweeps, fixed=True))
        energies.append(energy(built))
    assert np.all(np.diff(energies) <= 1e-12)
    assert energies[-1] < energies[0]
    built.close()


def moved_by(lam: float, change: tuple[str, int]) -> dict[tuple[str, int], float]:
    """How far each (block, sign) of compartments moves when one (block, sign) starts elsewhere."""
    runs = []
    for shifted in (False, True):
        built = engine(layered(6, [7, 6, 5], 4, lam=lam, gain=0.8), clock="every-tick", initial="previous")
        settler = Settler(built, step=0.2)
        settler.run(Phase("dyadic", 0.3, 1, fixed=True))
        for name, lanes in built.dyads.items():
            shift = 0.05 if shifted and name == change[0] else 0.0
            lanes[0].place(lanes[0].A + shift, lanes[0].D + shift * change[1])
        runs.append(trajectory(built))
        built.close()
    plain, moved = runs
    return {key: float(np.max(np.abs(plain[key] - moved[key]))) for key in plain}


def trajectory(built: ReferenceEngine) -> dict[tuple[str, int], Array]:
    """Compartments after some ticks of a tick loop of the test's own, from the present A and D."""
    dyads = {name: lanes[0] for name, lanes in built.dyads.items()}
    for dyad in dyads.values():
        for message in dyad.announce():
            dyads[message.target].mail.hold(message)
    for tick in range(2, 8):
        for dyad in dyads.values():
            for message in dyad.fire(tick):
                dyads[message.target].receive(message)
    return {(name, sign): dyad.A + sign * dyad.D for name, dyad in dyads.items() for sign in (1, -1)}


def test_compartments_decouple_in_the_symmetric_model() -> None:
    moved = moved_by(1.0, ("h2", 1))
    assert moved["h1", 1] > 1e-6
    assert moved["h3", 1] > 1e-6
    assert all(distance < 1e-14 for (_, sign), distance in moved.items() if sign == -1)


def test_odd_plus_and_even_minus_decouple_from_the_others_in_the_skew_symmetric_model() -> None:
    moved = moved_by(0.0, ("h2", 1))
    together = {("h2", 1), ("h1", -1), ("h3", -1), ("out", 1)}
    assert all(moved[key] > 1e-9 for key in together)
    assert all(distance < 1e-14 for key, distance in moved.items() if key not in together)


def test_skew_symmetric_model_oscillates_at_full_step_and_settles_with_a_small_one() -> None:
    network = layered(6, [8, 8, 8], 4, lam=0.0, gain=3.0)
    swings = {}
    for step in (1.0, 0.05):
        built = engine(network, clock="every-tick", patience=5000)
        settler = Settler(built, step=step)
        outcome = settler.run(Phase("free", 0.0, 2000))
        swings[step] = outcome.lanes[0][0].settled
        if step == 1.0:
            assert max(report.residual_mean for report in outcome.reports) > 0.1
        built.close()
    assert swings == {1.0: False, 0.05: True}


@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
def test_objective_is_stationary_where_the_network_settles(lam: float) -> None:
    """Its change under a small shift of any settled state is of second order."""
    built = engine(layered(6, [7, 5], 4, lam=lam, activation="tanh", gain=0.6))
    settler = Settler(built)
    settler.nudged(0.3)
    settled = built.objective(0.3)
    for name in built.blocks:
        lane = built.dyads[name][0]
        kept = lane.snapshot()
        for letter in ("A", "D"):
            changes = []
            for shift in (1e-4, -1e-4):
                lane.place(lane.A + shift * (letter == "A"), lane.D + shift * (letter == "D"))
                changes.append(built.objective(0.3) - settled)
                lane.restore(kept)
            assert changes[0] != 0
            assert abs(changes[0] - changes[1]) / 2e-4 < 1e-5, (name, letter)
    built.close()


def test_objective_becomes_the_loss_without_nudge() -> None:
    built = engine(layered(6, [7, 5], 4, lam=0.0, activation="tanh", gain=0.6))
    settler = Settler(built)
    loss = settler.loss()
    distances = []
    for beta in (1e-1, 1e-2, 1e-3):
        settler.nudged(beta)
        distances.append(abs(built.objective(beta) - loss))
    assert distances[2] < distances[1] < distances[0]
    assert distances[2] < 1e-5
    built.close()


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_differences_do_not_cancel(name: str, dtype: Any) -> None:
    """In float32 too, a difference of 1e-6 keeps five digits wherever f has a slope."""
    f = ACTIVATIONS[name]
    A = np.linspace(-2.5, 3.5, 1200).reshape(3, -1)
    smooth = np.min(np.abs(A[..., None] - np.array([0.0, 1.0, 2.0])), axis=-1) > 1e-4
    D = np.full_like(A, 1e-6)
    m, d = np.empty_like(A, dtype=dtype), np.empty_like(A, dtype=dtype)
    f.compartments(A.astype(dtype), D.astype(dtype), m, d)
    slope = f.slope(A)
    steep = smooth & (slope > 1e-2)
    np.testing.assert_allclose(d[steep], (slope * D)[steep], rtol=2e-5)
    np.testing.assert_allclose(m, f.value(A), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_mean_and_difference_are_those_of_the_compartments(name: str) -> None:
    f = ACTIVATIONS[name]
    draws = np.random.default_rng(0)
    A, D = draws.normal(1, 2, (40, 30)), draws.normal(0, 2, (40, 30))
    m, d = np.empty_like(A), np.empty_like(A)
    f.compartments(A, D, m, d)
    np.testing.assert_allclose(m + d, f.value(A + D), atol=1e-12)
    np.testing.assert_allclose(m - d, f.value(A - D), atol=1e-12)
    only = np.empty_like(A)
    f.means(A, only)
    np.testing.assert_allclose(only, f.value(A), atol=1e-15)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_potential_is_the_integral_of_the_inverse(name: str) -> None:
    f = ACTIVATIONS[name]
    a = np.linspace(-0.9, 1.9, 57)
    a = a[(f.slope(a) > 0) & (np.abs(a) > 1e-3) & (np.abs(a - 1) > 1e-3)]
    h = 1e-6
    slope = (f.potential(f.value(a) + h) - f.potential(f.value(a) - h)) / (2 * h)
    np.testing.assert_allclose(slope, a, atol=1e-5)
