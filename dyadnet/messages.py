"""What two blocks say to each other, in memory and on the wire.

A `state` message carries (m, d) of the block that sends it to the blocks above; a `feedback` message carries
(κθᵀm, θᵀd) to the blocks below. Streams that κ makes zero, and differences before a nudge has reached a block, are
not sent.

On the wire a message is a msgpack header and one raw little-endian buffer. A header is checked against the known
topology before anything is allocated from its numbers; nothing is ever unpickled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgpack
import numpy as np
from numpy.typing import NDArray

from dyadnet.errors import DyadnetError

VERSION = 1
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
    "mean",
    "difference",
    "mean_since",
    "difference_since",
    "incarnation",
)
_COUNTS = ("tick", "sequence", "relaxation", "phase", "lane", "mean_since", "difference_since", "incarnation")


def encode(message: Message) -> tuple[bytes, memoryview]:
    """Header and buffer of a message; the buffer is the payload's own memory where it is little-endian already."""
    payload = np.ascontiguousarray(message.payload)
    payload = payload.astype(payload.dtype.newbyteorder("<"), copy=False)
    header = {name: getattr(message, name) for name in _FIELDS}
    header |= {"version": VERSION, "shape": list(payload.shape), "dtype": payload.dtype.str}
    return msgpack.packb(header), payload.reshape(-1).view(np.uint8).data


def decode(
    header: bytes | memoryview,
    buffer: bytes | memoryview,
    widths: Mapping[Address, int],
    rows: Mapping[int, int],
    dtype: np.dtype[Any],
) -> Message:
    """The message of a header and its buffer, checked.

    Parameters
    ----------
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
        fields = msgpack.unpackb(header, max_str_len=256, max_array_len=8, max_map_len=32)
    except (ValueError, msgpack.exceptions.UnpackException) as problem:
        raise MessageError(f"header is not msgpack: {problem}") from None
    if not isinstance(fields, dict) or set(fields) != {*_FIELDS, "version", "shape", "dtype"}:
        raise MessageError("header has not the fields of this version")
    if fields["version"] != VERSION:
        raise MessageError(f"wire version {fields['version']!r}, not {VERSION}")
    if not all(type(fields[name]) is str for name in ("source", "target", "kind")):
        raise MessageError("source, target and kind must be names")
    address = (fields["source"], fields["target"], fields["kind"])
    if address not in widths:
        raise MessageError(f"no channel {address!r}")
    if not all(type(fields[name]) is int and 0 <= fields[name] < 2**63 for name in _COUNTS):
        raise MessageError("a count is not a whole number of at least 0")
    if not all(type(fields[name]) is bool for name in ("mean", "difference")):
        raise MessageError("a stream is neither present nor absent")
    if fields["lane"] not in rows:
        raise MessageError(f"no lane {fields['lane']}")
    expected = [fields["mean"] + fields["difference"], rows[fields["lane"]], widths[address]]
    little = dtype.newbyteorder("<")
    if fields["dtype"] != little.str or fields["shape"] != expected:
        raise MessageError(f"{fields['dtype']}{fields['shape']} on {address!r}, not {little.str}{expected}")
    size = expected[0] * expected[1] * expected[2]
    if memoryview(buffer).nbytes != size * dtype.itemsize:
        raise MessageError(f"{memoryview(buffer).nbytes} bytes on {address!r}, not {size * dtype.itemsize}")
    # Arrays of our own: aligned, writable and in native order, as those that never left the process.
    payload = np.frombuffer(buffer, dtype=little, count=size).reshape(expected).astype(dtype)
    return Message(payload=payload, **{name: fields[name] for name in _FIELDS})
