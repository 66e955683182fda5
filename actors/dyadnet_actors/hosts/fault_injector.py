"""Faults on purpose, on the side of the host that suffers them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable
from typing import Protocol

from dyadnet.config.faults import Fault
from dyadnet.program.sync.crossing import Home


class Effects(Protocol):
    """What a fault does to the process it is in."""

    def kill(self) -> None:
        """End it at once."""

    def hang(self) -> None:
        """Stop it, heartbeats included."""


class Process:
    """Implements `Effects` for the process that this runs in."""

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
        Carries out those that hit the whole process.
    slow
        Makes the host so many times slower.
    cut
        Loses all letters to another host.
    """

    def __init__(self, home: Home, effects: Effects, slow: Callable[[float], None], cut: Callable[[int], None]) -> None:
        self._home = home
        self._effects = effects
        self._slow = slow
        self._cut = cut
        self._coming: list[Fault] = []

    def arm(self, faults: Iterable[Fault]) -> None:
        """Take over the faults of a relaxation that concern this host, and forget those before."""
        here = set(self._home.blocks)
        self._coming = [fault for fault in faults if here.intersection(fault.blocks)]

    def reach(self, tick: int) -> None:
        """The first lane is about to begin this tick."""
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
