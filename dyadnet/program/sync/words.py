"""Words by which processes that share memory tell each other how far they have come; compiled.

A word is a 64-bit integer that only one process writes and that never decreases. A process stores it after all data
that it announces, and a process that has loaded it sees all these data (release and acquire). A waiting process first
polls a few times and yields the processor in between. Then it sleeps until a word may have changed: by ``futex_waitv``
on several words, if the system has it; by ``futex`` on the first word; else for a moment. No sleep exceeds its limit.
"""

from __future__ import annotations

import os
import platform
import sys
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from dyadnet.numerics.kernels import compiled

LOOKS, FEW, CROWD = 50, 2, 4
"""Number of polls before a sleep; the processor is yielded in between. In virtual time there are `FEW` if more than
`CROWD` processes share each core: then every poll makes another one wait."""
MOMENT = 50_000
"""Nanoseconds of one sleep if nothing can wake the sleeper."""
SPINS, YIELDS = 5_000, 3_000
"""Number of polls of a thread of a team before it yields the processor between polls, and before it sleeps."""
SECOND = 1_000_000_000
MOST = 64
"""Largest number of words on which one process can sleep at a time."""
_FUTEX = {"x86_64": 202, "aarch64": 98}.get(platform.machine(), 0)
_WAITV = 449
LINE = 16
"""Integers of a line of memory that one thread writes; two cache lines, which processors fetch together."""
_SHORT = 2
"""The flag FUTEX_32 of ``futex_waitv``: futexes have 32 bits; ours are the lower half of a word."""
_HALF = 0 if sys.byteorder == "little" else 4
SLEEPS = sys.platform == "linux" and _FUTEX > 0 and os.environ.get("DYADNET_FUTEX", "1") != "0"
"""Whether the system can wake a sleeper by a word; the environment variable DYADNET_FUTEX=0 disables it."""

_INTEGER = ir.IntType(64)


def _pointer(builder: Any, address: Any) -> Any:
    return builder.inttoptr(address, _INTEGER.as_pointer())


@intrinsic
def load(typing, address):  # type: ignore[no-untyped-def]
    """Load the word at an address; everything that was stored before the word is visible, too (acquire)."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.load_atomic(_pointer(builder, arguments[0]), "acquire", 8)

    return types.int64(types.int64), generate


@intrinsic
def store(typing, address, value):  # type: ignore[no-untyped-def]
    """Store a word at an address, after everything that was stored before (release)."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        builder.store_atomic(arguments[1], _pointer(builder, arguments[0]), "release", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def fence(typing):  # type: ignore[no-untyped-def]
    """Order all loads and stores: none moves across this point, in either direction."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def _add(typing, address, value):  # type: ignore[no-untyped-def]
    """Add to a word at an address, in one order with all loads and stores of other threads."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        builder.atomic_rmw("add", _pointer(builder, arguments[0]), arguments[1], "seq_cst")
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def get(typing, address):  # type: ignore[no-untyped-def]
    """Load an integer from an address, without ordering."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.load(_pointer(builder, arguments[0]))

    return types.int64(types.int64), generate


@intrinsic
def put(typing, address, value):  # type: ignore[no-untyped-def]
    """Store an integer at an address, without ordering."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        builder.store(arguments[1], _pointer(builder, arguments[0]))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def bits(typing, number):  # type: ignore[no-untyped-def]
    """Return the bits of a float as an integer."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.bitcast(arguments[0], _INTEGER)

    return types.int64(types.float64), generate


@intrinsic
def number(typing, bits):  # type: ignore[no-untyped-def]
    """Return the float with these bits."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), generate


@intrinsic
def _system(typing, code, a, b, c, d, e, f):  # type: ignore[no-untyped-def]
    """Make a system call by its number."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        kind = ir.FunctionType(_INTEGER, [_INTEGER], var_arg=True)
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, "syscall"), arguments)

    return types.int64(*[types.int64] * 7), generate


def _of_c(symbol: str, count: int) -> Any:
    """Declare a C function that takes `count` 64-bit integers and returns a 32-bit integer."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        kind = ir.FunctionType(ir.IntType(32), [_INTEGER] * count)
        function = cgutils.get_or_insert_function(builder.module, kind, symbol)
        return builder.sext(builder.call(function, arguments), _INTEGER)

    if count == 0:
        return intrinsic(lambda typing: (types.int64(), generate))
    return intrinsic(lambda typing, a, b: (types.int64(types.int64, types.int64), generate))


pause = _of_c("sched_yield", 0)
"""Yield the processor to another thread."""
_clock_gettime = _of_c("clock_gettime", 2)
_nanosleep = _of_c("nanosleep", 2)


