"""SIGINT, SIGTERM and SIGHUP at any moment: one line, never a traceback, and a program's handlers back afterwards."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Ctrl-C, a scheduler's or system's wish, a terminal that is gone."""
EARLY = b"dyadnet: stopped before anything had begun\n"

Handler = Callable[[int, FrameType | None], None]


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


def interruptible() -> contextlib.AbstractContextManager[None]:
    """All of them end a run as Ctrl-C does: by `KeyboardInterrupt` in the main thread."""
    return handled(signal.default_int_handler)


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
