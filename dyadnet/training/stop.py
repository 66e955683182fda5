"""A wish to stop a run between two minibatches, and the signals that express it."""

from __future__ import annotations

import contextlib
import os
import threading
from types import FrameType

from dyadnet.process.signals import handled

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


def heeding(stop: Stop) -> contextlib.AbstractContextManager[None]:
    """Take the first of `dyadnet.process.signals.SIGNALS` as a wish to stop; a second one raises `KeyboardInterrupt`.

    Only the main thread hears signals; elsewhere this does nothing.
    """

    def heard(number: int, frame: FrameType | None) -> None:
        if stop.requested:
            raise KeyboardInterrupt
        stop.request()
        # Not through a stream, whose lock the interrupted code may hold.
        with contextlib.suppress(OSError):
            os.write(2, TOLD)

    return handled(heard)
