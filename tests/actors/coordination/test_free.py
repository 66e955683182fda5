"""Free-running mode: nobody waits, and the network settles and learns all the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyadnet.config import RunConfig
from dyadnet.config.dynamics import FreeRunning
from dyadnet.data import Dataset, load
from dyadnet.dynamics.step_size import SHORTEST, time_constant
from dyadnet.engines.local import LocalEngine
from dyadnet.errors import ConfigError
from dyadnet.program import tables as c
from dyadnet.training.coordinator import Coordinator
from dyadnet_actors.coordination.engine import ActorEngine
from dyadnet_actors.hosts.free_carrier import PeerClock
from dyadnet_actors.protocol.pace import GUESS, MEMORY, QUIET, Delays, Pacer, around
from tests.actors.coordination.test_lockstep import IMPERFECT, settings_of
from tests.actors.threads import ThreadWorkers, threaded

# How old messages are


@given(ahead=st.integers(-(10**12), 10**12), there=st.integers(10**5, 10**8), back=st.integers(10**5, 10**8))
def test_ages_need_no_common_clock(ahead: int, there: int, back: int) -> None:
    """A clock is known up to half of the difference between the ways there and back."""
    line = PeerClock()
    sent = 10**13
    theirs = sent + there + ahead
    line.trips.append((there + back, theirs - (sent + sent + there + back) // 2))
    line.trips.append((there + back + 10**9, 5))
    assert line.ahead is not None
    assert abs(line.ahead - ahead) <= abs(there - back) // 2 + 1


def test_no_more_than_two_packets_are_under_way() -> None:
    line = PeerClock()
    line.pending.extend([7, 9])
    line.acknowledge(6)
    assert list(line.pending) == [7, 9]
    line.acknowledge(8)
    assert list(line.pending) == [9]


# How fast to move


def slowest_growth(rho: float, real: bool, ratio: float) -> float:
    """How much a mode of T·ȧ = −a + e·a(t−δ), e = −ρ or iρ, grows over the last half of 60 δ; T = ratio·δ."""
    steps = 200
    mode = -rho if real else 1j * rho
    history = np.ones(60 * steps, dtype=complex)
    for t in range(steps, len(history) - 1):
        history[t + 1] = history[t] + (mode * history[t - steps] - history[t]) / (ratio * steps)
    half = len(history) // 2
    return float(np.abs(history[-steps:]).max() / np.abs(history[half : half + steps]).max())


@pytest.mark.parametrize("rho", [1.3, 2.4, 5.0])
@pytest.mark.parametrize("sign", [-1, 1])
def test_the_time_constant_lies_at_the_edge_of_stability(rho: float, sign: int) -> None:
    edge = time_constant(rho, sign, 1.0)
    if edge > SHORTEST:
        assert slowest_growth(rho, sign > 0, 1.1 * edge) < 1
        assert slowest_growth(rho, sign > 0, 0.9 * edge) > 1
    assert slowest_growth(rho, sign > 0, time_constant(rho, sign, 2.0)) < 1


@pytest.mark.parametrize("sign", [-1, 1])
def test_modes_that_cannot_circle_ask_for_no_slowness(sign: int) -> None:
    assert time_constant(0.9, sign, 2.0) == SHORTEST


def test_the_delay_is_the_mean_over_time_and_no_pause_of_the_machine() -> None:
    assert Delays.of(np.zeros((0, 3))) == ([0.0, 0.0], [0.0, 0.0])
    found = Delays.of(np.array([[2.0, 0.0, 1.0], [8.0, 0.0, 3.0]]))
    assert found.mean == [pytest.approx((2 + 3 * 7.7) / 4), 0.0], "8 counts as the 95 % quantile; of one nothing came"
    paused = Delays.of(np.array([[0.004, 0.002]] * 99 + [[0.5, 0.5]]))
    assert paused.longest == [pytest.approx(0.004)]
    assert paused.mean == [pytest.approx(0.004)]


def test_of_two_that_hear_each_other_the_mean_of_both_ways_counts() -> None:
    """Three hosts in a chain, the first of which hears old messages."""
    chain = [Delays([0, 9, 0], [0, 12, 0]), Delays([1, 0, 4], [2, 0, 5]), Delays([0, 4, 0], [0, 5, 0])]
    assert around(chain) == (5.0, 12)
    alone = [Delays([3.0], [4.0])]
    assert around(alone) == (3.0, 4.0)


def test_the_pace_follows_the_middle_of_recent_delays() -> None:
    pacer = Pacer(FreeRunning(), span=0.25)

    def note(mean: float, longest: float) -> None:
        pacer.note([Delays([0.0, mean], [0.0, longest]), Delays([mean, 0.0], [longest, 0.0])])

    assert pacer.pace(3.0).time_constant == pytest.approx(3 * GUESS)
    note(0.5, 0.9)
    assert pacer.pace(3.0).time_constant == pytest.approx(1.5)
    assert pacer.last.window == pytest.approx(QUIET * 0.9 + 0.25 * 0.5)
    for _ in range(MEMORY - 1):
        note(0.002, 0.003)
    assert pacer.pace(3.0).time_constant == pytest.approx(0.006)
    assert pacer.last.window == pytest.approx(QUIET * 0.003 + 0.0005)
    assert pacer.last.span == pytest.approx(0.0005)
    fixed = Pacer(FreeRunning(time_constant=40)).pace(40.0)
    assert fixed.time_constant == pytest.approx(0.04)
    assert fixed.delay == 0.0


def test_larger_minibatches_are_expected_to_be_slower() -> None:
    pacer = Pacer(FreeRunning())
    pacer.pace(1.0, 100)
    pacer.note([Delays([0.004], [0.006])])
    assert pacer.pace(1.0, 500).time_constant == pytest.approx(0.02)
    assert pacer.pace(1.0, 50).time_constant == pytest.approx(0.004)
    pacer.pace(1.0, 500)
    pacer.note([Delays([0.01], [0.01])])
    assert pacer.pace(1.0, 500).time_constant == pytest.approx(0.01)
    assert pacer.pace(1.0, 100).time_constant == pytest.approx(0.004)


# Whole networks on threads


def free(**values: Any) -> RunConfig:
    """A short free run on a small chain."""
    base = settings_of(dynamics={"mode": {"kind": "free"}}, engine="ray", probe={})
    base["learning"] = {"epochs": 1, "minibatch": 20, "evaluation_batch": 40}
    base["cluster"] = {"timeout": 60}
    for path, value in values.items():
        section, _, key = path.partition("__")
        base[section] = base.get(section, {}) | {key: value}
    return RunConfig.read(base)


def settled(config: RunConfig, dataset: Dataset, *, carried: bool = False) -> tuple[ActorEngine, Coordinator]:
    """A coordinator over free-running threads."""
    engine = threaded(config, dataset, carried=carried)
    return engine, Coordinator(config, dataset.sizes, engine)


@pytest.mark.parametrize("prospective", ["none", "auto"])
@pytest.mark.parametrize("carried", [False, True])
@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0, 0.25])
def test_it_settles_where_lockstep_settles(lam: float, carried: bool, prospective: str) -> None:
    layered = {"inputs": 64, "hidden": [14, 12], "outputs": 10, "gain": 1.4, "lam": lam}
    dataset = load("digits").limited(60, 20)
    config = free(network__layered=layered, dynamics__tolerance=1e-4, dynamics__prospective=prospective)
    alone = RunConfig.read(settings_of(network__layered=layered, dynamics={"tolerance": 1e-4}))
    engine, coordinator = settled(config, dataset, carried=carried)
    local = LocalEngine(alone, dataset)
    try:
        for _ in range(2):
            found = coordinator.evaluate("test")
        expected = Coordinator(alone, dataset.sizes, local).evaluate("test")
        assert found.summary()["capped"] == 0
        assert found.loss == pytest.approx(expected.loss, rel=2e-3)
        assert found.accuracy == pytest.approx(expected.accuracy, abs=0.051)
    finally:
        engine.close()
        local.close()


def test_updates_and_budget_end_a_phase_that_need_not_settle() -> None:
    dataset = load("digits").limited(60, 20)
    for mode, least in (({"settle": False, "updates": 30}, 30), ({"settle": False, "budget": 0.3}, 1)):
        config = free(dynamics__mode={"kind": "free"} | mode)
        engine, coordinator = settled(config, dataset)
        try:
            summary = coordinator.evaluate("test").summary()
            assert summary["capped"] == 0
            assert min(block["updates"] for block in summary["blocks"].values()) >= least
        finally:
            engine.close()


def test_the_record_tells_ages_rates_and_what_was_stale() -> None:
    dataset = load("digits").limited(60, 20)
    engine, coordinator = settled(free(), dataset)
    try:
        coordinator.evaluate("test")
        spent = engine.machinery()
        assert 0 < spent.pace["delay_ms"] < 1e4
        assert {(source, actor) for actor, found in spent.actors.items() for source in found["edges"]} == {
            ("h2", "host 0"),
            ("h1", "host 1"),
            ("out", "host 1"),
            ("h2", "host 2"),
        }
        for found in spent.actors.values():
            assert found["updates_per_second"] > 0
            for edge in found["edges"].values():
                # How fast a sender is becomes known with its second message.
                assert 0 < sum(edge["age_updates"]) <= sum(edge["age_ms"])
                assert edge["letters"] > 0
                assert edge["dropped_stale"] >= 0
    finally:
        engine.close()


def test_a_straggler_is_held_up_and_updates_no_oftener_than_others() -> None:
    dataset = load("digits").limited(60, 20)
    config = free(cluster__slow={"h2": 400}, dynamics__mode={"kind": "free", "settle": False, "budget": 1.0})
    workers = ThreadWorkers(config, dataset)
    engine = ActorEngine(config, workers)
    try:
        blocks = Coordinator(config, dataset.sizes, engine).evaluate("test").summary()["blocks"]
        # Others may keep its pace, because they follow the age of what they read, but none is slower than it is.
        assert blocks["h2"]["updates"] <= 1.1 * min(blocks["h1"]["updates"], blocks["out"]["updates"])
        spent = engine.machinery().actors
        # However busy the machine: what it does takes 400 times as long, most of which it does nothing.
        straggler, *others = (spent[label] for label in ("host 1", "host 0", "host 2"))
        assert straggler["held"] > 10 * (straggler["computing"] + straggler["sending"])
        assert all(found["held"] == 0 for found in others)
    finally:
        engine.close()


# Channels and devices that are not ideal


def test_delays_in_milliseconds_are_measured_wherever_the_blocks_are() -> None:
    """With one actor a block and with one for all, what is read is at least as old as the delay."""
    dataset = load("digits").limited(60, 20)
    for actors in (1, 3):
        mode = {"kind": "free", "settle": False, "budget": 0.5, "delay": 40}
        config = free(dynamics__mode=mode, cluster__actors=actors)
        engine, coordinator = settled(config, dataset)
        try:
            summary = coordinator.evaluate("test").summary()
            pace = engine.machinery().pace
            assert 40 <= pace["delay_ms"] <= pace["longest_ms"] < 1000
            for counts in summary["edges"].values():
                assert 0 < counts["delayed"] <= counts["messages"]
                assert counts["dropped"] == 0
        finally:
            engine.close()


def test_it_settles_to_the_same_loss_behind_delays_and_losses() -> None:
    dataset = load("digits").limited(60, 20)
    mode = {"kind": "free", "delay": {"kind": "uniform", "low": 1, "high": 15}}
    config = free(
        dynamics__mode=mode,
        dynamics__tolerance=1e-4,
        imperfections__channel={"loss": 0.2, "duplication": 0.2, "send_on_delta": 1e-5},
        imperfections__device={"time_constants": 0.3},
    )
    alone = RunConfig.read(settings_of(dynamics={"tolerance": 1e-4}))
    engine, coordinator = settled(config, dataset)
    local = LocalEngine(alone, dataset)
    try:
        found = coordinator.evaluate("test")
        expected = Coordinator(alone, dataset.sizes, local).evaluate("test")
        assert found.summary()["capped"] == 0
        assert found.loss == pytest.approx(expected.loss, rel=5e-3)
        edges = found.summary()["edges"].values()
        sent, dropped, duplicated = (sum(c[name] for c in edges) for name in ("messages", "dropped", "duplicated"))
        assert dropped / sent == pytest.approx(0.2 * 1.2, abs=0.08)
        assert duplicated / sent == pytest.approx(0.2 * 0.8, abs=0.08)
    finally:
        engine.close()
        local.close()


def test_it_learns_from_averages_under_noise() -> None:
    dataset = load("digits").limited(60, 20)
    mode = {"kind": "free", "settle": False, "updates": 40, "delay": 2}
    config = free(
        dynamics__mode=mode, imperfections__channel=IMPERFECT["channel"], imperfections__device=IMPERFECT["device"]
    )
    workers = ThreadWorkers(config, dataset)
    engine = ActorEngine(config, workers)
    try:
        line = Coordinator(config, dataset.sizes, engine).epoch(0)
        assert all(count > 0 for counts in line["train"]["edges"].values() for count in counts.values())
        assert "test_ideal" in line
        relaxation = Coordinator(config, dataset.sizes, engine)
        relaxation.evaluate("test")
        for host in workers.hosts:
            for block in host.group.lane(0).state.blocks[: len(host.blocks)]:
                assert 0 < block[c.S_AVERAGED] <= block[c.S_COUNT] - 20
    finally:
        engine.close()


def test_free_running_under_noise_must_not_wait_until_it_settles() -> None:
    with pytest.raises(ConfigError, match=r"dynamics\.mode\.settle: True .*under noise nothing settles"):
        free(imperfections__channel={"additive": {"mean": 0.1}})


# What makes no sense without ticks


@pytest.mark.parametrize(
    ("field", "value"),
    [("clock", "every-tick"), ("delay", 3), ("step", 0.5), ("lanes", 2), ("sweeps", 10), ("fixed", True)],
)
def test_settings_in_ticks_are_refused(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"dynamics\.{field}: .* there are no ticks in mode free"):
        free(**{f"dynamics__{field}": value})


@pytest.mark.parametrize(
    ("mode", "complaint"),
    [
        ({"budget": 500}, r"dynamics\.mode\.budget: 500.* below cluster\.timeout"),
        ({"updates": 0}, r"dynamics\.mode\.updates: 0"),
        ({"margin": -1}, r"dynamics\.mode\.margin: -1"),
        ({"pace": 1}, r"dynamics\.mode\.pace: 1 .* unknown key"),
    ],
)
def test_a_mode_that_cannot_be_is_refused(mode: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        free(dynamics__mode={"kind": "free"} | mode)


def test_a_straggler_must_exist() -> None:
    with pytest.raises(ConfigError, match=r"cluster\.slow: 'h9' .* one of h1, h2, out"):
        free(cluster__slow={"h9": 4})
