"""Shared memory between the processes of one machine: written by whoever makes an array, read by whoever uses it.

A segment is a memory file without a name (`memfd_create`): only processes that were handed its descriptor have it, its
size is committed and sealed before anybody uses it, and it is gone with the last of them, however they died.

It begins with its credit: of every slot and reader, how often that reader has given the slot back. Only the reader
writes that number; the owner knows how often it has sent the slot, and writes into it again once both agree and
nothing of its own looks at it any more. So nobody ever reads a torn array, and credit costs no message.
"""

from __future__ import annotations

import math
import mmap
import os
import struct
import sys
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.errors import DyadnetError
from dyadnet.messages import MessageError

if sys.platform == "linux":
    import fcntl

PAGE = 4096
_CREDIT = struct.Struct("<I")
_SEALS = 0x0002 | 0x0004 | 0x0001
"""F_SEAL_SHRINK, F_SEAL_GROW and F_SEAL_SEAL: nobody can take memory away that another reads."""
_ADD_SEALS, _GET_SEALS = 1033, 1034
MOST = 1 << 20
"""Slots of a segment, at most."""


class MemoryShortError(DyadnetError):
    """The machine has no room for what actors share."""


def pages(size: int) -> int:
    """A size rounded up to whole pages."""
    return -(-size // PAGE) * PAGE


def create(size: int, what: str) -> tuple[int, mmap.mmap]:
    """Memory without a name, committed and sealed: its descriptor and itself.

    Raises
    ------
    MemoryShortError
        If there is not so much.
    """
    descriptor = os.memfd_create(f"dyadnet {what}", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.fchmod(descriptor, 0o600)
        os.posix_fallocate(descriptor, 0, size)
        fcntl.fcntl(descriptor, _ADD_SEALS, _SEALS)
        return descriptor, mmap.mmap(descriptor, size)
    except OSError as problem:
        os.close(descriptor)
        raise MemoryShortError(
            f"{size >> 20} MB of shared memory are not to be had for {what} ({problem.strerror}); give the actors' "
            "machine or container more memory, or use --transport ray"
        ) from None


def attach(descriptor: int, size: int) -> mmap.mmap:
    """Memory that another process made; the descriptor is closed.

    Raises
    ------
    MessageError
        If it is not of that size, or could still be made smaller.
    """
    try:
        if os.fstat(descriptor).st_size != size or fcntl.fcntl(descriptor, _GET_SEALS) & _SEALS != _SEALS:
            raise MessageError(f"a segment that is not {size} sealed bytes")
        return mmap.mmap(descriptor, size)
    except OSError as problem:
        raise MessageError(f"a segment that is no memory: {problem.strerror}") from None
    finally:
        os.close(descriptor)


class Segment:
    """Slots of one size, seen by their owner.

    Parameters
    ----------
    number
        Among the owner's segments.
    slot, slots, readers
        Bytes of a slot, how many there are, and processes that may read.
    """

    def __init__(self, number: int, slot: int, slots: int, readers: int) -> None:
        self.number = number
        self.slot = pages(slot)
        self.slots = slots
        self.readers = readers
        self.start = pages(slots * readers * _CREDIT.size)
        self.size = self.start + self.slot * slots
        self.descriptor, memory = create(self.size, f"slots of {self.slot} bytes")
        self._view = memoryview(memory)
        self._sent = bytearray(slots * readers * _CREDIT.size)
        self._row = readers * _CREDIT.size
        self._busy = bytearray(slots)
        self._references: set[_Lease] = set()
        self.lent: dict[int, int] = {}

    def take(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any] | None:
        """An array in a slot that nobody looks at; None if there is none."""
        busy, row, given, sent = self._busy, self._row, self._view, self._sent
        # From the first on, so that the few that are in use stay in the caches.
        for slot in range(self.slots):
            if not busy[slot] and given[slot * row : (slot + 1) * row] == sent[slot * row : (slot + 1) * row]:
                return self._lent(slot, shape, dtype)
        return None

    def send(self, slot: int, reader: int) -> None:
        """A reader is to be told of a slot, and will give it back once more."""
        place = slot * self._row + reader * _CREDIT.size
        (count,) = _CREDIT.unpack_from(self._sent, place)
        _CREDIT.pack_into(self._sent, place, (count + 1) & 0xFFFFFFFF)

    def forgive(self, reader: int) -> None:
        """A reader is gone; what it has not given back it never will."""
        for slot in range(self.slots):
            place = slot * self._row + reader * _CREDIT.size
            self._sent[place : place + _CREDIT.size] = self._view[place : place + _CREDIT.size]

    def _lent(self, slot: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        array: NDArray[Any] = np.ndarray(shape, dtype, self._view, self.start + slot * self.slot)
        self._busy[slot] = 1
        self.lent[id(array)] = slot
        self._references.add(_Lease(array, self._over, slot, id(array)))
        return array

    def _over(self, lease: _Lease) -> None:
        self._references.discard(lease)
        del self.lent[lease.name]
        self._busy[lease.slot] = 0

    def close(self) -> None:
        """Let go of the descriptor; the memory goes with the last array in it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class Foreign:
    """A segment of another process, seen by one reader.

    Parameters
    ----------
    descriptor
        As it came with the announcement; closed here.
    slot, slots, readers
        As announced; checked against the memory's true size before any of it is mapped.
    reader
        Which of them this process is.

    Raises
    ------
    MessageError
        If the announcement is not true.
    """

    def __init__(self, descriptor: int, slot: int, slots: int, readers: int, reader: int) -> None:
        if not (0 < slot <= 1 << 40 and slot % PAGE == 0 and 0 < slots <= MOST and reader < readers <= MOST):
            os.close(descriptor)
            raise MessageError(f"a segment of {slots} slots of {slot} bytes")
        self.slot, self.slots = slot, slots
        self.start = pages(slots * readers * _CREDIT.size)
        memory = attach(descriptor, self.start + slot * slots)
        self._view = memoryview(memory)
        self._row = readers * _CREDIT.size
        self._place = reader * _CREDIT.size
        self._references: set[_Lease] = set()

    def read(self, slot: int, length: int) -> NDArray[np.uint8]:
        """First bytes of a slot; it is given back once no array looks at them.

        Raises
        ------
        MessageError
            If there is no such slot, or it is shorter.
        """
        if not (0 <= slot < self.slots and 0 <= length <= self.slot):
            raise MessageError(f"{length} bytes of slot {slot}, which are not there")
        array: NDArray[np.uint8] = np.ndarray((length,), np.uint8, self._view, self.start + slot * self.slot)
        self._references.add(_Lease(array, self._over, slot, 0))
        return array

    def _over(self, lease: _Lease) -> None:
        self._references.discard(lease)
        place = lease.slot * self._row + self._place
        (count,) = _CREDIT.unpack_from(self._view, place)
        _CREDIT.pack_into(self._view, place, (count + 1) & 0xFFFFFFFF)


class _Lease(weakref.ref[NDArray[Any]]):
    """Knows when the last array that looks at a slot is gone; compared by identity, so a set can hold it."""

    __slots__ = ("name", "slot")
    name: int
    slot: int

    def __new__(cls, array: NDArray[Any], over: Callable[[Any], None], slot: int, name: int) -> _Lease:
        lease = super().__new__(cls, array, over)
        lease.slot, lease.name = slot, name
        return lease

    def __init__(self, array: NDArray[Any], over: Callable[[Any], None], slot: int, name: int) -> None:
        super().__init__(array, over)  # type: ignore[call-arg]

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


class Pool:
    """All segments of one owner; grows by a segment where every slot is held.

    Parameters
    ----------
    readers
        Processes that may read.
    slots
        Of the first segment of each size.
    announce
        Tells every reader of a new segment, before any letter that refers to it.
    """

    def __init__(self, readers: int, slots: int, announce: Callable[[Segment], None]) -> None:
        self.segments: list[Segment] = []
        self._readers = readers
        self._slots = slots
        self._announce = announce
        self._by_size: dict[int, list[Segment]] = {}

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """An array of no particular content in a slot.

        Raises
        ------
        MemoryShortError
            If there is no slot, and no memory for more.
        """
        size = 1 << max(math.prod(shape) * dtype.itemsize - 1, PAGE - 1).bit_length()
        segments = self._by_size.setdefault(size, [])
        for segment in segments:
            array = segment.take(shape, dtype)
            if array is not None:
                return array
        slots = self._slots if not segments else 2 * segments[-1].slots
        segment = Segment(len(self.segments), size, slots, self._readers)
        self.segments.append(segment)
        # The newest, largest one is looked through first.
        segments.insert(0, segment)
        self._announce(segment)
        array = segment.take(shape, dtype)
        assert array is not None
        return array

    def find(self, array: NDArray[Any]) -> tuple[Segment, int] | None:
        """The segment and slot at whose beginning an array lies; None if it lies elsewhere."""
        whole = array if array.base is None or not isinstance(array.base, np.ndarray) else array.base
        name = id(whole)
        for segment in self.segments:
            slot = segment.lent.get(name)
            if slot is not None:
                return (segment, slot) if array.nbytes == whole.nbytes or _begins(array, whole) else None
        return None

    def forgive(self, reader: int) -> None:
        """A reader is gone."""
        for segment in self.segments:
            segment.forgive(reader)

    def close(self) -> None:
        """Let go of every descriptor."""
        for segment in self.segments:
            segment.close()


def _begins(array: NDArray[Any], whole: NDArray[Any]) -> bool:
    """Whether an array begins where another does."""
    return bool(array.__array_interface__["data"][0] == whole.__array_interface__["data"][0])
