"""The bytes of a notice: msgpack arrays, accepted as a whole or refused.

Every packet is ``[version, kind, ...]``. Nothing is unpickled, and no number is used before it is checked.
"""

from __future__ import annotations

from typing import Any

import msgpack

from dyadnet.dynamics.messages import MessageError

VERSION = 2
HELLO, SEGMENT, SLOTS = range(3)
LARGEST = 32 << 10
"""Maximum size of a packet in bytes."""
MOST_PARTS = 1 << 16


def pack(kind: int, *fields: Any) -> bytes:
    """Encode a packet."""
    return bytes(msgpack.packb((VERSION, kind, *fields)))


def unpack(packet: Any) -> list[Any]:
    """Return the kind and the further fields of a packet.

    Raises
    ------
    MessageError
        If the bytes are not a packet, or have another version.
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
