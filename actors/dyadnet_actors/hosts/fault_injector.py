"""Injects faults, on the side of the host that suffers them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable
from typing import Protocol

from dyadnet.config.faults import Fault
from dyadnet.program.sync.crossing import Home


class Effects(Protocol):
    """Effects of a fault on its own process."""

    def kill(self) -> None:
        """Kill the process at once."""

    def hang(self) -> None:
        """Stop the process, including its heartbeats."""


class Process:
    """Implements `Effects` for the current process."""

    def kill(self) -> None:
        """See `Effects`."""
        os.kill(os.getpid(), signal.SIGKILL)

    def hang(self) -> None:
        """See `Effects`."""
        os.kill(os.getpid(), signal.SIGSTOP)


class FaultInjector:
    """The faults of one host in one relaxation.

    Parameters
    ----------
    home
        Which host this is.
    effects
        Carries out faults that hit the whole process.
    slow
        Slows the host down by a factor.
    cut
        Drops all packets to another host.
    """

    def __init__(self, home: Home, effects: Effects, slow: Callable[[float], None], cut: Callable[[int], None]) -> None:
        self._home = home
        self._effects = effects
        self._slow = slow
        self._cut = cut
        self._coming: list[Fault] = []

    def arm(self, faults: Iterable[Fault]) -> None:
        """Take over the faults of a relaxation that concern this host, and forget earlier ones."""
        here = set(self._home.blocks)
        self._coming = [fault for fault in faults if here.intersection(fault.blocks)]

    def reach(self, tick: int) -> None:
        """Inject the faults that are due, because the first lane is about to begin this tick."""
        while self._coming and any(fault.tick <= tick for fault in self._coming):
            fault = next(fault for fault in self._coming if fault.tick <= tick)
            self._coming.remove(fault)
            self._happen(fault)

    def _happen(self, fault: Fault) -> None:
        if fault.kind == "kill":
            self._effects.kill()
        elif fault.kind == "hang":
            self._effects.hang()
        elif fault.factor is not None:
            self._slow(fault.factor)
        else:
            for name in fault.blocks:
                if self._home.homes[name] != self._home.index:
                    self._cut(self._home.homes[name])
