"""Where a host's letters come in from other threads, to be read by the one thread that computes.

Everything that happens on a cluster happens in a numbered round: a relaxation, a power iteration, an announcement. A
host may still be in one round while a faster neighbour is in the next, so letters of a round to come are kept, and
those of a round that is over are dropped and counted.
"""

from __future__ import annotations

import contextlib
import queue
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

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


class Source(Protocol):
    """Where letters lie until the computing thread takes them."""

    @property
    def refused(self) -> Counter[str]:
        """By reason, what came and was no letter."""

    def put(self, letter: Letter) -> None:
        """Take a letter in; from any thread."""

    def take(self, timeout: float | None) -> list[Letter]:
        """Letters in the order in which they came, waiting for something up to `timeout` seconds (None: however long).

        May return early, and with nothing.
        """

    def wake(self) -> None:
        """Make `take` return; from any thread."""


class Letterbox:
    """Implements `Source` for letters that other threads of this process put there.

    A queue that is safe by itself lies between, so no lock is needed.
    """

    def __init__(self) -> None:
        self._refused: Counter[str] = Counter()
        self._queue: queue.SimpleQueue[Letter | None] = queue.SimpleQueue()

    @property
    def refused(self) -> Counter[str]:
        """See `Source`."""
        return self._refused

    def put(self, letter: Letter) -> None:
        """See `Source`."""
        self._queue.put(letter)

    def take(self, timeout: float | None) -> list[Letter]:
        """See `Source`."""
        letters = self._drained()
        if not letters and timeout != 0.0:
            with contextlib.suppress(queue.Empty):
                first = self._queue.get(timeout=timeout)
                letters = ([] if first is None else [first]) + self._drained()
        return letters

    def wake(self) -> None:
        """See `Source`."""
        self._queue.put(None)

    def _drained(self) -> list[Letter]:
        letters: list[Letter] = []
        while True:
            try:
                letter = self._queue.get_nowait()
            except queue.Empty:
                return letters
            if letter is not None:
                letters.append(letter)


class Inbox:
    """Letters in the order in which they came.

    Any thread may `put` and `close`; one thread calls `open` and `read`.

    Parameters
    ----------
    after
        Rounds up to this one were over before this life began; their letters are late.
    source
        Where they lie; a `Letterbox` unless given.

    Attributes
    ----------
    received
        Letters of this life by the host that sent them, as they came in.
    looks
        How often letters were looked for.
    waiting
        Whether they are being waited for.
    """

    def __init__(self, after: int = 0, source: Source | None = None) -> None:
        self.source: Source = source or Letterbox()
        self._early: list[Letter] = []
        self._ready: list[Letter] = []
        self._round = after
        self._after = after
        self.received: Counter[int] = Counter()
        self.looks = 0
        self.waiting = False
        self._closed = False
        self.late = 0
        self.refused = 0
        self.waited = 0.0

    def put(self, letter: Letter) -> None:
        """Take a letter in."""
        self.source.put(letter)

    def close(self) -> None:
        """Make every `read` raise `StoppedError` from now on."""
        self._closed = True
        self.source.wake()

    def open(self, number: int) -> None:
        """Begin a round: its letters that came early can be read now."""
        self._round = number
        early, self._early = self._early, []
        self._ready = []
        for letter in early:
            self._sort(letter)

    def drain(self) -> None:
        """Note what has come, for whoever asks; it can be read later."""
        self._take(0.0)

    def read(self, timeout: float | None = 0.0) -> list[Letter]:
        """Letters of this round that have come, waiting for one up to `timeout` seconds (None: however long).

        Raises
        ------
        StoppedError
            Once the inbox is closed.
        """
        if timeout == 0.0 or self._ready or self._closed:
            self._take(0.0)
        else:
            started = time.perf_counter()
            remaining = timeout
            while True:
                self._take(remaining)
                now = time.perf_counter()
                remaining = None if timeout is None else started + timeout - now
                if self._ready or self._closed or (remaining is not None and remaining <= 0):
                    break
            self.waited += now - started
        if self._closed:
            raise StoppedError("stopped")
        letters, self._ready = self._ready, []
        return letters

    def _take(self, timeout: float | None) -> None:
        self.waiting = timeout != 0.0
        letters = self.source.take(timeout)
        self.waiting = False
        for letter in letters:
            self._sort(letter)
        self.looks += 1

    def _sort(self, letter: Letter) -> None:
        if isinstance(letter, Envelope) and letter.round > self._after:
            self.received[letter.origin] += 1
        if letter.round == self._round:
            self._ready.append(letter)
        elif letter.round > self._round:
            self._early.append(letter)
        else:
            self.late += 1
