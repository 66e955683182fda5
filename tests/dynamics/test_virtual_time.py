"""Virtual time: what arrives when, who fires when, and that neither depends on who asks."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dyadnet.dynamics.request import Phase
from dyadnet.engines.local import LocalEngine, cores
from dyadnet.network.description import layered
from dyadnet.numerics.rng import Stream
from dyadnet.timing.clocks import Bernoulli, Periodic
from dyadnet.timing.delays import Constant, Geometric, Uniform
from tests.reference.channels import ReceivingEnd
from tests.reference.clocks import Moment, fires, mask
from tests.reference.engine import ReferenceEngine
from tests.support import Settler, cyclic
from tests.support import reference as engine

CLOCKS: list[dict[str, Any]] = [
    {"kind": "auto"},
    {"kind": "every-tick"},
    {"kind": "periodic", "period": 3, "phase": 1},
    {"kind": "bernoulli", "p": 0.4},
    {"kind": "bernoulli", "p": 0.4, "unit": "neuron"},
]
DELAYS: list[dict[str, Any]] = [
    {"kind": "constant", "ticks": 1},
    {"kind": "constant", "ticks": 3},
    {"kind": "uniform", "low": 1, "high": 4},
    {"kind": "uniform", "low": 1, "high": 4, "draw": "channel"},
    {"kind": "geometric", "p": 0.4, "maximum": 6},
    {"kind": "geometric", "p": 0.4, "maximum": 6, "draw": "neuron"},
]


def states(built: LocalEngine | ReferenceEngine) -> list[np.ndarray[Any, Any]]:
    """A and D of every block and lane."""
    return [getattr(d, x).copy() for name in built.blocks for d in built.lanes(name) for x in ("A", "D")]


def same(one: list[np.ndarray[Any, Any]], other: list[np.ndarray[Any, Any]]) -> bool:
    """Whether all arrays agree to the bit."""
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("clock", CLOCKS, ids=lambda c: "-".join(map(str, c.values())))
@pytest.mark.parametrize("delay", DELAYS, ids=lambda d: "-".join(map(str, d.values())))
def test_a_block_expects_just_the_messages_that_come(clock: dict[str, Any], delay: dict[str, Any]) -> None:
    """An independent tick loop notes every arrival; `expects` names each (source, kind, send tick) beforehand."""
    built = engine(cyclic(), clock=clock, delay=delay)
    Settler(built, step=0.3).run(Phase("dyadic", 0.3, 1, fixed=True))
    dyads = {name: lanes[0] for name, lanes in built.dyads.items()}
    start = max(dyad.course.tick for dyad in dyads.values())
    for dyad in dyads.values():
        dyad.mail._pending.clear()
    arrivals: dict[tuple[str, int], set[tuple[str, str, int]]] = {}
    for tick in range(start + 1, start + 30):
        for name, dyad in dyads.items():
            expected = {e for e in dyad.expects(tick) if e[2] > start}
            assert expected == arrivals.get((name, tick), set()), (name, tick)
        for dyad in dyads.values():
            for message in dyad.fire(tick):
                target = dyads[message.target]
                before = len(target.mail._pending)
                target.receive(message)
                fresh = sorted(target.mail._pending, key=lambda entry: entry[3])[before - len(target.mail._pending) :]
                for entry in fresh:
                    key = (message.target, entry[0])
                    arrivals.setdefault(key, set()).add((message.source, message.kind, message.tick))
    built.close()


@pytest.mark.parametrize("delay", DELAYS, ids=lambda d: "-".join(map(str, d.values())))
def test_the_order_in_which_blocks_are_visited_does_not_matter(delay: dict[str, Any]) -> None:
    found = []
    for backwards in (False, True):
        built = engine(cyclic(), clock={"kind": "bernoulli", "p": 0.6}, delay=delay, dtype="float32")
        settler = Settler(built, step=0.3)
        settler.run(Phase("free", 0.0, 1, fixed=True))
        names = list(built.dyads)
        dyads = {name: built.dyads[name][0] for name in (reversed(names) if backwards else names)}
        for tick in range(3, 40):
            for dyad in dyads.values():
                for message in dyad.fire(tick):
                    dyads[message.target].receive(message)
        found.append(states(built))
        built.close()
    assert same(*found)


@pytest.mark.parametrize("clock", CLOCKS, ids=lambda c: "-".join(map(str, c.values())))
@pytest.mark.parametrize("delay", DELAYS, ids=lambda d: "-".join(map(str, d.values())))
def test_a_block_goes_back_to_a_snapshot_and_on_to_the_same_bits(clock: dict[str, Any], delay: dict[str, Any]) -> None:
    built = engine(layered(6, [9, 8], 4, lam=0.0), clock=clock, delay=delay, dtype="float32", lanes=1)
    Settler(built, step=0.3).run(Phase("free", 0.0, 2, fixed=True), Phase("nudged", 0.3, 2, fixed=True))
    dyads = {name: lanes[0] for name, lanes in built.dyads.items()}
    kept = {name: dyad.snapshot() for name, dyad in dyads.items()}
    start = 4 * built.timing.sweep
    ends = []
    for _ in range(3):
        for tick in range(start + 1, start + 25):
            for dyad in dyads.values():
                for message in dyad.fire(tick):
                    dyads[message.target].receive(message)
        ends.append(states(built))
        counts = [dyad.course.copy() for dyad in dyads.values()]
        for name, dyad in dyads.items():
            dyad.restore(kept[name])
    assert same(ends[0], ends[1])
    assert same(ends[1], ends[2])
    assert all(course.updates > 0 for course in counts)
    built.close()


@pytest.mark.parametrize("threads", [1, 5])
def test_threads_change_no_bit(threads: int) -> None:
    network = layered(6, [9, 8], 4, lam=0.0)
    dynamics: dict[str, Any] = {"lanes": 3, "dtype": "float32", "tolerance": 1e-5, "tolerance_difference": 1e-5}
    reference = engine(network, samples=12, **dynamics)
    other = LocalEngine(reference.config, reference._dataset, threads=threads)
    Settler(reference, samples=12).nudged(0.2)
    Settler(other, samples=12).nudged(0.2)
    assert same(states(reference), states(other))
    reference.close()
    other.close()


def test_lanes_settle_independently() -> None:
    """Each lane has the state that a whole minibatch of its rows alone would have, and may stop at another tick."""
    built = engine(layered(6, [9, 8], 4, lam=0.0), samples=6, lanes=2)
    whole = engine(layered(6, [9, 8], 4, lam=0.0), samples=6, lanes=1)
    Settler(built, samples=6).nudged(0.2)
    Settler(whole, samples=6).nudged(0.2)
    for name in built.dyads:
        halves = np.concatenate([lane.A for lane in built.dyads[name]])
        np.testing.assert_allclose(halves, whole.dyads[name][0].A, atol=1e-11)
    built.close()
    whole.close()


def test_newest_send_tick_wins_and_what_comes_late_is_counted() -> None:
    built = engine(layered(6, [9, 8], 4, lam=0.0), delay={"kind": "uniform", "low": 1, "high": 6}, clock="every-tick")
    outcome = Settler(built, step=0.1).run(Phase("free", 0.0, 40, fixed=True))
    assert sum(report.stale for report in outcome.reports) > 10
    constant = engine(layered(6, [9, 8], 4, lam=0.0), delay=6, clock="every-tick")
    outcome = Settler(constant, step=0.1).run(Phase("free", 0.0, 40, fixed=True))
    assert sum(report.stale for report in outcome.reports) == 0
    built.close()
    constant.close()


def test_the_two_ends_of_each_channel_count_their_parts() -> None:
    delay = {"kind": "uniform", "low": 1, "high": 6}
    built = engine(layered(6, [9, 8], 4, lam=0.0), delay=delay, clock="every-tick", lanes=2)
    outcome = Settler(built, step=0.1).run(Phase("free", 0.0, 40, fixed=True))
    edges = outcome.reports.edges()
    assert set(edges) == {"h1>h2 state", "h2>out state", "h2>h1 feedback", "out>h2 feedback"}
    assert sum(counts["stale"] for counts in edges.values()) == sum(report.stale for report in outcome.reports)
    for counts in edges.values():
        assert counts["messages"] == 80
        assert 40 < counts["delayed"] <= 80
        assert counts["dropped"] == counts["duplicated"] == counts["quantised"] == counts["suppressed"] == 0
    assert edges["h1>h2 state"]["values"] == 40 * 5 * 9
    built.close()


def test_an_unchanged_stream_costs_no_product_again() -> None:
    """Once a feedforward network's means stand still, its feedback and state arrays are the same objects."""
    built = engine(layered(6, [9, 8], 4, lam=0.5), clock="every-tick", initial="feedforward")
    Settler(built).nudged(0.1)
    dyads = {name: lanes[0] for name, lanes in built.dyads.items()}

    def run(ticks: range) -> None:
        for tick in ticks:
            for dyad in dyads.values():
                for message in dyad.fire(tick):
                    dyads[message.target].receive(message)

    run(range(1000, 1100))
    since = {name: (dyad.course.mean_since, dyad.course.difference_since) for name, dyad in dyads.items()}
    payload = dyads["out"].sender.feedback["h2"].payload
    run(range(1100, 1110))
    assert {name: (d.course.mean_since, d.course.difference_since) for name, d in dyads.items()} == since
    assert dyads["out"].sender.feedback["h2"].payload is payload
    built.close()


