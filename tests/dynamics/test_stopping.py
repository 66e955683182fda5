"""The stop rule, the step, and the spectral radius."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dyadnet.dynamics.request import Phase
from dyadnet.dynamics.step_size import best_step, extremes, growth, growths, largest_stable_step, over_relaxation
from dyadnet.dynamics.stopping import StopRule
from dyadnet.errors import DivergedError
from dyadnet.network.description import Network, Population, Projection, layered
from tests.reference.settling import Judge, Progress, settled
from tests.reference.spectrum import spectral_radius
from tests.support import Settler, cyclic
from tests.support import reference as engine


def test_a_wave_that_still_travels_is_not_taken_for_rest() -> None:
    """Under a long delay all residuals are nil until the nudge arrives; settling must wait for it."""
    for delay in (1, 2, 7):
        built = engine(layered(6, [5, 5, 5], 4, lam=0.5, gain=1.5, bias=0.3), delay=delay, clock="every-tick")
        settler = Settler(built, step=1.0)
        settler.nudged(0.2)
        first = built.dyads["h1"][0]
        assert first.speaks
        assert np.abs(first.D).max() > 0
        before = first.D.copy()
        for tick in range(10_000, 10_000 + 6 * delay):
            for lanes in built.dyads.values():
                for message in lanes[0].fire(tick):
                    built.dyads[message.target][0].receive(message)
        np.testing.assert_allclose(first.D, before, rtol=1e-8, atol=1e-14)
        built.close()


@pytest.mark.parametrize(
    ("fired", "over", "expected"),
    [
        ([5, 5], [0, 0], True),  # nobody was ever over; the phase began at tick 3
        ([4, 5], [0, 0], False),  # one has not yet fired a delay after the first tick
        ([9, 9], [7, 0], True),
        ([9, 8], [7, 0], False),
        ([9, 9], [9, 0], False),
    ],
)
def test_stop_rule(fired: list[int], over: list[int], expected: bool) -> None:
    progress = [Progress(str(i), f, o, 0.0) for i, (f, o) in enumerate(zip(fired, over, strict=True))]
    assert settled(progress, first_tick=3, largest_delay=2) is expected


def judging(patience: int | None = 6) -> Judge:
    rule = StopRule(Phase("free", 0.0, 10), 5, sweep=2, largest_delay=1, check_every=3, patience=patience)
    return Judge(rule, tolerance=1e-3)


def test_checks_come_every_so_many_sweeps_and_at_the_cap() -> None:
    judge = judging(patience=None)
    stop = judge.rule
    ticks = []
    while True:
        verdict = judge.judge([Progress("a", stop.next_check, stop.next_check, 1.0)])
        ticks.append(stop.tick)
        if verdict.kind != "continue":
            break
    assert ticks == [10, 16, 22, 24]
    assert verdict.kind == "capped"
    assert stop.ticks == 20


def test_no_new_smallest_residual_is_diverging_and_names_the_block() -> None:
    stop = judging()
    assert stop.judge([Progress("a", 10, 10, 0.1), Progress("b", 10, 10, 0.5)]).kind == "continue"
    assert stop.judge([Progress("a", 16, 16, 0.1), Progress("b", 16, 16, 0.6)]).kind == "continue"
    verdict = stop.judge([Progress("a", 22, 22, 0.1), Progress("b", 22, 22, 0.7)])
    assert (verdict.kind, verdict.block) == ("diverged", "b")


@pytest.mark.parametrize("residual", [math.inf, math.nan])
def test_a_state_that_is_not_finite_is_diverging_at_once(residual: float) -> None:
    verdict = judging().judge([Progress("a", 10, 0, residual), Progress("b", 10, 0, 0.0)])
    assert (verdict.kind, verdict.block) == ("diverged", "a")


def test_too_large_a_step_stops_with_the_diagnosis() -> None:
    built = engine(layered(6, [8, 8, 8], 4, lam=0.0, gain=4.0), clock="every-tick", patience=40)
    with pytest.raises(DivergedError, match=r"block \w+ at tick \d+: no residual below"):
        Settler(built, step=1.0).run(Phase("free", 0.0, 5000))
    built.close()


def test_overflow_is_noticed_before_the_activation_hides_it() -> None:
    built = engine(layered(6, [8, 8], 4, lam=1.0, activation="relu", gain=30.0), dtype="float32", clock="every-tick")
    with np.errstate(over="ignore", invalid="ignore"), pytest.raises(DivergedError, match="no longer finite"):
        Settler(built, step=1.0).run(Phase("free", 0.0, 5000))
    built.close()


# The table of largest stable and best steps under delay: (κ sign, ρ, τ, largest, best).
TABLE = [
    (-1, 1.2, 0, 0.81, 0.41),
    (-1, 1.2, 1, 0.57, 0.19),
    (-1, 1.2, 5, 0.23, 0.057),
    (-1, 1.2, 10, 0.13, 0.031),
    (-1, 5.0, 0, 0.075, 0.038),
    (-1, 5.0, 1, 0.027, 0.013),
    (+1, 0.8, 0, 1.0, 1.0),
    (+1, 0.8, 5, 1.0, 1.0),
]


@pytest.mark.parametrize(("sign", "rho", "lag", "largest", "best"), TABLE)
def test_steps_under_delay(sign: int, rho: float, lag: int, largest: float, best: float) -> None:
    assert largest_stable_step(extremes(rho, sign), lag) == pytest.approx(largest, rel=0.06)
    assert best_step(rho, lag, sign) == pytest.approx(best, rel=0.06)


@settings(max_examples=40, deadline=None)
@given(rho=st.floats(0.0, 8.0), lag=st.integers(0, 12), sign=st.sampled_from([-1, 1]))
def test_the_best_step_is_stable(rho: float, lag: int, sign: int) -> None:
    eta = best_step(round(rho, 3), lag, sign)
    mode = 1j * rho if sign < 0 else -rho
    assert 0 < eta <= 1
    assert growth(eta, mode, lag) < 1 + 1e-9


@settings(max_examples=40, deadline=None)
@given(
    eta=st.floats(0.01, 2.0),
    lag=st.integers(0, 12),
    modes=st.lists(st.complex_numbers(max_magnitude=8.0), min_size=1, max_size=5),
)
def test_many_modes_at_once_grow_as_each_by_itself(eta: float, lag: int, modes: list[complex]) -> None:
    expected = [growth(eta, mode, lag) for mode in modes]
    np.testing.assert_allclose(growths(eta, np.array(modes), lag), expected, rtol=1e-6, atol=1e-6)


def test_the_stable_step_of_real_modes_without_delay_has_a_formula() -> None:
    for modes in ([-3.0], [-0.5, 0.2], [0.0]):
        expected = min(2.0 / (1.0 - min(modes)), 2.0)
        assert largest_stable_step(modes, 0, ceiling=2.0) == pytest.approx(expected, rel=1e-6)
    assert largest_stable_step([0.2, 1.0], 0) == 0.0


@pytest.mark.parametrize("lag", [0, 1, 4])
def test_simulated_delay_turns_unstable_where_the_recursion_says(lag: int) -> None:
    """A linear skew-symmetric chain with delay lag + 1, a tenth below and above the largest stable step."""
    network = layered(4, [6, 6], 3, lam=0.0, activation="linear", gain=2.0)
    fates = []
    for factor, cap in ((0.9, 20_000), (1.1, 2_000)):
        built = engine(network, clock="every-tick", delay=lag + 1, patience=100_000, tolerance=1e-3)
        settler = Settler(built)
        radius = spectral_radius(built._responses, "symmetric", 400)
        settler.step = factor * largest_stable_step(extremes(radius, -1), lag)
        try:
            outcome = settler.run(Phase("free", 0.0, cap))
            fates.append(outcome.lanes[0][0].settled)
        except DivergedError:
            fates.append(False)
        built.close()
    assert fates == [True, False]


def dense_operator(built: Any, symmetric: bool) -> np.ndarray[Any, Any]:
    names = list(built.blocks)
    sizes = [built.blocks[name].spec.size for name in names]
    places = dict(zip(names, np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1]), strict=True))
    operator = np.zeros((sum(sizes), sum(sizes)))
    root = np.concatenate([np.full(b.spec.size, math.sqrt(b.activation.steepest)) for b in built.blocks.values()])
    for name, block in built.blocks.items():
        for synapses in block.synapses:
            here, there, kappa = places[name], places[synapses.source], synapses.coupling
            up = math.sqrt(abs(kappa)) if symmetric else 1.0
            down = math.sqrt(abs(kappa)) if symmetric else kappa
            operator[np.ix_(here, there)] += up * synapses.weights
            operator[np.ix_(there, here)] += down * synapses.weights.T
    found: np.ndarray[Any, Any] = root[:, None] * operator * root[None, :]
    return found


@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0])
def test_spectral_radius_is_that_of_the_assembled_matrix(lam: float) -> None:
    built = engine(layered(6, [9, 8, 7], 4, lam=lam, gain=2.0).with_blocks(2))
    dense = dense_operator(built, symmetric=True)
    expected = np.max(np.abs(np.linalg.eigvals(dense)))
    assert spectral_radius(built._responses, "symmetric", 400) == pytest.approx(expected, rel=1e-3)
    built.close()


def test_elsewhere_the_radius_is_the_norm_which_bounds_every_mode() -> None:
    built = engine(cyclic())
    dense = dense_operator(built, symmetric=False)
    found = spectral_radius(built._responses, built.timing.operator, 400)
    assert built.timing.operator == "norm"
    assert found == pytest.approx(np.linalg.norm(dense, 2), rel=1e-3)
    built.close()


def asymmetric(gain: float = 1.0, **options: Any) -> Network:
    return layered(6, [9, 8, 7], 4, lam="asymmetric", gain=gain, **options)


def test_an_asymmetric_chains_step_goes_by_the_norm_of_its_skew_part() -> None:
    """It bounds the imaginary part of every mode, whichever neurons are saturated."""
    built = engine(asymmetric(2.0).with_blocks(2))
    dense = dense_operator(built, symmetric=False)
    assert built.timing.operator == "skew"
    found = spectral_radius(built._responses, "skew", 400)
    assert found == pytest.approx(np.linalg.norm(dense - dense.T, 2) / 2, rel=1e-3)
    draws = np.random.default_rng(0)
    for _ in range(50):
        slopes = draws.integers(0, 2, len(dense))[:, None]
        assert np.abs(np.linalg.eigvals(slopes * dense).imag).max() <= found * (1 + 1e-3)
    built.close()


def test_tied_feedback_has_the_step_of_the_model_that_it_is() -> None:
    for kappa, lam in ((1.0, 1.0), (-1.0, 0.0)):
        tied, built = engine(layered(6, [9, 8, 7], 4, lam=lam, gain=2.0)), engine(asymmetric(2.0))
        for name, block in built.blocks.items():
            for key, weights in block.parameters().items():
                own = tied.blocks[name].parameters()
                weights[...] = own[key] if key in own else kappa * tied.blocks[key].parameters()[name].T
            block.refresh()
        steps = [one.timing.rule.step(Settler(one).radius) for one in (tied, built)]
        assert steps[1] == pytest.approx(steps[0], rel=1e-3)
        tied.close()
        built.close()


def test_the_step_of_an_asymmetric_chain_settles_it_where_a_larger_one_runs_away() -> None:
    """Linear, with feedback of minus the transpose and some more: modes are nearly imaginary and long."""
    built = engine(asymmetric(activation="linear"), tolerance=1e-6)
    draws = np.random.default_rng(1)
    for low, high in (("h1", "h2"), ("h2", "h3"), ("h3", "out")):
        forward = built.blocks[high].parameters()[low]
        forward[...] *= 2.0
        back = built.blocks[low].parameters()[high]
        back[...] = -forward.T + 0.3 * draws.normal(size=back.shape) / np.sqrt(back.shape[1])
    for block in built.blocks.values():
        block.refresh()
    settler = Settler(built)
    assert settler.step < 0.7
    assert settler.run(Phase("free", 0.0, 400)).capped == 0
    settler.step = 1.0
    with pytest.raises(DivergedError):
        settler.run(Phase("free", 0.0, 400))
    built.close()


def test_over_relaxation_is_the_best_of_all_steps_for_red_black() -> None:
    """On a linear skew-symmetric chain no other fixed step needs notably fewer sweeps."""
    network = layered(6, [12, 12, 12], 4, lam=0.0, activation="linear", gain=1.5)
    built = engine(network, tolerance=1e-6)
    settler = Settler(built)
    radius = spectral_radius(built._responses, "symmetric", 400)
    omega = over_relaxation(radius)
    needed = {}
    for factor in (0.5, 0.8, 1.0, 1.1):
        settler.step = factor * omega
        try:
            needed[factor] = settler.run(Phase("free", 0.0, 400)).sweeps
        except DivergedError:
            needed[factor] = math.inf
    assert needed[1.0] <= 1.1 * min(needed.values())
    assert needed[0.5] > 1.3 * needed[1.0]
    built.close()


def pair(*lams: float) -> Network:
    """A chain of linear populations with a λ for each projection."""
    return layered(4, [4] * len(lams), 3, lam=list(lams))


@pytest.mark.parametrize(
    ("network", "dynamics", "kind"),
    [
        (pair(0.0, 0.0), {}, "over-relaxed"),
        (pair(0.0, 0.5), {}, "over-relaxed"),
        (pair(0.5, 0.5), {}, "descent"),
        (pair(1.0, 0.6), {}, "descent"),
        (pair(1.0, 0.0), {}, "safe"),
        (pair(0.0, 0.0), {"delay": 3}, "over-relaxed"),
        (pair(0.0, 0.0), {"clock": "every-tick", "delay": 3}, "delayed"),
        (pair(0.0, 0.0), {"clock": "red-black", "delay": 3}, "safe"),
        (pair(0.0, 0.0), {"clock": {"kind": "red-black", "stretch": 3}, "delay": 3}, "over-relaxed"),
        (pair(0.0, 0.0), {"clock": {"kind": "bernoulli", "p": 0.5}}, "safe"),
        (cyclic(), {}, "safe"),
        (asymmetric(), {}, "two-way"),
        (asymmetric(), {"delay": 3}, "two-way"),
        (asymmetric(), {"clock": "every-tick"}, "safe"),
        (asymmetric(), {"clock": {"kind": "bernoulli", "p": 0.5}}, "safe"),
        (pair(0.0, 0.0), {"step": 0.2}, "fixed"),
    ],
)
def test_the_automatic_step_is_chosen_by_what_theory_holds(network: Network, dynamics: Any, kind: str) -> None:
    built = engine(network, **dynamics)
    assert built.timing.rule.kind == kind
    built.close()


@pytest.mark.parametrize(
    "dynamics",
    [
        {"clock": {"kind": "bernoulli", "p": 0.3}, "delay": 2},
        {"clock": {"kind": "bernoulli", "p": 0.5, "unit": "neuron"}, "delay": {"kind": "uniform", "low": 1, "high": 4}},
        {"clock": {"kind": "periodic", "period": 3}, "delay": 2},
        {"clock": "every-tick", "delay": 6},
    ],
    ids=["bernoulli", "neurons", "periodic", "delayed"],
)
def test_the_automatic_step_settles_everywhere(dynamics: Any) -> None:
    built = engine(layered(6, [12, 12], 4, lam=0.0, gain=2.5), tolerance=1e-4, dtype="float32", **dynamics)
    outcome = Settler(built).run(Phase("free", 0.0, 5000))
    assert outcome.capped == 0
    built.close()


def test_a_single_population_with_a_self_loop_settles() -> None:
    network = Network(4, (Population("o", 3, "tanh"),), (Projection("input", "o"), Projection("o", "o", 0.5, 0.5)))
    built = engine(network)
    assert Settler(built).nudged(0.1).capped == 0
    built.close()


@pytest.mark.parametrize(("loss", "repeats"), [(0.0, 0), (0.0005, 0), (0.1, 2), (0.5, 9), (1.0, 0)])
def test_where_messages_are_lost_settling_waits_for_a_later_one(loss: float, repeats: int) -> None:
    """The chance that a message and all its repetitions in the window were lost is at most a thousandth."""
    built = engine(layered(6, [9, 8], 4), imperfections={"channel": {"loss": loss}}, delay=3)
    assert built.timing.window == 3 + repeats * built.timing.sweep
    assert loss in (0.0, 1.0) or loss ** (repeats + 1) <= 1.0001e-3
    built.close()


def test_under_noise_or_coarse_messages_a_residual_that_stops_falling_is_no_divergence() -> None:
    circling: list[dict[str, Any]] = [{}, {"device": {"mismatch": 0.1}}]
    lingering: list[dict[str, Any]] = [
        {"channel": {"loss": 0.1}},
        {"channel": {"quantisation": 4}},
        {"channel": {"send_on_delta": 0.1}},
        {"device": {"read_noise": 0.1}},
    ]
    found = []
    for imperfections in (*circling, *lingering):
        built = engine(layered(6, [9, 8], 4, lam=0.0), imperfections=imperfections)
        found.append(built.timing.may_circle)
        built.close()
    assert found == [True] * 2 + [False] * 4
