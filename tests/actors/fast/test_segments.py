"""Shared memory: nobody reads a torn array, nothing is believed of an announcement, nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.fast.segments import PAGE, Foreign, Pool, Segment, create
from dyadnet.messages import MessageError
from tests.actors.fast.hosts import open_descriptors

BYTES = np.dtype(np.uint8)


def foreign(segment: Segment, reader: int = 0, **lies: int) -> Foreign:
    """A segment as another process maps it."""
    told = {"slot": segment.slot, "slots": segment.slots, "readers": segment.readers} | lies
    return Foreign(os.dup(segment.descriptor), told["slot"], told["slots"], told["readers"], reader)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["write", "send", "drop", "let go"]), st.integers(0, 99)), max_size=80))
def test_what_somebody_looks_at_stays_as_it_was(steps: list[tuple[str, int]]) -> None:
    views: dict[int, dict[int, Foreign]] = {0: {}, 1: {}}

    def announced(segment: Segment) -> None:
        for reader, known in views.items():
            known[segment.number] = foreign(segment, reader)

    pool = Pool(2, 2, announced)
    own: list[tuple[int, np.ndarray[Any, Any]]] = []
    read: list[tuple[int, np.ndarray[Any, Any]]] = []
    for count, (step, pick) in enumerate(steps):
        if step == "write":
            array = pool.empty((64,), BYTES)
            array[...] = count
            own.append((count, array))
        elif step == "send" and own:
            value, array = own[pick % len(own)]
            segment, slot = pool.find(array) or pytest.fail("an array of the pool is not found")
            segment.send(slot, pick % 2)
            read.append((value, views[pick % 2][segment.number].read(slot, 64)))
        elif step == "drop" and own:
            own.pop(pick % len(own))
        elif step == "let go" and read:
            read.pop(pick % len(read))
        array = np.empty(0)
        assert all((held == value).all() for value, held in own + read)
    held = {(id(s), slot) for _, a in own if (found := pool.find(a)) for s, slot in [found]}
    assert len(held) == len(own)


def test_slots_come_back_and_memory_grows_only_where_they_do_not() -> None:
    pool = Pool(1, 3, lambda segment: None)
    for _ in range(20):
        pool.empty((10,), BYTES)
    assert [segment.slots for segment in pool.segments] == [3]
    kept = [pool.empty((10,), BYTES) for _ in range(4)]
    assert [segment.slots for segment in pool.segments] == [3, 6]
    assert len({array.ctypes.data for array in kept}) == 4


def test_a_view_of_the_beginning_is_found_and_another_is_not() -> None:
    pool = Pool(1, 2, lambda segment: None)
    array = pool.empty((2, 3, 4), np.dtype(np.float32))
    assert pool.find(array[:1].reshape(-1).view(np.uint8)) == pool.find(array)
    assert pool.find(array[1:].reshape(-1).view(np.uint8)) is None
    assert pool.find(np.zeros(4)) is None


def test_a_reader_that_died_gives_everything_back() -> None:
    pool = Pool(2, 2, lambda segment: None)
    for _ in range(2):
        array = pool.empty((8,), BYTES)
        segment, slot = pool.find(array) or pytest.fail("not found")
        segment.send(slot, 1)
        del array
    assert pool.segments[0].take((8,), BYTES) is None
    pool.forgive(1)
    assert pool.segments[0].take((8,), BYTES) is not None


@pytest.mark.parametrize(
    "lies", [{"slots": 3}, {"slot": 2 * PAGE}, {"slot": 100}, {"slots": 1 << 40}, {"slot": 0}, {"readers": 0}]
)
def test_an_announcement_that_is_not_true_maps_nothing(lies: dict[str, int]) -> None:
    segment = Segment(0, PAGE, 2, 1)
    before = open_descriptors()
    with pytest.raises(MessageError):
        foreign(segment, **lies)
    assert open_descriptors() == before


def test_memory_that_its_owner_could_take_away_is_not_mapped() -> None:
    descriptor = os.memfd_create("unsealed")
    os.ftruncate(descriptor, 3 * PAGE)
    with pytest.raises(MessageError, match="sealed"):
        Foreign(descriptor, PAGE, 2, 1, 0)
    sealed, _ = create(PAGE, "a test")
    with pytest.raises(PermissionError):
        os.ftruncate(sealed, 0)
    os.close(sealed)


@pytest.mark.parametrize(("slot", "length"), [(2, 1), (-1, 1), (0, PAGE + 1), (0, -1)])
def test_a_slot_that_is_not_there_is_refused(slot: int, length: int) -> None:
    with pytest.raises(MessageError):
        foreign(Segment(0, PAGE, 2, 1)).read(slot, length)


def test_a_killed_owner_leaves_nothing_behind() -> None:
    program = (
        "import numpy as np; from actors.fast.segments import Pool; "
        "pool = Pool(1, 4, lambda s: None); a = pool.empty((1 << 20,), np.dtype(np.uint8)); a[...] = 1; "
        "print('there', flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"there\n"
        assert "/memfd:dyadnet" in Path(f"/proc/{child.pid}/maps").read_text()
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert not list(Path("/dev/shm").glob("*dyadnet*"))
