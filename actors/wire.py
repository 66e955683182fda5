"""Letters as single byte strings: a call with one argument costs Ray two thirds of a call with five.

An envelope is the length of its head, the head (msgpack: version, round, origin, stamps, sizes of the parts), and the
parts one after the other: header and buffer of each message (`dyadnet.messages`). Reports and decisions are
msgpack. Nothing is ever unpickled, and no size is believed before it is checked.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import msgpack

from actors.inbox import Decision, Envelope
from actors.judges import Given
from actors.transport import Report
from dyadnet.messages import MessageError

VERSION = 1
_LENGTH = struct.Struct("<I")
_MOST_PARTS = 1 << 16
VERDICTS = ("continue", "settled", "capped", "diverged")


def seal(envelope: Envelope) -> bytes:
    """An envelope as bytes."""
    sizes = [memoryview(part).nbytes for part in envelope.parts]
    head = msgpack.packb((VERSION, envelope.round, envelope.origin, envelope.stamps, sizes))
    return b"".join((_LENGTH.pack(len(head)), head, *envelope.parts))


def unseal(blob: bytes) -> Envelope:
    """The envelope of some bytes; its parts are views of them.

    Raises
    ------
    MessageError
        If they are none, or of another version.
    """
    view = memoryview(blob)
    if len(view) < _LENGTH.size:
        raise MessageError("too short for an envelope")
    end = _LENGTH.size + _LENGTH.unpack_from(view)[0]
    version, number, origin, stamps, sizes = _unpacked(view[_LENGTH.size : end], 5)
    if version != VERSION:
        raise MessageError(f"envelope of version {version!r}, not {VERSION}")
    if not _counts((number, origin)) or not isinstance(sizes, list) or not _counts(sizes):
        raise MessageError("an envelope's counts are not whole numbers")
    if not isinstance(stamps, list) or not all(type(stamp) in (float, int) for stamp in stamps):
        raise MessageError("an envelope's stamps are not numbers")
    if len(sizes) % 2 or end + sum(sizes) != len(view):
        raise MessageError("an envelope's parts do not fill it")
    parts: list[memoryview] = []
    for size in sizes:
        parts.append(view[end : end + size])
        end += size
    return Envelope(number, origin, parts, tuple(stamps))


def seal_report(report: Report) -> bytes:
    """A report as bytes."""
    content = report.content
    if isinstance(content, Given):
        content = {"given": (content.kinds, content.block, content.why)}
    return bytes(msgpack.packb((report.round, report.lane, report.check, report.host, content)))


def unseal_report(blob: bytes) -> Report:
    """The report of some bytes.

    Raises
    ------
    MessageError
        If they are none.
    """
    number, lane, check, host, content = _unpacked(memoryview(blob), 5)
    if not _counts((number, lane, check, host)):
        raise MessageError("a report's counts are not whole numbers")
    if isinstance(content, dict) and set(content) == {"given"}:
        content = _given(content["given"])
    return Report(number, lane, check, host, content)


def seal_decision(decision: Decision) -> bytes:
    """A decision as bytes."""
    return bytes(msgpack.packb((decision.round, decision.lane, decision.check, decision.content)))


def unseal_decision(blob: bytes) -> Decision:
    """The decision of some bytes.

    Raises
    ------
    MessageError
        If they are none.
    """
    number, lane, check, content = _unpacked(memoryview(blob), 4)
    if not _counts((number, lane, check)):
        raise MessageError("a decision's counts are not whole numbers")
    return Decision(number, lane, check, content)


def _given(fields: Any) -> Given:
    if type(fields) is not list or [type(field) for field in fields] != [list, str, str]:
        raise MessageError("verdicts of other fields")
    kinds, block, why = fields
    if not all(type(kind) is str and kind in VERDICTS for kind in kinds):
        raise MessageError("verdicts that there are not")
    return Given(tuple(kinds), block, why)


def _unpacked(blob: memoryview, length: int) -> list[Any]:
    try:
        fields = msgpack.unpackb(blob, max_array_len=_MOST_PARTS)
    except (ValueError, msgpack.exceptions.UnpackException) as problem:
        raise MessageError(f"not msgpack: {problem}") from None
    if not isinstance(fields, list) or len(fields) != length:
        raise MessageError(f"not {length} fields")
    return fields


def _counts(values: Sequence[Any]) -> bool:
    return all(type(value) is int and 0 <= value < 2**63 for value in values)
