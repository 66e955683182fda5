"""Packets that are not as they should be are counted and dropped, and the run does not notice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dyadnet.config import RunConfig
from dyadnet.data import load
from dyadnet.engines.local import LocalEngine
from dyadnet.training.coordinator import Coordinator
from dyadnet_actors.coordination.engine import ActorEngine
from dyadnet_actors.hosts.host import Host
from tests.actors.coordination.test_lockstep import Notes, record, settings_of
from tests.actors.threads import ThreadWorkers

Fields = list[Any]


def changed(at: int, value: Any) -> Callable[[Fields], Fields]:
    """The same packet with another field."""
    return lambda fields: [*fields[:at], value, *fields[at + 1 :]]


def item(at: int, value: Any) -> Callable[[Fields], Fields]:
    """The same packet with another field of each state in it."""

    def change(fields: Fields) -> Fields:
        if fields[0] != "slots":
            return [*fields[:3], "no word", *fields[4:]]
        states = [[*one[:at], value, *one[at + 1 :]] for one in fields[-1]]
        return [*fields[:-1], states or [[0]]]

    return change


SABOTAGE: dict[str, tuple[Callable[[Fields], Fields], str]] = {
    "no packet": (lambda fields: [], "malformed"),
    "unknown kind": (changed(0, "gossip"), "malformed"),
    "of another host": (changed(1, 7), "malformed"),
    "of an earlier life": (changed(2, 1), "of an earlier incarnation"),
    "no such lane": (lambda fields: [*fields[:3], 5, *fields[4:]] if fields[0] == "slots" else [], "malformed"),
    "no such block": (item(0, 99), "malformed"),
    "a firing that is none": (item(1, -1), "malformed"),
    "no times": (item(2, b"short"), "malformed"),
    "numbers that are cut off": (item(3, b"1234"), "malformed"),
    "fewer fields": (lambda fields: fields[:-1], "malformed"),
}


class Counts(Notes):
    """A record in memory, with what was dropped by reason."""

    def __init__(self) -> None:
        super().__init__()
        self.dropped: Counter[str] = Counter()

    def machinery(self, line: dict[str, Any]) -> None:
        """See `Recorder`."""
        for spent in line["actors"].values():
            self.dropped.update({name: count for name, count in spent.items() if name.startswith("dropped, ")})


@pytest.mark.parametrize("what", [*SABOTAGE, "again", "junk"])
def test_bad_packets_are_counted_and_dropped(what: str) -> None:
    dataset = load("digits").limited(60, 20)
    alone = RunConfig.read(settings_of(probe={}))
    spread = RunConfig.read(settings_of(probe={}, cluster={"actors": 3, "timeout": 20}))
    change, reason = SABOTAGE.get(what, (None, {"again": "late", "junk": "malformed"}.get(what)))

    def spoil(packet: bytes) -> list[bytes]:
        if what == "again":
            return [packet, packet]
        if change is None:
            return [b"\xc1" + packet, packet]
        return [msgpack.packb(change(msgpack.unpackb(packet))), packet]

    engine = ActorEngine(spread, ThreadWorkers(spread, dataset, incarnation=2, carried=True, spoil=spoil))
    counts = Counts()
    try:
        Coordinator(spread, dataset.sizes, engine, counts).run()
    finally:
        engine.close()
    assert counts.lines == record(alone, dataset, LocalEngine(alone, dataset))
    assert set(counts.dropped) == {f"dropped, {reason}"}
    assert counts.dropped.total() > 100


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    fields=st.lists(
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.binary(max_size=40) | st.text(),
            lambda inner: st.lists(inner, max_size=5),
            max_leaves=12,
        ),
        max_size=9,
    ),
    kind=st.sampled_from(["slots", "step", ""]),
)
def test_any_fields_at_all_are_taken_or_refused(fields: Fields, kind: str, hosts: ThreadWorkers) -> None:
    host: Host = hosts.hosts[0]
    assert host.carrier is not None
    refused, come = host.carrier.refused.total(), host.segments.come(1, 0)
    host.carrier.take(1, msgpack.packb([kind, 1, 0, *fields]))
    # The first step of a power iteration is a word and nothing else, and may be drawn.
    taken = kind == "step" and fields[1:] == [b"", []] and host.segments.come(1, 0) == fields[0] > come
    assert host.carrier.refused.total() == refused + (not taken)


@pytest.mark.parametrize("spoilt", [[280, None, []], [280, "", []], [280, b"", ["x" * 8]], [True, b"", []]])
def test_a_step_of_other_types_is_refused(spoilt: Fields, hosts: ThreadWorkers) -> None:
    carrier = hosts.hosts[0].carrier
    assert carrier is not None
    before = carrier.refused["malformed"]
    carrier.take(1, msgpack.packb(["step", 1, 0, *spoilt]))
    assert carrier.refused["malformed"] == before + 1


@pytest.fixture(scope="module")
def hosts() -> Any:
    """Two hosts that share no memory."""
    config = RunConfig.read(settings_of(probe={}, cluster={"actors": 2, "timeout": 20}))
    workers = ThreadWorkers(config, load("digits").limited(60, 20), carried=True)
    yield workers
    workers.close()
