"""Finds the processes of a run and sends them signals."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterable
from pathlib import Path

COORDINATOR = "ray::CoordinatorActor"


def below(driver: int) -> dict[int, str]:
    """Return the program names, without folders, of a driver and all its descendants, by process ID."""
    parents, names = {}, {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            names[int(entry.name)] = (entry / "cmdline").read_bytes().split(b"\0")[0].decode().rpartition("/")[2]
    found = {driver}
    while new := {process for process, parent in parents.items() if parent in found} - found:
        found |= new
    return {process: names[process] for process in found if process in names}


def send(number: signal.Signals, processes: Iterable[int]) -> None:
    """Send a signal to processes, some of which may have ended."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


def hit(driver: int, number: signal.Signals, meant: Callable[[str], bool]) -> list[int]:
    """Send a signal to those of a driver's processes whose name matches; return their process IDs.

    Raises
    ------
    ProcessLookupError
        If no process matches.
    """
    found = [process for process, name in below(driver).items() if meant(name)]
    if not found:
        raise ProcessLookupError(f"no such process descends from process {driver}")
    send(number, found)
    return found