def test_streams_that_kappa_makes_zero_are_not_sent() -> None:
    built = engine(layered(6, [9, 8], 4, lam=0.5))
    Settler(built).nudged(0.1)
    state = built.dyads["h2"][0].held["h1", "state"]
    feedback = built.dyads["h1"][0].held["h2", "feedback"]
    assert (state.mean, state.difference, state.payload.shape[0]) == (True, False, 1)
    assert (feedback.mean, feedback.difference, feedback.payload.shape[0]) == (False, True, 1)
    built.close()


def test_the_first_messages_are_ideal_and_not_counted() -> None:
    built = engine(layered(6, [9, 8], 4, lam=0.0), delay=50, clock="every-tick", initial="feedforward")
    outcome = Settler(built, step=0.5).run(Phase("free", 0.0, 1, fixed=True))
    assert built.dyads["h2"][0].held["h1", "state"].tick == 0
    links = {"h1": 1, "h2": 2, "out": 1}
    assert {report.block: report.messages for report in outcome.reports} == links
    built.close()


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    one=st.tuples(st.integers(0, 50), st.integers(0, 1), st.integers(0, 7), st.integers(0, 10**9)),
    other=st.tuples(st.integers(0, 50), st.integers(0, 1), st.integers(0, 7), st.integers(0, 10**9)),
)
def test_draws_depend_on_the_moment_and_on_nothing_else(seed: int, one: Any, other: Any) -> None:
    stream = Stream(seed, "delay", "a>b", "state")
    first = stream.at(*one).random(4)
    stream.at(*other).random(1000)
    assert np.array_equal(first, stream.at(*one).random(4))
    assert np.array_equal(first, Stream(seed, "delay", "a>b", "state").at(*one).random(4))
    if one != other:
        assert not np.array_equal(first, stream.at(*other).random(4))
    assert not np.array_equal(first, Stream(seed, "delay", "a>b", "feedback").at(*one).random(4))


