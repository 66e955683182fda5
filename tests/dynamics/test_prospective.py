"""The theory of prospective dynamics, the rule that follows from it, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dyadnet.config import RunConfig
from dyadnet.config.dynamics import Dynamics
from dyadnet.dynamics import prospective
from dyadnet.dynamics.ages import distribution, mean_age
from dyadnet.dynamics.prospective import best, growths, modes_of, ticks, tuned
from dyadnet.dynamics.request import Phase, Relaxation
from dyadnet.dynamics.step_size import best_step, growth
from dyadnet.dynamics.virtual_time import Timing, timing
from dyadnet.engines.local import LocalEngine
from dyadnet.errors import ConfigError
from dyadnet.network.description import layered
from dyadnet.network.topology import Topology
from dyadnet.timing.delays import Geometric, Uniform
from tests.support import cyclic, data


def simulated(eta: float, gamma: float, mode: complex, age: int, span: int, steps: int = 4000) -> float:
    """Growth of the recursion by running it: the norm of its memory over the last half of the steps."""
    past = list(np.random.default_rng(1).standard_normal(age + span) + 0j)
    norms, log = [], 0.0
    for _ in range(steps):
        heard, before = past[-age], past[-age - span]
        past.append((1 - eta) * past[-1] + eta * mode * (heard + gamma * age / span * (heard - before)))
        past = past[1:]
        size = float(np.linalg.norm(past))
        log += np.log(size)
        past = [x / size for x in past]
        norms.append(log)
    return float(np.exp((norms[-1] - norms[steps // 2]) / (steps - 1 - steps // 2)))


@pytest.mark.parametrize("mode", [2.4j, 0.9j, -1.5 + 0j, 0.7 + 0j, -0.8 + 1.1j])
@pytest.mark.parametrize(("age", "span"), [(1, 1), (2, 1), (5, 1), (5, 5), (3, 7)])
def test_growth_is_what_the_recursion_does(mode: complex, age: int, span: int) -> None:
    for eta, gamma in ((0.1, 0.0), (0.1, 0.8), (0.4, 1.3)):
        expected = simulated(eta, gamma, mode, age, span)
        assert growths(eta, gamma, [mode], age, span)[0] == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize("age", [1, 3, 11])
@pytest.mark.parametrize("radius", [0.5, 1.2, 5.0])
def test_without_gamma_it_is_the_plain_recursion(radius: float, age: int) -> None:
    eta = best_step(radius, age - 1, -1)
    assert growths(eta, 0.0, [1j * radius], age)[0] == pytest.approx(growth(eta, 1j * radius, age - 1), rel=1e-9)
    found = best(radius, age, gamma=0.0)
    assert ticks(found.growth) == pytest.approx(ticks(growth(eta, 1j * radius, age - 1)), rel=0.05)


@pytest.mark.parametrize(
    ("radius", "age", "plain", "lead"),
    [
        (1.2, 1, 26, 13),
        (2.4, 1, 86, 26),
        (2.4, 11, 1764, 310),
        (5.0, 1, 352, 56),
        (5.0, 2, 1051, 117),
        (5.0, 11, 7349, 656),
    ],
)
def test_cost_grows_as_rho_and_not_as_its_square(radius: float, age: int, plain: float, lead: float) -> None:
    """The figures of an independent search by Nelder and Mead over a grid of η and γ."""
    assert ticks(best(radius, age, gamma=0.0).growth) == pytest.approx(plain, rel=0.03)
    assert ticks(best(radius, age).growth) == pytest.approx(lead, rel=0.05)


@pytest.mark.parametrize("kind", ["imaginary", "real", "disc"])
@pytest.mark.parametrize("radius", [0.3, 0.95, 1.7, 5.0])
@pytest.mark.parametrize(("age", "span"), [(1, 1), (4, 1), (4, 4), (11, 3), (60, 10)])
def test_what_is_tuned_is_stable_with_a_margin(kind: Any, radius: float, age: int, span: int) -> None:
    found = tuned(radius, age, span, kind)
    for scale in (0.1, 0.5, 1.0, 1.15):
        assert growths(found.eta, found.gamma, modes_of(scale * radius, kind), age, span).max() < 1
    if kind == "imaginary":
        plain = best(prospective.MARGIN * radius, age, span, kind, gamma=0.0)
        assert growths(found.eta, found.gamma, modes_of(radius, kind), age, span).max() < plain.growth + 0.02


@pytest.mark.parametrize("given", [{"eta": 0.02}, {"gamma": 0.4}, {"eta": 0.02, "gamma": 0.4}])
def test_what_is_given_is_kept(given: dict[str, float]) -> None:
    found = tuned(2.4, 6, eta=given.get("eta"), gamma=given.get("gamma"))
    assert all(getattr(found, name) == value for name, value in given.items())
    assert found.growth < 1


def test_feedforward_networks_extrapolate_nothing() -> None:
    assert tuned(0.0, 5).gamma == 0
    assert tuned(0.0, 5).eta == 1


def test_the_largest_stable_step_is_where_a_mode_turns() -> None:
    modes = modes_of(2.0, "imaginary")
    for gamma in (0.0, 0.7):
        step = prospective.largest_stable_step(modes, 4, gamma)
        assert growths(0.99 * step, gamma, modes, 4).max() < 1 < growths(1.01 * step, gamma, modes, 4).max()
    assert prospective.largest_stable_step([1.1 + 0j], 4, 0.7) == 0


@pytest.mark.parametrize(("gamma", "span"), [(0.0, 1), (1.0, 1), (1.0, 5)])
def test_noise_gain_is_the_spread_under_white_noise(gamma: float, span: int) -> None:
    eta, mode, age = 0.03, 1.1j, 5
    draws = np.random.default_rng(0).standard_normal(200_000)
    past = np.zeros(len(draws) + age + span + 1, dtype=complex)
    first = age + span
    for t, _ in enumerate(draws[: -first - 1]):
        at = t + first
        heard = past[at + 1 - age] + draws[t + span]
        before = past[at + 1 - age - span] + draws[t]
        past[at + 1] = (1 - eta) * past[at] + eta * mode * (heard + gamma * age / span * (heard - before))
    spread = float(np.sqrt(np.mean(np.abs(past[5000:-first]) ** 2)))
    assert prospective.noise_gain(eta, gamma, mode, age, span) == pytest.approx(spread, rel=0.05)


# How old what is held is


@pytest.mark.parametrize("loss", [0.0, 0.3])
@pytest.mark.parametrize("law", [Uniform(low=1, high=21), Geometric(p=0.2, maximum=30)])
def test_mean_age_is_that_of_the_newest_message(law: Any, loss: float) -> None:
    draws = np.random.default_rng(2)
    newest, ages = 0, []
    arrivals: dict[int, list[int]] = {}
    for tick in range(1, 40_000):
        newest = max([newest, *arrivals.pop(tick, [])])
        ages.append(tick - newest)
        if draws.random() >= loss:
            arrivals.setdefault(tick + int(law.sample(draws, 1)[0]), []).append(tick)
    found = prospective.mean_age(distribution(law), loss=loss)
    assert found == pytest.approx(float(np.mean(ages[1000:])), rel=0.03)


def timed(network: Any = None, **dynamics: Any) -> Timing:
    config = RunConfig.read({"network": network or layered(5, [6, 4], 3, lam=0.0), "dynamics": dynamics})
    return timing(config, Topology(config.network))


def test_the_mean_of_both_directions_counts() -> None:
    config = RunConfig.read(
        {
            "network": layered(5, [6, 4], 3, lam=0.0),
            "dynamics": {"clock": "every-tick", "delays": {"h1->h2": 7}, "prospective": "auto"},
        }
    )
    topology = Topology(config.network)
    found = timing(config, topology)
    assert mean_age(config, topology, found.clocks) == 7
    assert found.rule.lag == 6


def test_plain_steps_follow_the_mean_age_under_random_delays_only() -> None:
    uniform = {"kind": "uniform", "low": 1, "high": 21}
    assert timed(clock="every-tick", delay=21).rule.lag == 20
    assert timed(clock="every-tick", delay=uniform).rule.lag == 5
    assert timed(clock={"kind": "bernoulli", "p": 0.5}, delay=3).rule.lag == 1
    assert timed(clock="every-tick", delay={"kind": "uniform", "low": 4, "high": 4}).rule.lag == 3


# The rule


@pytest.mark.parametrize(
    ("dynamics", "span"),
    [
        ({"clock": "every-tick", "delay": 5}, 1),
        ({"clock": {"kind": "bernoulli", "p": 0.3}}, 1),
        ({"clock": "every-tick", "delay": 5, "prospective_span": 9}, 9),
    ],
)
def test_auto_chooses_step_and_gamma_together(dynamics: dict[str, Any], span: int) -> None:
    found = timed(**dynamics, prospective="auto")
    assert found.rule.kind == "prospective"
    assert found.span == span
    assert found.rule.needs_radius
    assert 0.2 < found.rule.gamma(2.4) < 1.5
    plain = timed(**dynamics | {"prospective_span": "auto"})
    assert found.rule.step(2.4) > plain.rule.step(2.4)
    assert found.window == plain.window + span * found.sweep


def test_auto_looks_back_over_the_age_under_noise() -> None:
    values = {
        "network": layered(5, [6, 4], 3, lam=0.0),
        "dynamics": {"clock": "every-tick", "delay": 6, "prospective": "auto"},
        "imperfections": {"channel": {"additive": {"mean": 0.01}}},
    }
    config = RunConfig.read(values)
    assert timing(config, Topology(config.network)).span == 6


@pytest.mark.parametrize(
    "dynamics", [{}, {"clock": {"kind": "red-black"}}, {"clock": "every-tick", "phases": "in-turn"}]
)
def test_auto_extrapolates_nothing_where_neighbours_or_compartments_take_turns(dynamics: dict[str, Any]) -> None:
    found, plain = timed(**dynamics, prospective="auto"), timed(**dynamics)
    assert found.rule == plain.rule
    assert found.span == 0
    with pytest.raises(ConfigError, match=r"dynamics\.prospective.*0\.5.*take turns"):
        timed(**dynamics, prospective=0.5)


def test_a_graph_without_two_colours_is_prospective_on_its_own_clock() -> None:
    found = timed(cyclic(), prospective="auto")
    assert found.rule.kind == "prospective"
    assert found.rule.prospective is not None
    assert found.rule.prospective.modes == "disc"


def test_none_is_the_default_and_zero_is_none() -> None:
    assert Dynamics().prospective == "none"
    assert timed(clock="every-tick", prospective=0.0) == timed(clock="every-tick")
    assert timed(clock="every-tick").rule.gamma(2.4) == 0


@pytest.mark.parametrize(
    ("dynamics", "field"),
    [
        ({"prospective": -0.5}, "dynamics.prospective"),
        ({"prospective": float("nan")}, "dynamics.prospective"),
        ({"prospective": float("inf")}, "dynamics.prospective"),
        ({"prospective": "fast"}, "dynamics.prospective"),
        ({"prospective": True}, "dynamics.prospective"),
        ({"prospective_span": 0}, "dynamics.prospective_span"),
        ({"prospective_span": -3}, "dynamics.prospective_span"),
        ({"prospective_span": 65}, "dynamics.prospective_span"),
        ({"prospective_span": 1.5}, "dynamics.prospective_span"),
        ({"prospective_span": float("nan")}, "dynamics.prospective_span"),
        ({"prospective": -0.5, "mode": "free"}, "dynamics.prospective"),
        ({"prospective": "auto", "prospective_span": 3, "mode": "free"}, "dynamics.prospective_span"),
    ],
)
def test_what_makes_no_sense_is_one_line(dynamics: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        RunConfig.read({"network": layered(5, [6], 3, lam=0.0), "dynamics": dynamics})
    assert field in str(caught.value)
    assert "\n" not in str(caught.value)


# What it is for


SETTLING = {"dtype": "float64", "tolerance": 1e-6, "initial": "zero", "patience": 20_000}


def ticks_of(dynamics: dict[str, Any], lam: float = 0.0, gain: float = 2.5) -> int:
    network = layered(8, [30, 30, 30], 5, lam=lam, gain=gain, activation="tanh")
    config = RunConfig.read({"network": network, "dynamics": SETTLING | dynamics})
    engine = LocalEngine(config, data(network, 6))
    try:
        couplings = tuple(p.coupling for p in network.recurrent)
        rule = engine.timing.rule
        radius = engine.spectral_radius(couplings, engine.timing.operator, 60)
        step, gamma = rule.step(radius), rule.gamma(radius)
        phases = (Phase("free", 0.0, 20_000),)
        outcome = engine.relax(Relaxation(1, "train", np.arange(6), phases, couplings, step, gamma=gamma))
        ((phase,),) = outcome.lanes
        assert phase.settled
        return phase.ticks
    finally:
        engine.close()


@pytest.mark.parametrize(
    ("dynamics", "gain"),
    [
        ({"delay": 1}, 1.3),
        ({"delay": 5}, 2.5),
        ({"delay": {"kind": "uniform", "low": 1, "high": 9}}, 1.5),
        ({"delay": {"kind": "uniform", "low": 1, "high": 9, "draw": "neuron"}}, 1.5),
        ({"delay": {"kind": "uniform", "low": 1, "high": 9, "draw": "channel"}}, 1.5),
    ],
)
def test_late_negative_feedback_costs_less(dynamics: dict[str, Any], gain: float) -> None:
    synchronous = {"clock": "every-tick"} | dynamics
    assert ticks_of(synchronous) > gain * ticks_of(synchronous | {"prospective": "auto"})
