"""What one host did in one relaxation: when it updated, which letters it read before and whom it told after.

An update is known by its number in the relaxation, counted from 1. A letter is known by the host that sent it, the
host that it went to, and the update of its sender that it told of, of which there is one at most.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from dyadnet.dyads import Dyads
from dyadnet.trace.errors import TraceError

AVERAGE = -1
"""In place of a phase: averages begin."""
_LAST = 2**32 - 1
_SECONDS, _COUNTS, _TICKS = np.dtype("<f8"), np.dtype("<u2"), np.dtype("<u4")
_FIELDS = 12


@dataclass(frozen=True, slots=True)
class Script:
    """What one host did.

    Attributes
    ----------
    blocks
        Of the host, in block order.
    weights, states
        A checksum of each block's parameters at the beginning, and of its A, D and (m, d) at the end.
    began, time_constant
        When time began, in seconds on the host's clock, and T.
    now
        When each update was made.
    reads, tells
        How many letters were read before each update, and how many hosts were told after it.
    origins, ticks, arrived
        Of every letter that was read, in order: the host that sent it, the update of its sender that it told of, and
        when it came in; the times are left out where nobody asks for them, because channels are ideal.
    targets
        Every host that was told, in order.
    marks
        (updates made by then, phase that is entered) in order; `AVERAGE` for a phase: averages begin.
    """

    blocks: tuple[str, ...]
    weights: tuple[int, ...]
    states: tuple[int, ...]
    began: float
    time_constant: float
    now: NDArray[np.float64]
    reads: NDArray[np.uint16]
    origins: NDArray[np.uint16]
    ticks: NDArray[np.uint32]
    arrived: NDArray[np.float64]
    tells: NDArray[np.uint16]
    targets: NDArray[np.uint16]
    marks: tuple[tuple[int, int], ...]

    def packed(self) -> bytes:
        """As a file carries it; `unpacked` reads it back."""
        return msgpack.packb(  # type: ignore[no-any-return]
            [
                list(self.blocks),
                [list(self.weights), list(self.states)],
                self.began,
                self.time_constant,
                self.now.astype(_SECONDS).tobytes(),
                self.reads.astype(_COUNTS).tobytes(),
                self.origins.astype(_COUNTS).tobytes(),
                self.ticks.astype(_TICKS).tobytes(),
                self.arrived.astype(_SECONDS).tobytes(),
                self.tells.astype(_COUNTS).tobytes(),
                self.targets.astype(_COUNTS).tobytes(),
                [list(mark) for mark in self.marks],
            ]
        )


class Scribe:
    """Writes a script while its host runs.

    Parameters
    ----------
    dyads
        Of the host's blocks.
    """

    def __init__(self, dyads: Iterable[Dyads]) -> None:
        self._dyads = list(dyads)
        self._weights = [weights_of(dyad) for dyad in self._dyads]
        self._began = self._time_constant = 0.0
        self._now, self._arrived = array("d"), array("d")
        self._reads, self._tells = array("H"), array("H")
        self._origins, self._targets = array("H"), array("H")
        self._ticks = array("I")
        self._marks: list[tuple[int, int]] = []
        self._read = 0

    def begin(self, at: float, time_constant: float) -> None:
        """Time begins."""
        self._began, self._time_constant = at, time_constant

    def enter(self, phase: int) -> None:
        """A phase is entered."""
        self._marks.append((len(self._now), phase))

    def average(self) -> None:
        """Averages begin."""
        self._marks.append((len(self._now), AVERAGE))

    def read(self, origin: int, tick: int, arrived: float) -> None:
        """A letter is read before the next update."""
        self._origins.append(origin)
        self._ticks.append(min(tick, _LAST))
        self._arrived.append(arrived)
        self._read += 1

    def update(self, now: float) -> None:
        """An update was made."""
        self._now.append(now)
        self._reads.append(self._read)
        self._tells.append(0)
        self._read = 0

    def tell(self, host: int) -> None:
        """A host was told of the last update."""
        self._targets.append(host)
        self._tells[-1] += 1

    def script(self, *, timed: bool) -> Script:
        """What was written by the end.

        Parameters
        ----------
        timed
            Whether it matters when letters came in.
        """
        return Script(
            tuple(dyad.name for dyad in self._dyads),
            tuple(self._weights),
            tuple(state_of(dyad) for dyad in self._dyads),
            self._began,
            self._time_constant,
            np.array(self._now, np.float64),
            np.array(self._reads, np.uint16),
            np.array(self._origins, np.uint16),
            np.array(self._ticks, np.uint32),
            np.array(self._arrived if timed else [], np.float64),
            np.array(self._tells, np.uint16),
            np.array(self._targets, np.uint16),
            tuple(self._marks),
        )


def weights_of(dyads: Dyads) -> int:
    """A checksum of a block's parameters."""
    return _checksum(dyads.block.parameters().values())


