"""The bytes of a notice: msgpack arrays, whole or refused.

Every packet is ``[version, kind, ...]``. Nothing is unpickled, and no number is believed before it is checked.
"""

from __future__ import annotations

from typing import Any

import msgpack

from dyadnet.dynamics.messages import MessageError

VERSION = 2
HELLO, SEGMENT, SLOTS = range(3)
LARGEST = 32 << 10
"""Bytes of a packet."""
MOST_PARTS = 1 << 16


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
    if type(kind) is not int or not HELLO <= kind <= SLOTS:
        raise MessageError(f"packet of kind {kind!r}")
    return fields[1:]
