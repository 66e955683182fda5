"""SIGINT, SIGTERM and SIGHUP at any moment: one line, never a traceback, and a program's handlers back afterwards."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Ctrl-C, a scheduler's or system's wish, a terminal that is gone."""
AGAIN = 0.05
"""Seconds after which an interrupt that was dropped is repeated."""
TOGETHER = 0.5
"""Seconds within which further signals belong to the first."""
EARLY = b"dyadnet: stopped before anything had begun\n"

_LATEST = [-math.inf]
"""When the latest interrupt was raised."""
Handler = Callable[[int, FrameType | None], None]
_INTERRUPTS: list[Handler] = []
"""Of the contexts that are open, each within the one before."""


@contextlib.contextmanager
def handled(handler: Handler) -> Iterator[None]:
    """Have all of them handled so for a while; those that a user has had ignored (nohup) stay ignored.

    Only the main thread hears signals; elsewhere this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number, one in before.items():
        if one is not signal.SIG_IGN or number == signal.SIGINT:
            signal.signal(number, handler)
    try:
        yield
    finally:
        for number, one in before.items():
            # None: of a library below Python, which cannot be put back.
            if one is not None:
                signal.signal(number, one)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """All of them end a run as Ctrl-C does: by `KeyboardInterrupt` in the main thread.

    They may come upon any code. A library that turns the interrupt into an error of its own is seen through; one
    within which Python drops it (a destructor, a callback of compiled code) is interrupted again. Those that come
    together, as from a terminal that closes, are one: the second would end the cleaning up after the first.
    """
    heard = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal heard
        now = time.monotonic()
        if now - _LATEST[0] < TOGETHER:
            return
        heard, _LATEST[0] = True, now
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) not in _INTERRUPTS:
        _LATEST[0] = -math.inf
    _INTERRUPTS.append(interrupt)
    with handled(interrupt), _repeated_if_dropped():
        try:
            yield
        except Exception as problem:
            from dyadnet.errors import DyadnetError

            if heard and not isinstance(problem, DyadnetError):
                raise KeyboardInterrupt from problem
            raise
        finally:
            _INTERRUPTS.remove(interrupt)


@contextlib.contextmanager
def _repeated_if_dropped() -> Iterator[None]:
    """An interrupt that Python could only write down, since its caller cannot take an exception, comes once more."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = sys.unraisablehook

    def dropped(what: sys.UnraisableHookArgs) -> None:
        if not issubclass(what.exc_type, KeyboardInterrupt):
            before(what)
            return
        _LATEST[0] = -math.inf
        again = threading.Timer(AGAIN, os.kill, [os.getpid(), signal.SIGINT])
        again.daemon = True
        again.start()

    sys.unraisablehook = dropped
    try:
        yield
    finally:
        sys.unraisablehook = before


def deaf() -> contextlib.AbstractContextManager[None]:
    """For what is short and must be done whole: cleaning up after the first of them."""
    return handled(lambda number, frame: None)


def listen() -> None:
    """From the first line of the command line on: modules are still being loaded, and nothing has to be cleaned up."""

    def heard(number: int, frame: FrameType | None) -> None:
        # Not by an exception, which would come out of the middle of somebody's import.
        with contextlib.suppress(OSError):
            os.write(2, EARLY)
        os._exit(1)

    _take(heard)


def over(code: int) -> None:
    """The command is done: what is still to be ended may be left, with the exit code that it has."""
    import ctypes

    # Python remembers an interrupt within what a library ran as a program of its own, however it was answered, and
    # would end by the signal in place of the code. It forgets it with the next such program.
    ctypes.pythonapi.PyRun_SimpleString(b"")
    _take(lambda number, frame: os._exit(code))


def is_command() -> bool:
    """Whether this process is the command line, and no program that uses the package."""
    for at, given in enumerate(sys.orig_argv[1:], start=1):
        if given.startswith("-") and given.endswith("m"):
            return sys.orig_argv[at + 1 : at + 2] == ["dyadnet"]
        if not given.startswith("-"):
            return os.path.basename(given) == "dyadnet"  # noqa: PTH119 - pathlib would be loaded first
    return False


def _take(handler: Handler) -> None:
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


if is_command():
    listen()
