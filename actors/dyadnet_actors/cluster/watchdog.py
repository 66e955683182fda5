"""Watches Ray's own processes while a run relies on them.

If a cluster is lost, Ray ends every process that is connected to it: within seconds of the raylet's death, and a minute
after the control store's. A Ray process that hangs keeps everybody waiting. So a connection asks both processes for
signs of life. A run that misses them ends itself, in time to say how to go on.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dyadnet_actors.protocol.failures import RayLostError
from dyadnet_actors.protocol.heartbeat import STEP, HeartbeatMonitor

ASK = 1.0
"""Maximum seconds between two questions to a part."""
OFTEN = 6.0
"""Minimum number of questions to a part within its patience."""
LOOK = 0.2
"""Seconds between two checks of the answers."""
MOMENT = 0.005
"""The same, while a caller waits for the answers."""
BUSY = 5.0
"""Factor by which the patience is longer for a part that computes but does not answer."""
ANSWER = 5.0
"""Seconds within which a question usually ends."""
GRACE = 5.0
"""Seconds within which a program checks whether Ray is lost; if it does not, it waits for what Ray will never do."""


@dataclass(frozen=True, slots=True)
class Part:
    """One of Ray's processes.

    Attributes
    ----------
    name
        Name for users.
    asked
        Asks the process; returns whether it answers within a few seconds.
    patience
        Seconds without a sign of life after which the process counts as hung.
    process
        The process itself if this process has started it, or None.
    """

    name: str
    asked: Callable[[], bool]
    patience: float
    process: subprocess.Popen[Any] | None = None

    def death(self) -> str | None:
        """Return how the process has ended; None if it runs, or if this cannot be known here."""
        code = None if self.process is None else self.process.poll()
        if code is None:
            return None
        return f"{self.name} died ({signal.Signals(-code).name if code < 0 else f'exit code {code}'})"

    def worked(self) -> int | None:
        """Return the CPU time of the process in clock ticks of the system; None if this cannot be known here."""
        if self.process is None:
            return None
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            return int(fields[11]) + int(fields[12])
        return None


class Watchdog:
    """Judges whether Ray is lost, in its own threads.

    Parameters
    ----------
    parts
        Processes on which a run relies. Time in which this process itself was held up does not count as their silence.
    stuck
        Called with the reason if Ray is lost and no caller checks for this, because the program waits for Ray.
    """

    def __init__(self, parts: Sequence[Part], stuck: Callable[[str], None] = lambda why: None) -> None:
        self._parts = parts
        self._stuck = stuck
        self._why: str | None = None
        self._answers = [0] * len(parts)
        self._now = [threading.Event() for _ in parts]
        self._heard = threading.Event()
        self._over = threading.Event()
        asking = [threading.Thread(target=self._ask, args=(index,), daemon=True) for index in range(len(parts))]
        self._threads = [*asking, threading.Thread(target=self._watch, daemon=True)]
        for thread in self._threads:
            thread.start()

    @property
    def lost(self) -> bool:
        """Whether Ray is lost."""
        return self._why is not None

    def check(self) -> None:
        """Raise an error if Ray is lost.

        Raises
        ------
        RayLostError
            If Ray is lost; the message names what died or hangs.
        """
        self._why = self._why or self._deaths()
        if self._why is not None:
            self._heard.set()
            raise RayLostError(self._why)

    def well(self) -> bool:
        """Ask every part now, and wait until each has answered or Ray is lost; return whether Ray is well."""
        before = list(self._answers)
        for now in self._now:
            now.set()
        while any(answers == then for answers, then in zip(self._answers, before, strict=True)):
            self._why = self._why or self._deaths()
            if self.lost or self._over.wait(MOMENT):
                break
        if self.lost:
            self._heard.set()
        return not self.lost

    def confirm(self) -> None:
        """Ask every part, then raise an error if Ray is lost, as `check` does."""
        if not self.well():
            self.check()

    def get(self, reference: Any, seconds: float) -> Any:
        """Wait for a Ray reference; return its value.

        Raises
        ------
        GetTimeoutError
            If the value is not there within `seconds` seconds; time in which this process itself was held up does not
            count.
        RayLostError
            If Ray is lost meanwhile.
        """
        import ray
        from ray.exceptions import GetTimeoutError

        left = seconds
        while True:
            began = time.monotonic()
            if ray.wait([reference], timeout=min(STEP, max(left, 0.0)))[0]:
                return ray.get(reference)
            self.check()
            if left <= 0:
                raise GetTimeoutError(f"no answer within {seconds:g} s")
            left -= min(time.monotonic() - began, STEP)

    def close(self) -> None:
        """Stop watching."""
        self._over.set()
        for now in self._now:
            now.set()
        if not self.lost:
            # The asking threads wait for Ray only as long as an answer takes.
            for thread in self._threads:
                thread.join(ANSWER)

    def _ask(self, index: int) -> None:
        while not self._over.is_set():
            if self._parts[index].asked():
                self._answers[index] += 1
            self._now[index].wait(min(ASK, self._parts[index].patience / OFTEN))
            self._now[index].clear()

    def _watch(self) -> None:
        signs = [(answers, part.worked()) for answers, part in zip(self._answers, self._parts, strict=True)]
        names = [part.name for part in self._parts]
        alive, answering = HeartbeatMonitor(names, 0.0), HeartbeatMonitor(names, 0.0)
        while self._why is None and not self._over.wait(LOOK):
            for heart in (alive, answering):
                heart.tick(time.monotonic())
            for index, part in enumerate(self._parts):
                before, signs[index] = signs[index], (self._answers[index], part.worked())
                if signs[index] != before:
                    alive.hear(index)
                if signs[index][0] != before[0]:
                    answering.hear(index)
            self._why = self._deaths() or self._hang(alive, 1.0) or self._hang(answering, BUSY)
        if self._why is not None and not self._over.is_set() and not self._heard.wait(GRACE):
            self._stuck(self._why)

    def _deaths(self) -> str | None:
        return " and ".join(filter(None, (part.death() for part in self._parts))) or None

    def _hang(self, heart: HeartbeatMonitor, times: float) -> str | None:
        silent = [
            f"{part.name} hangs: no sign of life for {times * part.patience:g} s"
            for index, part in enumerate(self._parts)
            if heart.silence(index) >= times * part.patience
        ]
        return " and ".join(silent) or None
