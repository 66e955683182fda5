"""Protection of the calling process: changes that a run and its libraries make to it are reverted."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import random
import signal
import sys
import threading
from collections.abc import Iterator

from threadpoolctl import threadpool_limits

from dyadnet.process.signals import SIGNALS

_LOCK = threading.Lock()
_ONE_THREAD: list[threadpool_limits] = []
"""The BLAS limit that all runs of this process share. The list has one entry per run."""


@contextlib.contextmanager
def undrawn() -> Iterator[None]:
    """Preserve the state of `random` while a library that draws from it is loaded: a program may have seeded it."""
    drawn = random.getstate()
    try:
        yield
    finally:
        random.setstate(drawn)


@contextlib.contextmanager
def as_it_was() -> Iterator[None]:
    """Preserve the state of the process while another library initialises itself.

    Ray draws from `random`, sets environment variables that child processes inherit, handles SIGTERM, and hooks into
    tracebacks. This would break programs that need reproducible numbers or have their own signal handlers.
    """
    environment, hook, dumps = dict(os.environ), sys.excepthook, faulthandler.is_enabled()
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        with undrawn():
            yield
    finally:
        for name in os.environ.keys() | environment.keys():
            if name not in environment:
                del os.environ[name]
            elif os.environ.get(name) != environment[name]:
                os.environ[name] = environment[name]
        sys.excepthook = hook
        if not dumps:
            faulthandler.disable()
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                if handler is not None and signal.getsignal(number) is not handler:
                    signal.signal(number, handler)


@contextlib.contextmanager
def one_thread_a_library() -> Iterator[None]:
    """Limit BLAS to one thread while any run of this process is active. The limit applies to the whole process.

    With a separate limit for each run, the first run to end would restore several threads, and thereby change the bits
    of the other runs. The last run to end would leave the process with one thread.
    """
    with _LOCK:
        _ONE_THREAD.append(_ONE_THREAD[0] if _ONE_THREAD else threadpool_limits(limits=1, user_api="blas"))
    try:
        yield
    finally:
        with _LOCK:
            limit = _ONE_THREAD.pop()
            if not _ONE_THREAD:
                limit.restore_original_limits()