@intrinsic
def address_of(typing, array):  # type: ignore[no-untyped-def]
    """Return the address of an array's data."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.ptrtoint(data, _INTEGER)

    return types.int64(array), generate


@compiled
def now(room):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the nanoseconds of a monotonic clock.

    Parameters
    ----------
    room
        Scratch of two integers or more.
    """
    _clock_gettime(1, address_of(room))
    return room[0] * SECOND + room[1]


@compiled
def tell(address, value):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Store a word, and wake all processes that sleep on it."""
    store(address, value)
    if SLEEPS:
        _system(_FUTEX, address + _HALF, 1, 2**31 - 1, 0, 0, 0)


@compiled
def sleep(addresses, seen, count, longest, room):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Sleep until one of some words differs from its last known value, or until `longest` nanoseconds have passed.

    Parameters
    ----------
    addresses, seen
        Addresses of the words, and their last known values.
    count
        Number of words, at most `MOST`.
    room
        Scratch of `ROOM` integers.
    """
    if SLEEPS and count > 1:
        for k in range(count):
            room[4 + 3 * k] = seen[k] & 0xFFFFFFFF
            room[5 + 3 * k] = addresses[k] + _HALF
            room[6 + 3 * k] = _SHORT
        deadline = now(room) + longest
        room[2], room[3] = deadline // SECOND, deadline % SECOND
        done = _system(_WAITV, address_of(room[4:]), count, 0, address_of(room[2:]), 1, 0)
        # Return if the process was woken, or on a signal, a word that has already changed, or the timeout. Otherwise
        # the system lacks this call, or forbids it.
        if done >= 0 or _errno() in (4, 11, 110):
            return
    if SLEEPS:
        room[2], room[3] = longest // SECOND, longest % SECOND
        if count > 1:
            room[2], room[3] = 0, min(longest, MOMENT)
        _system(_FUTEX, addresses[0] + _HALF, 0, seen[0] & 0xFFFFFFFF, address_of(room[2:]), 0, 0)
        return
    room[2], room[3] = 0, min(longest, MOMENT)
    _nanosleep(address_of(room[2:]), 0)


@intrinsic
def _errno(typing):  # type: ignore[no-untyped-def]
    """Return the error number of the last system call."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        kind = ir.FunctionType(ir.IntType(32).as_pointer(), [])
        place = builder.call(cgutils.get_or_insert_function(builder.module, kind, "__errno_location"), [])
        return builder.zext(builder.load(place), _INTEGER)

    return types.int64(), generate


ROOM = 4 + 3 * MOST


@compiled
def wait(address, least, longest, room):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Wait until a word is at least `least`, for at most `longest` nanoseconds; return whether it is."""
    for _ in range(LOOKS):
        if load(address) >= least:
            return True
        pause()
    began = now(room)
    while True:
        seen = load(address)
        if seen >= least:
            return True
        left = longest - (now(room) - began)
        if left <= 0:
            return False
        if SLEEPS:
            room[2], room[3] = left // SECOND, left % SECOND
            _system(_FUTEX, address + _HALF, 0, seen & 0xFFFFFFFF, address_of(room[2:]), 0, 0)
        else:
            room[2], room[3] = 0, min(left, MOMENT)
            _nanosleep(address_of(room[2:]), 0)


# Words of threads that meet every few microseconds, each at the beginning of a line of `LINE` integers. Whoever waits
# for such a word polls for a while before it sleeps, and who tells of it makes a system call only if somebody sleeps.


@compiled
def tell_team(line, value):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Store the word of a line, and wake the threads that sleep on it; the last integer of the line is their number."""
    word = address_of(line)
    store(word, value)
    if SLEEPS:
        fence()
        if load(word + 8 * (LINE - 1)) > 0:
            _system(_FUTEX, word + _HALF, 1, 2**31 - 1, 0, 0, 0)


@compiled
def wait_for_team(line, least, room):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Wait until the word of a line is at least `least`.

    Parameters
    ----------
    room
        Scratch of 4 integers.
    """
    word = address_of(line)
    for _ in range(SPINS):
        if load(word) >= least:
            return
    for _ in range(YIELDS):
        pause()
        if load(word) >= least:
            return
    while True:
        _add(word + 8 * (LINE - 1), 1)
        seen = load(word)
        if seen < least and SLEEPS:
            room[2], room[3] = 1, 0
            _system(_FUTEX, word + _HALF, 0, seen & 0xFFFFFFFF, address_of(room[2:]), 0, 0)
        elif seen < least:
            room[2], room[3] = 0, MOMENT
            _nanosleep(address_of(room[2:]), 0)
        _add(word + 8 * (LINE - 1), -1)
        if load(word) >= least:
            return


def own(array: np.ndarray[Any, np.dtype[np.int64]]) -> int:
    """Return the address of the first number of an array."""
    return int(array.__array_interface__["data"][0])