def state_of(dyads: Dyads) -> int:
    """A checksum of a block's A, D and (m, d)."""
    return _checksum((dyads.A, dyads.D, dyads.state))


def _checksum(arrays: Iterable[NDArray[Any]]) -> int:
    total = 0
    for part in arrays:
        little = np.ascontiguousarray(part, dtype=part.dtype.newbyteorder("<"))
        total = zlib.crc32(little.reshape(-1).view(np.uint8).data, total)
    return total


def unpacked(data: bytes, hosts: int, phases: int) -> Script:
    """The script that `packed` made, checked.

    Parameters
    ----------
    hosts
        How many there are.
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
    blocks, sums, began, time_constant, now, reads, origins, ticks, arrived, tells, targets, marks = fields
    check(_all(blocks, str) and blocks, "a host has no blocks")
    check(type(sums) is list and len(sums) == 2, "checksums are missing")
    check(all(_all(each, int) and len(each) == len(blocks) for each in sums), "a checksum is missing")
    check(type(began) is type(time_constant) is float, "a time is no number")
    check(np.isfinite(began) and 0 < time_constant < float("inf"), "a time constant is not above 0")
    times, counts = _array(now, _SECONDS), _array(reads, _COUNTS)
    froms, sent, came = _array(origins, _COUNTS), _array(ticks, _TICKS), _array(arrived, _SECONDS)
    told, hearers = _array(tells, _COUNTS), _array(targets, _COUNTS)
    check(len(counts) == len(told) == len(times), "updates do not match what was read and told")
    check(int(counts.sum(dtype=np.int64)) == len(froms) == len(sent), "letters do not match the updates")
    check(len(came) in (0, len(froms)) and bool(np.isfinite(came).all()), "letters came in at no time")
    check(int(told.sum(dtype=np.int64)) == len(hearers), "hosts that were told do not match the updates")
    check(bool((froms < hosts).all() and (hearers < hosts).all()), "a letter is of a host that there is not")
    forward = bool(np.isfinite(times).all() and (np.diff(times, prepend=began) >= 0).all())
    check(forward, "time runs backwards")
    check(type(marks) is list and all(_all(mark, int) and len(mark) == 2 for mark in marks), "a phase is no phase")
    _check_marks(marks, len(times), phases)
    return Script(
        tuple(blocks),
        tuple(sums[0]),
        tuple(sums[1]),
        began,
        time_constant,
        times,
        counts,
        froms,
        sent,
        came,
        told,
        hearers,
        tuple((updates, phase) for updates, phase in marks),
    )


def check(holds: object, why: str) -> None:
    """Refuse a trace unless something holds.

    Raises
    ------
    TraceError
        With the reason.
    """
    if not holds:
        raise TraceError(why)


def _check_marks(marks: Sequence[Sequence[int]], updates: int, phases: int) -> None:
    """Whether phases are entered one after the other, all of them, and averages begin within them."""
    at = entered = 0
    for made, phase in marks:
        check(at <= made <= updates, "phases do not match the updates")
        check(phase == entered if phase != AVERAGE else entered, "phases are out of order")
        at, entered = made, entered + (phase != AVERAGE)
    check(entered == phases and marks[:1] and marks[0][0] == 0, "a phase is missing")


def _all(values: Any, kind: type) -> bool:
    return type(values) is list and all(type(value) is kind for value in values)


def _array(data: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Numbers where they lie."""
    check(type(data) is bytes and len(data) % dtype.itemsize == 0, "numbers are cut off")
    return np.frombuffer(data, dtype)
