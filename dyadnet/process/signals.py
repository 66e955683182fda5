"""Handling of SIGINT, SIGTERM and SIGHUP: one line without traceback, and restoration of a program's own handlers."""

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
"""Ctrl-C, a request of the scheduler or system, and a closed terminal."""
AGAIN = 0.05
"""Seconds after which a lost interrupt is repeated."""
TOGETHER = 0.5
"""Seconds within which further signals count as part of the first one."""
EARLY = b"dyadnet: stopped before anything had begun\n"

_LATEST = [-math.inf]
"""Time of the latest interrupt."""
Handler = Callable[[int, FrameType | None], None]
_INTERRUPTS: list[Handler] = []
"""Handlers of the active contexts, from the outermost to the innermost."""


@contextlib.contextmanager
def handled(handler: Handler) -> Iterator[None]:
    """Install a handler for all of these signals temporarily. Signals that the user ignores (nohup) remain ignored.

    Only the main thread receives signals. In other threads this function does nothing.
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
            # None: a handler that was not installed from Python, and cannot be restored.
            if one is not None:
                signal.signal(number, one)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let each of these signals end a run as Ctrl-C does: by `KeyboardInterrupt` in the main thread.

    Signals may arrive during any code. If a library converts the interrupt to its own error, it is converted back. If
    Python drops the interrupt (in a destructor, or a callback of compiled code), it is repeated. Signals that arrive
    together, as from a closing terminal, count as one. Otherwise the second would abort the clean-up after the first.
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
    """Repeat an interrupt that Python could only report as unraisable, because its caller cannot take exceptions."""
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
    """Ignore the signals during a short clean-up that must complete."""
    return handled(lambda number, frame: None)


def listen() -> None:
    """Handle signals while the command line is still loading modules, so that no clean-up is needed."""

    def heard(number: int, frame: FrameType | None) -> None:
        # Do not raise an exception, which would surface in the middle of an import.
        with contextlib.suppress(OSError):
            os.write(2, EARLY)
        os._exit(1)

    _take(heard)


def over(code: int) -> None:
    """Mark the command as done: a signal during the remaining clean-up ends the process with its exit code."""
    import ctypes

    # Python remembers an interrupt that occurred while a library ran code as a program of its own, even if it was
    # handled. At exit, Python would end by the signal instead of the exit code. Running another such program clears it.
    ctypes.pythonapi.PyRun_SimpleString(b"")
    _take(lambda number, frame: os._exit(code))


def is_command() -> bool:
    """Whether this process is the dyadnet command line, rather than a program that uses the package."""
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
