"""Where a host's letters come in from other threads, to be read by the one thread that computes.

Everything that happens on a cluster happens in a numbered round: a relaxation, a power iteration, an announcement. A
host may still be in one round while a faster neighbour is in the next, so letters of a round to come are kept, and
those of a round that is over are dropped and counted.
"""

from __future__ import annotations

import queue
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dyadnet.errors import DyadnetError


class StoppedError(DyadnetError):
    """The host was told to stop while it computed."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """Messages from one host to another: header and buffer of each in turn.

    Attributes
    ----------
    origin
        Index of the host that sent it.
    stamps
        In free-running mode, what ages are measured by; see `actors.echo`.
    arrived
        When it was made here: on the receiving side, when it came in.
    """

    round: int
    origin: int
    parts: Sequence[Any]
    stamps: tuple[float, ...] = ()
    arrived: float = field(default_factory=time.perf_counter, compare=False)


@dataclass(frozen=True, slots=True)
class Decision:
    """What the coordinator decided at one check of one lane."""

    round: int
    lane: int
    check: int
    content: Any


Letter = Envelope | Decision


class Inbox:
    """Letters in the order in which they came.

    Any thread may `put` and `close`; one thread calls `open` and `read`. A queue that is safe by itself lies
    between, so no lock is needed.

    Parameters
    ----------
    after
        Rounds up to this one were over before this life began; their letters are late.

    Attributes
    ----------
    received
        Letters of this life by the host that sent them, as they came in.
    """

    def __init__(self, after: int = 0) -> None:
        self._queue: queue.SimpleQueue[Letter | None] = queue.SimpleQueue()
        self._early: list[Letter] = []
        self._ready: list[Letter] = []
        self._round = after
        self._after = after
        self.received: Counter[int] = Counter()
        self._closed = False
        self.late = 0
        self.refused = 0
        self.waited = 0.0

    def put(self, letter: Letter) -> None:
        """Take a letter in."""
        if isinstance(letter, Envelope) and letter.round > self._after:
            self.received[letter.origin] += 1
        self._queue.put(letter)

    def close(self) -> None:
        """Make every `read` raise `StoppedError` from now on."""
        self._closed = True
        self._queue.put(None)

    def open(self, number: int) -> None:
        """Begin a round: its letters that came early can be read now."""
        self._round = number
        early, self._early = self._early, []
        self._ready = []
        for letter in early:
            self._sort(letter)

    def read(self, timeout: float | None = 0.0) -> list[Letter]:
        """Letters of this round that have come, waiting for one up to `timeout` seconds (None: however long).

        Raises
        ------
        StoppedError
            Once the inbox is closed.
        """
        self._drain()
        if not self._ready and timeout != 0.0 and not self._closed:
            started = time.perf_counter()
            deadline = None if timeout is None else started + timeout
            while not self._ready and not self._closed:
                remaining = None if deadline is None else deadline - time.perf_counter()
                if remaining is not None and remaining <= 0:
                    break
                try:
                    self._sort(self._queue.get(timeout=remaining))
                except queue.Empty:
                    break
                self._drain()
            self.waited += time.perf_counter() - started
        if self._closed:
            raise StoppedError("stopped")
        letters, self._ready = self._ready, []
        return letters

    def _drain(self) -> None:
        while True:
            try:
                self._sort(self._queue.get_nowait())
            except queue.Empty:
                return

    def _sort(self, letter: Letter | None) -> None:
        if letter is None:
            return
        if letter.round == self._round:
            self._ready.append(letter)
        elif letter.round > self._round:
            self._early.append(letter)
        else:
            self.late += 1
