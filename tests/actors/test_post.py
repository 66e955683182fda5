"""Letters that are not as they should be are counted and dropped, and the run does not notice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from actors.engine import ActorEngine
from actors.inbox import Envelope, Inbox
from actors.judges import LockstepJudge
from actors.shells import BlockActor
from actors.transport import Report
from dyadnet.config import RunConfig
from dyadnet.coordinator import Coordinator
from dyadnet.data import load
from dyadnet.engine.local import LocalEngine
from tests.actors.test_lockstep import Notes, record, settings_of
from tests.actors.threads import ThreadTransport, ThreadWorkers
from tests.support import rewritten


def altered(**fields: Any) -> Callable[[Envelope], Envelope]:
    """The same envelope with other fields in the header of each of its messages."""

    def alter(envelope: Envelope) -> Envelope:
        parts = list(envelope.parts)
        parts[::2] = [rewritten(header, **fields) for header in parts[::2]]
        return replace(envelope, parts=parts)

    return alter


def beheaded(envelope: Envelope) -> Envelope:
    """Headers that are no msgpack."""
    parts = list(envelope.parts)
    parts[::2] = [b"\xc1"] * len(parts[::2])
    return replace(envelope, parts=parts)


def curtailed(envelope: Envelope) -> Envelope:
    """Buffers that end early."""
    parts = list(envelope.parts)
    parts[1::2] = [memoryview(part).cast("B")[:-4] for part in parts[1::2]]
    return replace(envelope, parts=parts)


SABOTAGE: dict[str, tuple[Callable[[Envelope], Envelope], str]] = {
    "unknown kind": (altered(kind="gossip"), "malformed"),
    "unknown source": (altered(source="h7"), "malformed"),
    "wrong shape": (altered(shape=[2, 10**9, 10**9]), "malformed"),
    "wrong type": (altered(dtype="<f8"), "malformed"),
    "no such lane": (altered(lane=5), "malformed"),
    "another version": (altered(version=99), "malformed"),
    "no header": (beheaded, "malformed"),
    "short buffer": (curtailed, "malformed"),
    "earlier incarnation": (altered(incarnation=1), "of an earlier incarnation"),
    "earlier relaxation": (altered(relaxation=0), "of another relaxation"),
    "again": (lambda envelope: envelope, "twice"),
    "of a round long over": (lambda envelope: replace(envelope, round=0), "late"),
}


class Saboteur:
    """Sends every letter as it is, and a bad copy in turn before and after it."""

    def __init__(self, inner: ThreadTransport, spoil: Callable[[Envelope], Envelope]) -> None:
        self._inner = inner
        self._spoil = spoil
        self._sent = 0

    def send(self, host: int, envelope: Envelope) -> int:
        """See `Transport`."""
        self._sent += 1
        letters = [envelope, self._spoil(envelope)]
        return sum(self._inner.send(host, letter) for letter in (letters if self._sent % 2 else reversed(letters)))

    def report(self, report: Report) -> None:
        """See `Transport`."""
        self._inner.report(report)

    def flush(self) -> None:
        """See `Transport`."""

    def convene(self, judge: LockstepJudge | None) -> None:
        """See `Transport`."""

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """See `Transport`."""
        return self._inner.empty(shape, dtype)


class Counts(Notes):
    """A record in memory, with what was dropped by reason."""

    def __init__(self) -> None:
        super().__init__()
        self.dropped: Counter[str] = Counter()

    def machinery(self, line: dict[str, Any]) -> None:
        """See `Recorder`."""
        for spent in line["actors"].values():
            self.dropped.update({name: count for name, count in spent.items() if name.startswith("dropped, ")})


@pytest.mark.parametrize("what", SABOTAGE)
def test_bad_letters_are_counted_and_dropped(what: str) -> None:
    spoil, reason = SABOTAGE[what]
    dataset = load("digits").limited(60, 20)
    alone = RunConfig.read(settings_of(probe={}))
    spread = RunConfig.read(settings_of(probe={}, cluster={"actors": 3, "timeout": 20}))
    workers = ThreadWorkers(spread, dataset, incarnation=2, wrap=lambda transport: Saboteur(transport, spoil))
    engine = ActorEngine(spread, workers)
    counts = Counts()
    try:
        Coordinator(spread, dataset.shape, engine, counts).run()
    finally:
        engine.close()
    assert counts.lines == record(alone, dataset, LocalEngine(alone, dataset))
    assert set(counts.dropped) == {f"dropped, {reason}"}
    assert counts.dropped.total() > 100


def test_junk_on_the_wire_is_counted() -> None:
    inbox = Inbox()
    actor = BlockActor.__new__(BlockActor)
    actor._inbox = inbox
    for junk in (b"", b"\xff" * 40):
        actor.deliver(junk)
    assert inbox.refused == 2
    assert inbox.read() == []
