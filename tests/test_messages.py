"""The wire format: whole or refused, and nothing allocated from a number in a header before it is checked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dyadnet.messages import Address, Message, MessageError, decode, encode
from tests.support import rewritten

WIDTHS: dict[Address, int] = {("a", "b", "state"): 3, ("b", "a", "feedback"): 3}
F32 = np.dtype(np.float32)


def message(**changes: Any) -> Message:
    """A legal message of two streams, four samples and three neurons."""
    payload = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
    values: dict[str, Any] = {
        "source": "a",
        "target": "b",
        "kind": "state",
        "tick": 7,
        "sequence": 3,
        "relaxation": 11,
        "phase": 1,
        "lane": 0,
        "payload": payload,
        "mean": True,
        "difference": True,
        "mean_since": 2,
        "difference_since": 3,
        "incarnation": 5,
    }
    return Message(**(values | changes))


def test_a_message_comes_back_as_it_was() -> None:
    sent = message()
    found = decode(*encode(sent), WIDTHS, {0: 4}, F32)
    assert np.array_equal(found.payload, sent.payload)
    names = [name for name in Message.__slots__ if name != "payload"]
    assert {name: getattr(found, name) for name in names} == {name: getattr(sent, name) for name in names}


def test_the_buffer_is_the_payload_itself() -> None:
    sent = message()
    _, buffer = encode(sent)
    assert np.shares_memory(np.frombuffer(buffer, np.uint8), sent.payload)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"source": "z"}, "no channel"),
        ({"kind": "gossip"}, "no channel"),
        ({"version": 1}, "wire version 1"),
        ({"shape": [2, 4, 10**9]}, "on"),
        ({"shape": [2, 5, 3]}, "on"),
        ({"dtype": "<f8"}, "on"),
        ({"dtype": "|O"}, "on"),
        ({"tick": -1}, "count"),
        ({"lane": True}, "count"),
        ({"lane": 1}, "no lane"),
        ({"mean": 1}, "stream"),
        ({"target": 3}, "names"),
        ({"extra": 1}, "fields"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(changes: dict[str, Any], complaint: str) -> None:
    header, buffer = encode(message())
    with pytest.raises(MessageError, match=complaint):
        decode(rewritten(header, **changes), buffer, WIDTHS, {0: 4}, F32)


def test_a_short_or_long_buffer_is_refused() -> None:
    header, buffer = encode(message())
    for other in (bytes(buffer)[:-1], bytes(buffer) + b"\0", b""):
        with pytest.raises(MessageError, match="bytes on"):
            decode(header, other, WIDTHS, {0: 4}, F32)


@settings(max_examples=500, deadline=None)
@given(data=st.data())
def test_no_mutated_header_does_anything_but_decode_or_be_refused(data: st.DataObject) -> None:
    header, buffer = encode(message())
    mutated = bytearray(header)
    for _ in range(data.draw(st.integers(1, 4))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = decode(bytes(mutated), buffer, WIDTHS, {0: 4}, F32)
    except MessageError:
        return
    assert found.payload.shape == (2, 4, 3)


@given(junk=st.binary(max_size=64))
def test_junk_is_refused(junk: bytes) -> None:
    with pytest.raises(MessageError):
        decode(junk, b"", WIDTHS, {0: 4}, F32)
