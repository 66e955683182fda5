"""A run is a guest in the process that it is called from: what it and its libraries change there is put back."""

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
"""The limit that runs of this process share, once for each of them."""


@contextlib.contextmanager
def undrawn() -> Iterator[None]:
    """For a library that draws from `random` as it is loaded: a program may have seeded that before."""
    drawn = random.getstate()
    try:
        yield
    finally:
        random.setstate(drawn)


@contextlib.contextmanager
def as_it_was() -> Iterator[None]:
    """For a moment in which another library sets itself up, and takes more than it needs.

    Ray draws from `random`, sets variables of the environment that its children inherit, hears SIGTERM, and hooks into
    tracebacks; for a program that is to give the same numbers again, or has handlers of its own, that is a fault.
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
    """BLAS with one thread while any run of this process goes on: the limit is the process's, whoever sets it.

    Were it each run's own, the first to end would give threads, and other bits, to those that go on, and the last to
    end would leave the process with one.
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
