"""Channels: the laws of what they do to messages, and what they count."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dyadnet.dynamics.request import Phase
from dyadnet.imperfections.channel import Channel
from dyadnet.network.description import layered
from dyadnet.numerics.rng import Stream
from dyadnet.timing.clocks import Periodic
from dyadnet.timing.delays import Constant, Uniform
from tests.reference.channels import ReceivingEnd, SendingEnd
from tests.reference.clocks import Moment
from tests.reference.mailbox import Inbound, Mailbox
from tests.reference.messages import Message
from tests.support import Settler, cyclic
from tests.support import reference as engine

Array = np.ndarray[Any, Any]


def message(payload: Array, tick: int) -> Message:
    """A state message that was sent at a tick, with differences if there are two streams."""
    return Message("a", "b", "state", tick, tick, 1, 0, 0, payload, True, len(payload) == 2, tick, tick)


def end(channel: dict[str, Any], width: int = 50, delay: Any = None, seed: int = 3) -> ReceivingEnd:
    """The receiving end of a channel."""
    law = delay or Constant()
    stream = Stream(seed, "delay", "a>b", "state")
    return ReceivingEnd(law, stream, width, Channel.read(channel), seed=seed, entity="a>b", kind="state")


def mailbox(receiving: ReceivingEnd, start: Array) -> Mailbox:
    """A mailbox with one channel, of which the initial message is there."""
    found = Mailbox([Inbound("a", "state", 0, receiving, Periodic())])
    found.begin(1)
    found.receive(message(start, 0))
    return found


def through(channel: dict[str, Any], payloads: list[Array], delay: Any = None) -> Iterator[tuple[Array, Mailbox]]:
    """What is held after each tick, of payloads that are sent at ticks 1, 2, …"""
    sending = SendingEnd(Channel.read(channel), Stream(3, "rounding", "a>b", "state"))
    sending.begin(ideal=False)
    sending.open(message(payloads[0], 0))
    box = mailbox(end(channel, payloads[0].shape[2], delay), payloads[0])
    for tick, payload in enumerate(payloads, 1):
        box.receive(sending.send(message(payload, tick)))
        box.deliver(tick + 1)
        yield box.held["a", "state"].payload, box


# Loss and duplication


@pytest.mark.parametrize("p", [0.05, 0.3, 0.9])
def test_messages_are_lost_at_their_rate_and_independently(p: float) -> None:
    receiving = end({"loss": p})
    lost = np.array([not receiving.fate(tick, Moment(1)).arrivals for tick in range(1, 8001)])
    assert lost.mean() == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / 8000))
    both = np.mean(lost[1:] & lost[:-1])
    assert both == pytest.approx(p * p, abs=4 * np.sqrt(p * p * (1 - p * p) / 4000))


def test_each_copy_is_duplicated_lost_and_delayed_by_itself() -> None:
    receiving = end({"loss": 0.2, "duplication": 0.5}, delay=Uniform(low=1, high=4))
    fates = [receiving.fate(tick, Moment(1)) for tick in range(1, 8001)]
    copies = np.array([sum(copy for _, _, copy in fate.arrivals) for fate in fates])
    assert copies.mean() == pytest.approx(0.5 * 0.8, abs=0.025)
    assert np.mean([len(fate.lost) for fate in fates]) == pytest.approx(0.2 * 1.5, abs=0.025)
    both = np.array([[a - tick for a, _, _ in f.arrivals] for tick, f in enumerate(fates, 1) if len(f.arrivals) == 2])
    assert abs(np.corrcoef(both.T)[0, 1]) < 0.06
    assert both.mean(axis=0) == pytest.approx([2.5, 2.5], abs=0.1)


@pytest.mark.parametrize("draw", ["message", "channel", "neuron"])
def test_what_the_ends_count_is_what_happened(draw: str) -> None:
    """An independent count over fates, of a whole network."""
    delay = {"kind": "uniform", "low": 1, "high": 4, "draw": draw}
    imperfections = {"channel": {"loss": 0.2, "duplication": 0.3}}
    built = engine(layered(6, [9, 8], 4, lam=0.0), imperfections=imperfections, delay=delay, clock="every-tick")
    outcome = Settler(built, step=0.1).run(Phase("free", 0.0, 300, fixed=True))
    edges = outcome.reports.edges()
    for name, counts in edges.items():
        source, target = name.split()[0].split(">")
        receiving = built.dyads[target][0].mail._inbound[source, name.split()[1]].end  # type: ignore[index]
        fates = [receiving.fate(tick, Moment(1)) for tick in range(1, 301)]
        assert counts["dropped"] == sum(arrival <= 300 for fate in fates for arrival in fate.lost)
        last = [max((a for a, _, copy in fate.arrivals if copy), default=999) for fate in fates]
        assert counts["duplicated"] == sum(arrival <= 300 for arrival in last)
        assert counts["messages"] == 300
        assert 30 < counts["dropped"] < 120
    built.close()


# Noise


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_noise_has_its_mean_and_variance_on_each_stream(dtype: Any) -> None:
    generator = np.random.default_rng(0)
    payload = generator.uniform(-1, 1, (2, 20, 50)).astype(dtype)
    channel = {"additive": {"mean": 0.3, "difference": 0.02}, "multiplicative": {"difference": 0.5}}
    held = np.stack([found for found, _ in through(channel, [payload] * 200)])
    assert held.dtype == dtype
    error = held - payload
    n = 200 * 20 * 50
    assert error[:, 0].mean() == pytest.approx(0, abs=4 * 0.3 / np.sqrt(n))
    assert error[:, 0].std() == pytest.approx(0.3, rel=0.01)
    assert abs(np.corrcoef(error[:-1, 0].ravel(), error[1:, 0].ravel())[0, 1]) < 0.01
    expected = np.sqrt(0.02**2 + (0.5 * payload[1]) ** 2)
    assert error[:, 1].std(axis=0) == pytest.approx(expected, rel=0.25)
    assert (error[:, 1].std(axis=0) / expected).mean() == pytest.approx(1, abs=0.01)


def test_a_duplicate_has_noise_of_its_own() -> None:
    receiving = end({"duplication": 1.0, "additive": {"mean": 1.0}})
    assert receiving.transit is not None
    sent = message(np.zeros((1, 3, 50)), 5)
    one, other = (receiving.transit.disturbed(sent, copy, -2).payload for copy in (0, 1))
    assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.3


def test_a_stream_without_noise_keeps_its_bits_and_costs_no_product_again() -> None:
    payload = np.random.default_rng(0).uniform(0, 1, (2, 3, 5))
    for _, box in through({"additive": {"difference": 0.1}}, [payload] * 3):
        held = box.held["a", "state"]
        assert np.array_equal(held.payload[0], payload[0])
        assert held.mean_since > 0 > held.difference_since


# Send-on-delta


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 1000), epsilon=st.sampled_from([0.05, 0.2, 1.0]), steps=st.integers(2, 30))
def test_a_receiver_is_never_further_off_than_epsilon(seed: int, epsilon: float, steps: int) -> None:
    walk = np.cumsum(np.random.default_rng(seed).normal(0, 0.1, (steps, 2, 3, 4)), axis=0)
    sending = 0
    for index, (held, _) in enumerate(through({"send_on_delta": epsilon}, list(walk))):
        assert np.abs(held - walk[index]).max() <= epsilon
        sending += 1
    assert sending == steps


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 1000), loss=st.sampled_from([0.0, 0.3]), copies=st.sampled_from([0.0, 0.5]))
def test_newest_wins_number_by_number(seed: int, loss: float, copies: float) -> None:
    """Against an independent record of when each number that arrived was sent."""
    channel = {"send_on_delta": 0.1, "loss": loss, "duplication": copies}
    law = Uniform(low=1, high=5)
    walk = np.cumsum(np.random.default_rng(seed).normal(0, 0.1, (30, 2, 2, 4)), axis=0)
    sending = SendingEnd(Channel.read(channel))
    sending.begin(ideal=False)
    sending.open(message(walk[0], 0))
    receiving = end(channel, 4, law, seed)
    box = mailbox(receiving, walk[0])
    sent: dict[int, Array] = {}
    for tick in range(1, 40):
        box.deliver(tick)
        expected, when = walk[0].copy(), np.zeros(walk[0].shape)
        for number, payload in sent.items():
            if any(arrival <= tick for arrival, _, _ in receiving.fate(number, Moment(1)).arrivals):
                newer = ~np.isnan(payload) & (when <= number)
                expected[newer], when[newer] = payload[newer], number
        assert np.array_equal(box.held["a", "state"].payload, expected)
        if tick < 30:
            out = sending.send(message(walk[tick], tick))
            sent[tick] = out.payload
            box.receive(out)


def test_an_empty_message_still_goes_out_and_what_was_held_back_is_counted() -> None:
    sending = SendingEnd(Channel.read({"send_on_delta": {"threshold": 0.1, "difference": 0.01}}))
    sending.begin(ideal=False)
    start = np.zeros((2, 1, 4))
    sending.open(message(start, 0))
    out = sending.send(message(start, 1))
    assert np.isnan(out.payload).all()
    moved = start + 0.05
    out = sending.send(message(moved, 2))
    assert np.isnan(out.payload[0]).all()
    assert np.array_equal(out.payload[1], moved[1])
    assert sending.counts == {"messages": 2, "values": 4, "quantised": 0, "suppressed": 12}


def test_a_stream_of_which_nothing_is_new_costs_no_product_again() -> None:
    start = np.zeros((2, 1, 4))
    (_, box), (_, again) = through({"send_on_delta": 0.1}, [start, start])
    assert box is again
    held = box.held["a", "state"]
    assert (held.mean_since, held.difference_since, held.tick) == (0, 0, 2)


def test_what_was_lost_stays_as_it_was_until_it_moves_again() -> None:
    channel = {"send_on_delta": 0.1, "loss": 0.5}
    receiving = end(channel, 1)
    lost = next(tick for tick in range(2, 50) if not receiving.fate(tick, Moment(1)).arrivals)
    values = [np.zeros((1, 1, 1))] * (lost - 1) + [np.ones((1, 1, 1))] * 20
    for tick, (held, _) in enumerate(through(channel, values), 1):
        assert held[0, 0, 0] == 0.0, tick


# Quantisation


def test_messages_are_on_their_levels_and_keep_their_mark() -> None:
    payload = np.random.default_rng(0).uniform(-1, 1, (2, 3, 50))
    sending = SendingEnd(Channel.read({"quantisation": {"bits": 3, "range": [0, 1], "difference_bits": 2}}))
    sending.begin(ideal=False)
    out = sending.send(message(payload, 1))
    assert np.allclose(out.payload[0] * 7, np.rint(out.payload[0] * 7))
    scale = np.abs(payload[1]).max(axis=1, keepdims=True)
    assert set(np.unique(np.rint(out.payload[1] / scale))) == {-1.0, 0.0, 1.0}
    assert (out.mean_since, out.difference_since) == (1, 1)
    assert sending.counts["quantised"] == payload.size


def test_stochastic_rounding_is_right_on_average_and_drawn_anew() -> None:
    payload = np.full((1, 1, 4000), 0.3)
    channel = {"quantisation": {"bits": 2, "range": [0, 1], "stochastic": True}}
    first, second = (held.copy() for held, _ in through(channel, [payload, payload]))
    assert set(np.unique(first)) == {0.0, 1 / 3}
    assert first.mean() == pytest.approx(0.3, abs=0.01)
    assert not np.array_equal(first, second)


# All of it


EVERYTHING: dict[str, Any] = {
    "loss": 0.2,
    "duplication": 0.3,
    "additive": {"mean": 0.01, "difference": 0.01},
    "multiplicative": {"mean": 0.1, "difference": 0.1},
    "quantisation": {"bits": 5, "stochastic": True},
    "send_on_delta": 0.01,
}


@pytest.mark.parametrize("draw", ["message", "channel", "neuron"])
def test_a_network_goes_back_to_a_snapshot_and_on_to_the_same_bits(draw: str) -> None:
    delay = {"kind": "uniform", "low": 1, "high": 4, "draw": draw}
    imperfections = {"channel": EVERYTHING, "device": {"read_noise": 0.1, "nudge_noise": 0.1}}
    built = engine(cyclic(), imperfections=imperfections, delay=delay, dtype="float32")
    phases = Phase("free", 0.0, 4, fixed=True), Phase("nudged", 0.3, 40, fixed=True, average=36)
    Settler(built, step=0.3).run(*phases)
    dyads = {name: lanes[0] for name, lanes in built.dyads.items()}
    kept = {name: dyad.snapshot() for name, dyad in dyads.items()}
    start = max(dyad.course.tick for dyad in dyads.values())
    ends = []
    for _ in range(3):
        for tick in range(start + 1, start + 25):
            for dyad in dyads.values():
                for sent in dyad.fire(tick):
                    dyads[sent.target].receive(sent)
        ends.append(
            [
                (
                    dyad.A.tobytes(),
                    dyad.D.tobytes(),
                    dyad.readout.tobytes(),
                    dyad.mail.report(),
                    dyad.course.copy(),
                    [dict(channel.counts) for channel in dyad.sender.outbound.values()],
                )
                for dyad in dyads.values()
            ]
        )
        for name, dyad in dyads.items():
            dyad.restore(kept[name])
    assert ends[0] == ends[1] == ends[2]
    assert dyads["a"].averages.own.count == kept["a"]["averages"].own.count > 0
    built.close()
