"""What two blocks say to each other, in memory and on the wire.

A `state` message carries (m, d) of the block that sends it to the blocks above; a `feedback` message carries
(κθᵀm, θᵀd) to the blocks below. Streams that κ makes zero, and differences before a nudge has reached a block, are
not sent.

On the wire a message is a msgpack header (an array of the fields in `HEADER`) and one raw little-endian buffer. A
header is checked against the known topology before anything is allocated from its numbers; nothing is ever unpickled.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgpack
import numpy as np
from numpy.typing import NDArray

from dyadnet.errors import DyadnetError

VERSION = 2
"""Of the wire format."""

Kind = Literal["state", "feedback"]
KINDS: tuple[Kind, ...] = ("state", "feedback")
Address = tuple[str, str, Kind]
"""(source, target, kind) of a channel."""


class MessageError(DyadnetError):
    """A message that does not fit the known topology; it is counted and dropped."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message on one channel.

    Attributes
    ----------
    source, target, kind
        Its channel.
    tick, sequence
        When it was sent in virtual time, and the how-manieth firing of the source in this relaxation that was.
        Tick 0 is the initial state, delivered at once and not counted.
    relaxation, phase, lane, incarnation
        Which settling it belongs to, and which life of its sender.
    payload
        Shape (streams, batch, n), C-contiguous: the mean stream first, if present, then the difference stream.
        Never written again once it is sent.
    mean, difference
        Which streams it carries.
    mean_since, difference_since
        Sequence number since which that stream has had these very bits; a receiver need not multiply it again.
    """

    source: str
    target: str
    kind: Kind
    tick: int
    sequence: int
    relaxation: int
    phase: int
    lane: int
    payload: NDArray[Any]
    mean: bool
    difference: bool
    mean_since: int
    difference_since: int
    incarnation: int = 0

    @property
    def means(self) -> NDArray[Any]:
        """The mean stream, shape (batch, n)."""
        view: NDArray[Any] = self.payload[0]
        return view

    @property
    def differences(self) -> NDArray[Any]:
        """The difference stream, shape (batch, n)."""
        view: NDArray[Any] = self.payload[1 if self.mean else 0]
        return view


_FIELDS = (
    "source",
    "target",
    "kind",
    "tick",
    "sequence",
    "relaxation",
    "phase",
    "lane",
    "mean_since",
    "difference_since",
    "incarnation",
    "mean",
    "difference",
)
HEADER = ("version", *_FIELDS, "shape", "dtype")
"""Fields of a header in their order."""
_NAMES, _COUNTS = slice(1, 4), slice(4, 12)
_of = operator.attrgetter(*_FIELDS)


def encode(message: Message) -> tuple[bytes, NDArray[np.uint8]]:
    """Header and numbers of a message; those are the payload's own memory where it is little-endian already."""
    payload = np.ascontiguousarray(message.payload)
    payload = payload.astype(payload.dtype.newbyteorder("<"), copy=False)
    header = msgpack.packb((VERSION, *_of(message), payload.shape, payload.dtype.str))
    return header, payload.reshape(-1).view(np.uint8)


def decode(
    header: bytes | memoryview,
    buffer: bytes | memoryview | NDArray[np.uint8],
    widths: Mapping[Address, int],
    rows: Mapping[int, int],
    dtype: np.dtype[Any],
) -> Message:
    """The message of a header and its buffer, checked.

    Parameters
    ----------
    buffer
        The numbers. An array of bytes is used where it lies: whoever passes one vouches that it stays as it is.
    widths
        Neurons carried by each known channel.
    rows, dtype
        Samples of each lane, and type of the numbers: what the receiver expects.

    Raises
    ------
    MessageError
        If anything in it is not as the receiver's own topology says.
    """
    try:
        fields = msgpack.unpackb(header)
    except (ValueError, msgpack.exceptions.UnpackException) as problem:
        raise MessageError(f"header is not msgpack: {problem}") from None
    if type(fields) is not list or len(fields) != len(HEADER):
        raise MessageError("header has not the fields of this version")
    if fields[0] != VERSION:
        raise MessageError(f"wire version {fields[0]!r}, not {VERSION}")
    address, numbers = tuple(fields[_NAMES]), fields[_COUNTS]
    if set(map(type, address)) != {str}:
        raise MessageError("source, target and kind must be names")
    if address not in widths:
        raise MessageError(f"no channel {address!r}")
    if set(map(type, numbers)) != {int} or min(numbers) < 0 or max(numbers) >= 2**63:
        raise MessageError("a count is not a whole number of at least 0")
    mean, difference, shape, letters = fields[12:]
    if type(mean) is not bool or type(difference) is not bool:
        raise MessageError("a stream is neither present nor absent")
    lane = numbers[4]
    if lane not in rows:
        raise MessageError(f"no lane {lane}")
    expected = [mean + difference, rows[lane], widths[address]]
    little = dtype.newbyteorder("<")
    if letters != little.str or shape != expected:
        raise MessageError(f"{letters}{shape} on {address!r}, not {little.str}{expected}")
    size = expected[0] * expected[1] * expected[2] * dtype.itemsize
    found = buffer.nbytes if isinstance(buffer, np.ndarray) else len(buffer)
    if found != size:
        raise MessageError(f"{found} bytes on {address!r}, not {size}")
    if isinstance(buffer, np.ndarray):
        payload = buffer.view(little).reshape(expected).astype(dtype, copy=False)
    else:
        # Arrays of our own: aligned, writable and in native order, as those that never left the process.
        payload = np.frombuffer(buffer, dtype=little).reshape(expected).astype(dtype)
    source, target, kind = address
    tick, sequence, relaxation, phase, _, mean_since, difference_since, incarnation = numbers
    return Message(
        source,
        target,
        kind,
        tick,
        sequence,
        relaxation,
        phase,
        lane,
        payload,
        mean,
        difference,
        mean_since,
        difference_since,
        incarnation,
    )
