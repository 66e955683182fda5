"""What one host did in one relaxation in real time: what it read before each update, and when it made it.

An update is known by its number in the relaxation, counted from 1. A message is known by its channel and the number of
the update that it tells of. A host's channels are numbered as in its arena; see `dyadnet.program.arena.seen`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from dyadnet.errors import TraceError
from dyadnet.program import tables as c
from dyadnet.program.lane import Lane

_WHOLE = np.dtype("<i8")
_FIELDS = 6
MOST = 2**31
"""Bytes that what a host did in one relaxation may take."""


@dataclass(frozen=True, slots=True)
class HostTrace:
    """What one host did.

    Attributes
    ----------
    blocks
        Of the host, in block order.
    weights, states
        A checksum of each block's parameters at the beginning, and of its A, D and (m, d) at the end.
    span
        Over which prospective neurons took differences, in nanoseconds.
    rows
        What was read, held and updated, in order: shape (rows, `TR_WIDTH`); see `dyadnet.program.tables`.
    """

    blocks: tuple[str, ...]
    weights: tuple[int, ...]
    states: tuple[int, ...]
    span: float
    rows: NDArray[np.int64]

    def packed(self) -> bytes:
        """As a file carries it; `unpacked` reads it back."""
        # Column by column, numbers are alike and take little room.
        columns = np.ascontiguousarray(np.diff(self.rows, axis=0, prepend=0).T, dtype=_WHOLE).tobytes()
        fields = [
            list(self.blocks),
            list(self.weights),
            list(self.states),
            self.span,
            len(self.rows),
            zlib.compress(columns, 1),
        ]
        return bytes(msgpack.packb(fields))


class TraceRecorder:
    """Writes a script while its host runs.

    Parameters
    ----------
    lane
        Of the host.
    """

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._weights = weights_of(lane)
        self._rows: list[NDArray[np.int64]] = []

    def take(self) -> None:
        """Take over what was written down."""
        self._rows.append(self._lane.recorded())

    def script(self) -> HostTrace:
        """What was written by the end."""
        self.take()
        return HostTrace(
            tuple(block.name for block in self._lane.blocks),
            self._weights,
            states_of(self._lane),
            float(self._lane.state.real[c.F_SPAN]),
            np.concatenate(self._rows),
        )


def weights_of(lane: Lane) -> tuple[int, ...]:
    """A checksum of each block's parameters."""
    return tuple(_checksum(block.parameters().values()) for block in lane.blocks)


def states_of(lane: Lane) -> tuple[int, ...]:
    """A checksum of each block's A, D and (m, d)."""
    numbers = range(len(lane.blocks))
    return tuple(
        _checksum((lane.array(number, c.B_A), lane.array(number, c.B_D), lane.streams(number))) for number in numbers
    )


def _checksum(arrays: Iterable[NDArray[Any]]) -> int:
    total = 0
    for part in arrays:
        little = np.ascontiguousarray(part, dtype=part.dtype.newbyteorder("<"))
        total = zlib.crc32(little.reshape(-1).view(np.uint8).data, total)
    return total


def unpacked(data: bytes, phases: int) -> HostTrace:
    """The script that `packed` made, checked.

    Parameters
    ----------
    phases
        That the relaxation has.

    Raises
    ------
    TraceError
        If it is anything else.
    """
    try:
        fields = msgpack.unpackb(data)
    except (ValueError, TypeError, msgpack.exceptions.UnpackException):
        raise TraceError("what a host did is not msgpack") from None
    if type(fields) is not list or len(fields) != _FIELDS:
        raise TraceError("what a host did has not the fields of this format")
    blocks, weights, states, span, count, packed = fields
    check(_all(blocks, str) and blocks, "a host has no blocks")
    check(all(_all(each, int) and len(each) == len(blocks) for each in (weights, states)), "a checksum is missing")
    check(type(span) is float and 0 <= span < float("inf"), "a span is no time")
    rows = _rows(count, packed)
    updates = rows[rows[:, c.TR_OP] == c.TR_UPDATE]
    check(set(rows[:, c.TR_OP].tolist()) <= {c.TR_HOLD, c.TR_PUT, c.TR_ARRIVE, c.TR_UPDATE}, "something else was done")
    check(np.array_equal(updates[:, c.TR_COUNT], 1 + np.arange(len(updates))), "updates are out of order")
    check(bool((updates[:, [c.TR_COPY, c.TR_WHO]] > 0).all()), "time stands still")
    check(len(updates) > 0 and rows[-1, c.TR_OP] == c.TR_UPDATE, "it ends without an update")
    steps = np.diff(updates[:, c.TR_PHASE], prepend=0)
    last = int(updates[-1, c.TR_PHASE]) if len(updates) else -1
    check(bool(((steps == 0) | (steps == 1)).all()) and last == phases - 1, "phases are out of order")
    return HostTrace(tuple(blocks), tuple(weights), tuple(states), span, rows)


def _rows(count: Any, packed: Any) -> NDArray[np.int64]:
    """The rows of a script, of which no more is unpacked than there may be."""
    check(type(count) is int and 0 < count <= MOST // (8 * c.TR_WIDTH), "it has too many rows")
    check(type(packed) is bytes, "rows are missing")
    size = 8 * c.TR_WIDTH * count
    try:
        unzip = zlib.decompressobj()
        columns = unzip.decompress(packed, size)
    except zlib.error:
        raise TraceError("rows are damaged") from None
    check(len(columns) == size and unzip.eof, "rows are cut off")
    return np.cumsum(np.frombuffer(columns, _WHOLE).reshape(c.TR_WIDTH, count).T, axis=0, dtype=np.int64)


def check(holds: object, why: str) -> None:
    """Refuse a trace unless something holds.

    Raises
    ------
    TraceError
        With the reason.
    """
    if not holds:
        raise TraceError(why)


def _all(values: Any, kind: type) -> bool:
    return type(values) is list and all(type(value) is kind for value in values)
