"""A wish to stop a run between two minibatches, and the signals that express it."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
TOLD = b"stopping: the minibatch ends and a checkpoint is written; once more ends at once\n"


class Stop:
    """Whether somebody wants the run to stop; any thread may ask and say so."""

    def __init__(self) -> None:
        self._event = threading.Event()

    @property
    def requested(self) -> bool:
        """Whether it is to stop."""
        return self._event.is_set()

    def request(self) -> None:
        """Stop after the present minibatch."""
        self._event.set()


@contextlib.contextmanager
def heeding(stop: Stop) -> Iterator[None]:
    """Take the first SIGINT or SIGTERM as a wish to stop; a second one raises `KeyboardInterrupt`.

    Only the main thread hears signals; elsewhere this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def heard(number: int, frame: FrameType | None) -> None:
        if stop.requested:
            raise KeyboardInterrupt
        stop.request()
        # Not through a stream, whose lock the interrupted code may hold.
        with contextlib.suppress(OSError):
            os.write(2, TOLD)

    before = {number: signal.signal(number, heard) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
