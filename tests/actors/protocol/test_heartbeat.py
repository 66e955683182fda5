"""Who counts as dead, hung or cut off."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyadnet_actors.protocol.failures import ActorLostError, LinkLostError
from dyadnet_actors.protocol.heartbeat import STEP, HeartbeatMonitor, Pulse

PATIENCE = 6.0


def look(heart: HeartbeatMonitor, now: float, pulses: dict[int, Pulse]) -> Exception | None:
    """One look at a time, at which these hosts answer."""
    heart.tick(now)
    for host, pulse in pulses.items():
        heart.hear(host, pulse)
    return heart.judge()


@given(st.lists(st.floats(0.0, 100.0), max_size=60))
def test_whoever_answers_at_every_look_is_well(pauses: list[float]) -> None:
    heart = HeartbeatMonitor(["h1", "h2"], PATIENCE)
    now = 0.0
    for pause in pauses:
        now += pause
        assert look(heart, now, {0: Pulse(), 1: Pulse()}) is None


@given(st.floats(0.01, STEP), st.integers(0, 20))
def test_a_silent_host_is_named_once_its_time_is_over(pause: float, before: int) -> None:
    heart = HeartbeatMonitor(["h1", "h2", "out"], PATIENCE)
    now = 0.0
    for _ in range(before + 1):
        now += pause
        assert look(heart, now, {host: Pulse() for host in range(3)}) is None
    stopped, problem = now, None
    while problem is None:
        now += pause
        problem = look(heart, now, {0: Pulse(), 2: Pulse()})
    assert isinstance(problem, ActorLostError)
    assert problem.hosts == (1,)
    assert "actor h2 hangs: no sign of life for 6 s" in str(problem)
    assert PATIENCE - 1e-6 <= now - stopped <= PATIENCE + pause + 1e-6


def test_a_coordinator_that_was_held_up_itself_blames_nobody() -> None:
    heart = HeartbeatMonitor(["h1"], PATIENCE)
    look(heart, 0.0, {0: Pulse()})
    assert look(heart, 1000.0, {}) is None
    assert heart.silent(STEP) == [0]


def test_letters_that_were_sent_and_never_come_are_lost() -> None:
    heart = HeartbeatMonitor(["h1", "h2"], PATIENCE)
    problem, now = None, 0.0
    while problem is None:
        now += 1.0
        problem = look(heart, now, {0: Pulse({1: 12}, {1: 11}), 1: Pulse({0: 11}, {0: 11})})
    assert isinstance(problem, LinkLostError)
    assert problem.hosts == (1,)
    assert "letters from actor h1 to actor h2 are lost: 12 were sent, 11 came" in str(problem)
    assert PATIENCE <= now <= PATIENCE + 2


def test_letters_that_a_busy_host_has_not_looked_for_are_not_lost() -> None:
    heart = HeartbeatMonitor(["h1", "h2"], PATIENCE)
    sent, busy = Pulse({1: 12}), Pulse({}, {0: 11}, looks=7, waiting=False)
    for now in range(60):
        assert look(heart, float(now), {0: sent, 1: busy}) is None
    # It begins to wait just before it finds them: that alone proves nothing.
    assert look(heart, 60.0, {0: sent, 1: Pulse({}, {0: 11}, looks=7, waiting=True)}) is None
    assert look(heart, 61.0, {0: sent, 1: Pulse({}, {0: 12}, looks=8, waiting=False)}) is None


@pytest.mark.parametrize(("looks", "waiting"), [((7, 7), True), ((7, 8, 9), False)])
def test_letters_that_a_host_has_looked_for_in_vain_are(looks: tuple[int, ...], waiting: bool) -> None:
    heart = HeartbeatMonitor(["h1", "h2"], PATIENCE)
    sent = Pulse({1: 12})
    for now in range(int(PATIENCE)):
        look(heart, float(now), {0: sent, 1: Pulse({}, {0: 11}, looks=7, waiting=False)})
    found = [
        look(heart, PATIENCE + n, {0: sent, 1: Pulse({}, {0: 11}, looks=number, waiting=waiting)})
        for n, number in enumerate(looks)
    ]
    assert found[:-1] == [None] * (len(looks) - 1)
    assert isinstance(found[-1], LinkLostError)


@given(st.lists(st.tuples(st.floats(0.01, 5.9), st.integers(1, 9)), min_size=1, max_size=60))
def test_a_link_that_still_delivers_is_sound_however_far_behind(steps: list[tuple[float, int]]) -> None:
    heart = HeartbeatMonitor(["h1", "h2"], PATIENCE)
    now, received = 0.0, 0
    for pause, more in steps:
        now, received = now + pause, received + more
        assert look(heart, now, {0: Pulse({1: received + 50}), 1: Pulse({}, {0: received})}) is None
