"""Requests to stop a run between two minibatches, and the signals that make them."""

from __future__ import annotations

import contextlib
import os
import threading
from types import FrameType

from dyadnet.process.signals import handled

TOLD = b"stopping: the minibatch ends and a checkpoint is written; once more ends at once\n"


class Stop:
    """A thread-safe flag that requests the run to stop."""

    def __init__(self) -> None:
        self._event = threading.Event()

    @property
    def requested(self) -> bool:
        """Whether a stop was requested."""
        return self._event.is_set()

    def request(self) -> None:
        """Request a stop after the current minibatch."""
        self._event.set()


def heeding(stop: Stop) -> contextlib.AbstractContextManager[None]:
    """Treat the first of `dyadnet.process.signals.SIGNALS` as a stop request; a second raises `KeyboardInterrupt`.

    Only the main thread receives signals; in other threads this does nothing.
    """

    def heard(number: int, frame: FrameType | None) -> None:
        if stop.requested:
            raise KeyboardInterrupt
        stop.request()
        # Do not use a stream, because the interrupted code may hold its lock.
        with contextlib.suppress(OSError):
            os.write(2, TOLD)

    return handled(heard)
