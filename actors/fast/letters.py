"""The bytes of a notice: msgpack arrays, whole or refused.

Every packet is ``[version, kind, ...]``. A letter's parts alternate between a message's header
(`dyadnet.messages`), and either its numbers themselves or where they are: in a slot of the sender's memory, or in a
frame of their own behind the packet. Nothing is unpickled, and no number is believed before it is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgpack

from actors.inbox import Envelope
from dyadnet.messages import MessageError

VERSION = 1
HELLO, LETTER, SEGMENT, BOARD, FAR, REPORT, DECISION, WAKE = range(8)
LARGEST = 32 << 10
"""Bytes of a packet; a letter with more headers than that lies in a slot itself."""
MOST_PARTS = 1 << 16
Find = Callable[[list[Any]], Any]
"""Numbers by where a letter says they are; raises `MessageError`."""


def pack(kind: int, *fields: Any) -> bytes:
    """A packet."""
    return bytes(msgpack.packb((VERSION, kind, *fields)))


def unpack(packet: Any) -> list[Any]:
    """Kind and further fields of a packet.

    Raises
    ------
    MessageError
        If it is none, or of another version.
    """
    try:
        fields = msgpack.unpackb(packet)
    except (ValueError, msgpack.exceptions.UnpackException, RecursionError) as problem:
        raise MessageError(f"not msgpack: {problem}") from None
    if type(fields) is not list or len(fields) < 2:
        raise MessageError("no packet")
    if fields[0] != VERSION:
        raise MessageError(f"packet of version {fields[0]!r}, not {VERSION}")
    kind = fields[1]
    if type(kind) is not int or not HELLO <= kind <= WAKE:
        raise MessageError(f"packet of kind {kind!r}")
    return fields[1:]


def counts(values: Sequence[Any], length: int) -> Sequence[int]:
    """So many whole numbers of at least 0.

    Raises
    ------
    MessageError
        If they are not.
    """
    if len(values) != length or set(map(type, values)) != {int} or min(values) < 0 or max(values) >= 2**63:
        raise MessageError(f"not {length} whole numbers")
    return values


def letter(fields: Sequence[Any], peer: int, find: Find) -> Envelope:
    """The envelope of a packet that came from a peer.

    Raises
    ------
    MessageError
        If it is none, or claims to come from another one.
    """
    if len(fields) != 4:
        raise MessageError("a letter of other fields")
    number, origin, stamps, parts = fields
    if type(number) is not int or not 0 <= number < 2**63:
        raise MessageError("a round that is no whole number")
    if origin != peer:
        raise MessageError(f"a letter of host {origin!r}")
    if type(stamps) is not list or not all(type(stamp) in (float, int) for stamp in stamps):
        raise MessageError("stamps that are no numbers")
    if type(parts) is not list or len(parts) % 2 or len(parts) > MOST_PARTS:
        raise MessageError("parts that are no pairs")
    found: list[Any] = []
    for header, buffer in zip(parts[::2], parts[1::2], strict=True):
        if type(header) is not bytes:
            raise MessageError("a header that is no bytes")
        if type(buffer) is list:
            buffer = find(buffer)
        elif type(buffer) is not bytes:
            raise MessageError("numbers that are nowhere")
        found += (header, buffer)
    return Envelope(number, peer, found, tuple(stamps))
