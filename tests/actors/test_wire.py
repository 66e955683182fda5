"""Letters as bytes: whole or refused."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors import wire
from actors.inbox import Decision, Envelope
from actors.transport import Report
from dyadnet.messages import MessageError


def test_an_envelope_comes_back_as_it_was() -> None:
    sent = Envelope(7, 2, [b"one", b"", b"three", b"buffer"], (0.5, 2.0))
    found = wire.unseal(wire.seal(sent))
    assert (found.round, found.origin, found.stamps) == (7, 2, (0.5, 2.0))
    assert [bytes(part) for part in found.parts] == sent.parts


def test_reports_and_decisions_come_back() -> None:
    report = Report(3, 1, 2, 0, [["h1", 4, 2, 0.25], ["h2", 4, 0, float("inf")]])
    assert wire.unseal_report(wire.seal_report(report)) == report
    for content in ("settled", 0.5, None):
        decision = Decision(9, 0, 4, content)
        assert wire.unseal_decision(wire.seal_decision(decision)) == decision


@given(junk=st.binary(max_size=80))
def test_junk_is_refused(junk: bytes) -> None:
    for read in (wire.unseal, wire.unseal_report, wire.unseal_decision):
        with pytest.raises(MessageError):
            read(junk)


@given(data=st.data())
def test_a_damaged_envelope_is_whole_or_refused(data: st.DataObject) -> None:
    blob = bytearray(wire.seal(Envelope(7, 2, [b"header", b"x" * 30])))
    for _ in range(data.draw(st.integers(1, 3))):
        blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = wire.unseal(bytes(blob))
    except MessageError:
        return
    assert sum(len(part) for part in found.parts) == 36


@pytest.mark.parametrize(
    "head",
    [
        (2, 1, 0, [], []),
        (1, -1, 0, [], []),
        (1, 1, 0, ["now"], []),
        (1, 1, 0, [], [2**40, 2**40]),
        (1, 1, 0, [], [3]),
        (1, 1, 0, []),
    ],
)
def test_an_envelope_of_another_make_is_refused(head: tuple[object, ...]) -> None:
    packed = msgpack.packb(head)
    with pytest.raises(MessageError):
        wire.unseal(len(packed).to_bytes(4, "little") + packed)
