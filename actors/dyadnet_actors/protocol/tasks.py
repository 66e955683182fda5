"""Encodes the most frequent request to hosts as one byte string, which Ray sends faster than a record for each host."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

import msgpack
import numpy as np

from dyadnet.dynamics.request import Pace, Phase, Relaxation
from dyadnet.learning.update import Update

_INTEGERS = np.dtype("<i8")


def seal(relaxation: Relaxation, update: Update | None, pace: Pace | None = None) -> bytes:
    """Encode a relaxation, the update that comes before it, and its pace in real time, as bytes."""
    fields = [getattr(relaxation, name) for name in Relaxation.__slots__]
    at = Relaxation.__slots__.index("rows")
    fields[at] = np.ascontiguousarray(relaxation.rows, dtype=_INTEGERS).tobytes()
    fields[Relaxation.__slots__.index("phases")] = [astuple(phase) for phase in relaxation.phases]
    return bytes(msgpack.packb((fields, *(None if record is None else astuple(record) for record in (update, pace)))))


def unseal(blob: bytes) -> tuple[Relaxation, Update | None, Pace | None]:
    """Decode a relaxation, an update and a pace from bytes."""
    values, update, pace = msgpack.unpackb(blob)
    fields: dict[str, Any] = dict(zip(Relaxation.__slots__, values, strict=True))
    fields["rows"] = np.frombuffer(fields["rows"], dtype=_INTEGERS).astype(np.int64)
    fields["phases"] = tuple(Phase(*phase) for phase in fields["phases"])
    fields["couplings"] = tuple(fields["couplings"])
    relaxation = Relaxation(**fields)
    return relaxation, None if update is None else Update(*update), None if pace is None else Pace(*pace)
