"""What a coordinator tells is kept in order, once, and known to be kept."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyadnet.errors import DyadnetError
from dyadnet.runs.watcher import Silent
from dyadnet_actors.coordination.event_queue import EventQueue, relay


class Kept(Silent):
    """A recorder and watcher that keeps what it is told."""

    name = "kept"

    def __init__(self) -> None:
        self.lines: list[Any] = []

    def metrics(self, line: dict[str, Any]) -> None:
        """See `Recorder`."""
        self.lines.append(line)

    def settle(self) -> None:
        """See `Recorder`."""

    def warning(self, text: str) -> None:
        """See `ProgressCallback`."""
        self.lines.append(text)

    def minibatch(self, epoch: int, index: int, loss: float, accuracy: float, sweeps: float) -> None:
        """See `ProgressCallback`."""
        self.lines.append(index)


@given(st.lists(st.one_of(st.integers(0, 9), st.text(max_size=3), st.none()), max_size=40))
def test_every_line_comes_once_and_in_order(calls: list[int | str | None]) -> None:
    news, kept = EventQueue("run"), Kept()
    told: list[Any] = []
    for call in calls:
        if call is None:
            relay(news.take(0), kept, kept)  # type: ignore[arg-type]
        elif isinstance(call, str):
            news.warning(call)
            told.append(call)
        else:
            news.metrics({"number": call})
            told.append({"number": call})
    relay(news.take(0), kept, kept)  # type: ignore[arg-type]
    assert kept.lines == told


@given(st.integers(1, 30), st.integers(1, 40))
def test_nobody_needs_to_listen(limit: int, count: int) -> None:
    news = EventQueue("run", limit=limit)
    for number in range(count):
        news.warning(str(number))
    told = [arguments[0] for _, arguments in news.take(0)]
    assert told == [str(number) for number in range(count)][-limit:]


def test_of_progress_only_the_newest_is_told() -> None:
    news, kept = EventQueue("run"), Kept()
    for index in range(5):
        news.minibatch(0, index, 0.0, 0.0, 1.0)
    news.warning("careful")
    news.minibatch(0, 5, 0.0, 0.0, 1.0)
    relay(news.take(0), kept, kept)  # type: ignore[arg-type]
    assert kept.lines == [4, "careful", 5]


def test_it_is_settled_once_the_next_is_asked_for_and_not_before() -> None:
    news = EventQueue("run")
    news.metrics({"number": 1})
    settled = threading.Event()

    def settle() -> None:
        news.settle()
        settled.set()

    thread = threading.Thread(target=settle)
    thread.start()
    names: list[str] = []
    while names != ["metrics", "settle"]:
        assert not settled.is_set()
        names += [name for name, _ in news.take(5)]
    assert not settled.wait(0.05)
    news.take(0)
    assert settled.wait(30)
    thread.join()


def test_a_record_that_nobody_takes_ends_the_run() -> None:
    with pytest.raises(DyadnetError, match=r"nobody has taken the record for 0\.01 s"):
        EventQueue("run").settle(0.01)
