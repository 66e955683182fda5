"""Words: nobody misses one, whatever the other is at, and nobody sleeps for ever."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest
from numba import njit

from dyadnet.program.sync import words

linked = njit(nogil=True, error_model="numpy", _nrt=False)


@linked
def serve(mine, theirs, first, rounds, stall, room):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Answer each word of another with one of one's own; after some, do something else for a while."""
    x = 1
    for n in range(first, first + rounds):
        if not words.wait(theirs, n, 20_000_000_000, room):
            return n
        x = (x * 1103515245 + 12345) % 2147483648
        if stall and x % 64 == 0:
            until = words.now(room) + x % 200_000
            while words.now(room) < until:
                pass
        words.tell(mine, n)
    return -1


@linked
def ask(mine, theirs, first, rounds, stall, room):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Say a word, and wait for its answer."""
    for n in range(first, first + rounds):
        words.tell(mine, n)
        if not words.wait(theirs, n, 20_000_000_000, room):
            return n
    return -1


@linked
def meet(lines, me, rounds, stall, room):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Tell the others of each round, and wait for all of them; now and then be so late that they sleep."""
    for n in range(1, rounds + 1):
        if stall and n % 128 == 32 * me:
            until = words.now(room) + 4_000_000
            while words.now(room) < until:
                pass
        words.tell_team(lines[me], n)
        for other in range(lines.shape[0]):
            if other != me:
                words.wait_for_team(lines[other], n, room)


def room() -> Any:
    """Scratch."""
    return np.zeros(words.ROOM, dtype=np.int64)


@pytest.mark.parametrize("stall", [False, True])
@pytest.mark.parametrize("first", [1, 2**32 - 3000, 2**40 - 3000], ids=["small", "half", "round"])
def test_every_word_is_heard(first: int, stall: bool) -> None:
    both = np.full(64, first - 1, dtype=np.int64)
    mine, theirs = words.own(both), words.own(both) + 256
    found: list[int] = []
    other = threading.Thread(target=lambda: found.append(serve(theirs, mine, first, 6000, stall, room())))
    other.start()
    assert ask(mine, theirs, first, 6000, stall, room()) == -1
    other.join()
    assert found == [-1]


@pytest.mark.parametrize("stall", [False, True])
def test_threads_of_a_team_meet(stall: bool) -> None:
    lines = np.zeros((3, words.LINE), dtype=np.int64)
    others = [threading.Thread(target=meet, args=(lines, me, 2000, stall, room()), daemon=True) for me in (1, 2)]
    for other in others:
        other.start()
    meet(lines, 0, 2000, stall, room())
    for other in others:
        other.join(60)
        assert not other.is_alive()
    assert (lines[:, 0] == 2000).all()
    assert not lines[:, -1].any(), "somebody is counted who does not sleep"


def test_a_wait_ends_when_its_time_is_over() -> None:
    word = np.zeros(1, dtype=np.int64)
    began = time.monotonic()
    assert not words.wait(words.own(word), 1, 100_000_000, room())
    assert time.monotonic() - began >= 0.1


def test_who_sleeps_on_several_words_is_woken_by_any() -> None:
    both = np.zeros(64, dtype=np.int64)
    addresses = np.array([words.own(both), words.own(both) + 256])
    for which in (0, 1, 1, 0):
        seen = both[[0, 32]].copy()
        at, value = int(addresses[which]), int(both[32 * which]) + 1
        waker = threading.Timer(0.2, lambda at=at, value=value: words.tell(at, value))
        waker.start()
        began = time.monotonic()
        words.sleep(addresses, seen, 2, 20_000_000_000, room())
        # It may wake early, never late.
        assert time.monotonic() - began < 10
        waker.join()


def test_sleep_on_a_word_that_has_changed_is_none() -> None:
    both = np.array([5, 0], dtype=np.int64)
    for count in (1, 2):
        began = time.monotonic()
        seen = np.array([4, 0])
        words.sleep(np.array([words.own(both), words.own(both) + 8]), seen, count, 20_000_000_000, room())
        assert time.monotonic() - began < 10


PROGRAM = """
import numpy as np
from tests.program.test_words import *
assert not words.SLEEPS
test_every_word_is_heard(1, True)
test_threads_of_a_team_meet(True)
test_a_wait_ends_when_its_time_is_over()
"""


def test_without_a_futex_it_looks_again_and_again() -> None:
    environment = os.environ | {"DYADNET_FUTEX": "0"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