def test_delay_laws_have_their_means() -> None:
    stream = Stream(0, "delay", "a>b", "state")
    laws = (
        (Constant(ticks=3), 3.0),
        (Uniform(low=2, high=5), 3.5),
        (Geometric(p=0.25, maximum=10**6), 4.0),
    )
    for law, mean in laws:
        end = ReceivingEnd(law, stream, 1)
        delays = np.array([end.delay(tick, Moment()) for tick in range(1, 6001)])
        assert delays.min() >= 1
        assert delays.max() <= law.largest
        assert delays.mean() == pytest.approx(mean, abs=4 * 3.5 / np.sqrt(6000))


def test_delays_by_channel_and_by_neuron_are_drawn_once() -> None:
    stream = Stream(0, "delay", "a>b", "state")
    channel = ReceivingEnd(Uniform(low=1, high=9, draw="channel"), stream, 40)
    assert len({channel.delay(tick, Moment(tick)) for tick in range(1, 50)}) == 1
    neuron = ReceivingEnd(Uniform(low=1, high=9, draw="neuron"), stream, 400)
    parts = list(neuron.arrivals(7, Moment()))
    assert [arrival - 7 for arrival, _ in parts] == list(range(1, 10))
    assert sum(int(part.sum()) for _, part in parts if part is not None) == 400


def test_clocks_fire_when_they_say() -> None:
    moment = Moment()
    assert [t for t in range(1, 13) if fires(Periodic(4, 2), t, moment)] == [3, 7, 11]
    block = Bernoulli(0.3, "block", 10, Stream(0, "clock", "a"))
    fired = np.mean([fires(block, t, moment) for t in range(1, 5001)])
    assert fired == pytest.approx(0.3, abs=0.03)
    neuron = Bernoulli(0.3, "neuron", 500, Stream(0, "clock", "a"))
    assert fires(neuron, 1, moment)
    masks = np.array([mask(neuron, t, moment) for t in range(1, 41)])
    assert masks.mean() == pytest.approx(0.3, abs=0.02)


def test_neurons_that_do_not_fire_keep_their_state() -> None:
    built = engine(layered(6, [50], 4, lam=0.0), clock={"kind": "bernoulli", "p": 0.5, "unit": "neuron"})
    settler = Settler(built, step=0.3)
    settler.run(Phase("free", 0.0, 1, fixed=True))
    hidden = built.dyads["h1"][0]
    before = hidden.A.copy()
    tick = hidden.course.tick + 1
    updated = mask(hidden.clock, tick, hidden.moment)
    assert updated is not None
    hidden.fire(tick)
    assert np.array_equal(hidden.A[:, ~updated], before[:, ~updated])
    assert np.all(hidden.A[:, updated] != before[:, updated])
    built.close()


@pytest.mark.parametrize(("delay", "stretch"), [(1, 1), (4, 4)])
def test_automatic_clock_is_red_black_stretched_to_the_largest_delay(delay: int, stretch: int) -> None:
    built = engine(layered(6, [5, 5], 4, lam=0.0), delay=delay)
    assert built.timing.clocks == {
        "h1": Periodic(2 * stretch, 0),
        "h2": Periodic(2 * stretch, stretch),
        "out": Periodic(2 * stretch, 0),
    }
    assert built.timing.rule.kind == "over-relaxed"
    built.close()


def test_stretching_makes_every_message_fresh_again() -> None:
    """Under a delay of 5, stretched red-black takes the same sweeps as red-black without."""
    sweeps = []
    for delay in (1, 5):
        built = engine(layered(6, [9, 8], 4, lam=0.0, gain=2.0), delay=delay)
        sweeps.append(Settler(built).run(Phase("free", 0.0, 500)).sweeps)
        built.close()
    assert sweeps[0] == sweeps[1]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system does not bind processes to cores")
def test_a_process_has_no_more_threads_than_it_may_use_cores() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert cores() == len(before)
