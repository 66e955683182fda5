"""Ray's own processes, watched while a run relies on them.

Ray ends whoever is connected to a cluster that is lost: within seconds of the raylet's death, and a minute after the
control store's. One that hangs keeps everybody waiting. So a connection asks both for signs of life, and a run that
misses them ends itself, in time to say how to go on.
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
"""Most seconds between two questions to a part."""
OFTEN = 6.0
"""Questions to a part within its patience, at least."""
LOOK = 0.2
"""Seconds between two looks at the answers."""
MOMENT = 0.005
"""The same, for whoever waits for them."""
BUSY = 5.0
"""A part that computes and does not answer may take so many times as long as one that does nothing."""
ANSWER = 5.0
"""Seconds within which a question is over as a rule."""
GRACE = 5.0
"""Seconds within which a program asks whether Ray is lost, unless it waits for what Ray will never do."""


@dataclass(frozen=True, slots=True)
class Part:
    """One of Ray's processes.

    Attributes
    ----------
    name
        As users read it.
    asked
        Whether it answers a question within a few seconds.
    patience
        Seconds without a sign of life after which it counts as hung.
    process
        Where this process has started it, or None.
    """

    name: str
    asked: Callable[[], bool]
    patience: float
    process: subprocess.Popen[Any] | None = None

    def death(self) -> str | None:
        """How it has ended; None if it goes on or nobody here can know."""
        code = None if self.process is None else self.process.poll()
        if code is None:
            return None
        return f"{self.name} died ({signal.Signals(-code).name if code < 0 else f'exit code {code}'})"

    def worked(self) -> int | None:
        """Time that it has computed, in units of the system's; None if nobody here can know."""
        if self.process is None:
            return None
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            return int(fields[11]) + int(fields[12])
        return None


class Watchdog:
    """Judges whether Ray is lost, in threads of its own.

    Parameters
    ----------
    parts
        What a run relies on. Time in which this process itself was held up is no silence of theirs.
    stuck
        Called with the reason if Ray is lost and nobody asks whether it is: the program waits for Ray.
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
        """Raise what is wrong with Ray, if anything is.

        Raises
        ------
        RayLostError
            Naming what died or hangs.
        """
        self._why = self._why or self._deaths()
        if self._why is not None:
            self._heard.set()
            raise RayLostError(self._why)

    def well(self) -> bool:
        """Ask every part now, and wait until it has answered or is lost; whether none is."""
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
        """Raise what is wrong with Ray, as `check`, once every part has been asked."""
        if not self.well():
            self.check()

    def get(self, reference: Any, seconds: float) -> Any:
        """What a reference of Ray's stands for, once it is there.

        Raises
        ------
        GetTimeoutError
            If it is not within some seconds; time in which this process itself was held up does not count.
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
        """Watch no more."""
        self._over.set()
        for now in self._now:
            now.set()
        if not self.lost:
            # Those that ask wait for Ray no longer than it takes to answer.
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
