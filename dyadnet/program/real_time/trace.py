"""Traces of real time: what one host read before each update of a relaxation, and when it made the update.

An update is identified by its number in the relaxation, counted from 1. A message is identified by its channel and the
number of the update that sent it. A host's channels are numbered as in its arena; see `dyadnet.program.arena.seen`.
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
"""Largest size of a host's trace of one relaxation, in bytes."""


@dataclass(frozen=True, slots=True)
class HostTrace:
    """The trace of one host in one relaxation.

    Attributes
    ----------
    blocks
        Blocks of the host, in block order.
    weights, states
        A checksum of each block's parameters at the beginning, and of its A, D and (m, d) at the end.
    span
        Span over which prospective neurons took differences, in nanoseconds.
    rows
        What was read, held and updated, in order: shape (rows, `TR_WIDTH`); see `dyadnet.program.tables`.
    """

    blocks: tuple[str, ...]
    weights: tuple[int, ...]
    states: tuple[int, ...]
    span: float
    rows: NDArray[np.int64]

    def packed(self) -> bytes:
        """Serialise the trace for a file; `unpacked` reads it back."""
        # Differences of columns contain similar numbers and compress well.
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
    """Collects a host's trace while it runs.

    Parameters
    ----------
    lane
        Lane of the host.
    """

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._weights = weights_of(lane)
        self._rows: list[NDArray[np.int64]] = []

    def take(self) -> None:
        """Take over the rows that were recorded since the last call."""
        self._rows.append(self._lane.recorded())

    def script(self) -> HostTrace:
        """Return the complete trace at the end."""
        self.take()
        return HostTrace(
            tuple(block.name for block in self._lane.blocks),
            self._weights,
            states_of(self._lane),
            float(self._lane.state.real[c.F_SPAN]),
            np.concatenate(self._rows),
        )


def weights_of(lane: Lane) -> tuple[int, ...]:
    """Return a checksum of each block's parameters."""
    return tuple(_checksum(block.parameters().values()) for block in lane.blocks)


def states_of(lane: Lane) -> tuple[int, ...]:
    """Return a checksum of each block's A, D and (m, d)."""
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
    """Deserialise and validate a trace that `packed` made.

    Parameters
    ----------
    phases
        Number of phases of the relaxation.

    Raises
    ------
    TraceError
        If the data are anything else.
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
    """Return the rows of a trace; no more bytes are decompressed than a valid trace may have."""
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
    """Raise an error unless a condition holds.

    Raises
    ------
    TraceError
        With the given reason.
    """
    if not holds:
        raise TraceError(why)


def _all(values: Any, kind: type) -> bool:
    return type(values) is list and all(type(value) is kind for value in values)
