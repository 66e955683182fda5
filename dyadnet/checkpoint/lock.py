"""A lock that keeps two runs from one folder of checkpoints; it names who holds it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dyadnet.errors import CheckpointError
from dyadnet.files.store import Store

LOCK = "run.lock"
TAKING = "run.lock.taking"
"""There while somebody puts a lock in the place of one whose process is over."""
_HELD: set[str] = set()
"""Tokens of the locks that runs of this process hold."""
UNKNOWN: dict[str, Any] = {"token": None}
"""What is said of a lock that somebody holds, nobody knows who."""
MOMENT = 0.3
"""Seconds within which whoever takes over the same lock at the same time has done so."""


@contextlib.contextmanager
def locked(store: Store, say: Callable[[str], None] = lambda text: None) -> Iterator[None]:
    """Hold the lock of a folder.

    One whose process is over is taken over, and so is one that was not written to its end, which holds nobody. Of a
    process that can be told on its own machine only; of another machine's, the message says what to remove.

    Parameters
    ----------
    say
        Is told if a lock was taken over.

    Raises
    ------
    CheckpointError
        If another run holds it.
    StoreError
        If the folder cannot be written.
    """
    mine = holder() | {"token": secrets.token_hex(8)}
    with _known(mine["token"]):
        yield from _locked(store, say, mine)


@contextlib.contextmanager
def _known(token: str) -> Iterator[None]:
    """A lock of this process, from before it is there until after it is gone."""
    _HELD.add(token)
    try:
        yield
    finally:
        _HELD.discard(token)


def _locked(store: Store, say: Callable[[str], None], mine: dict[str, Any]) -> Iterator[None]:
    data = json.dumps(mine).encode()
    if not store.create(LOCK, data):
        other = _read(store)
        if not stale(other):
            who = f"process {other['pid']} on {other['host']}" if "pid" in other else "another run"
            raise CheckpointError(
                f"{store.folder}: {who} is using it; wait for its end or stop it, and if it is over already remove "
                f"{store.folder}/{LOCK}"
            )
        if not _taken_over(store, other, mine, data):
            raise CheckpointError(f"{store.folder}: another run has just begun to use it; wait for its end or stop it")
        who = f"the lock of process {other['pid']}, which is over," if "pid" in other else "a lock that names nobody"
        say(f"{who} is taken over")
    try:
        yield
    finally:
        # Somebody may have removed it by hand and begun another run.
        if _read(store).get("token") == mine["token"]:
            store.remove(LOCK)


def holder() -> dict[str, Any]:
    """Who this is: process, machine, and when both began, since numbers and names are used again."""
    return {"pid": os.getpid(), "host": socket.gethostname(), "boot": _boot(), "began": _began(os.getpid())}


def stale(lock: dict[str, Any]) -> bool:
    """Whether nobody holds a lock, or certainly only a process that is over."""
    if not lock:
        return True
    if "pid" not in lock or lock["host"] != socket.gethostname():
        return False
    if lock["boot"] != _boot():
        return True
    began = _began(lock["pid"])
    if began is None or began != lock["began"]:
        return True
    # Of this very process: a run that has ended could not remove it, its folder having been renamed meanwhile.
    return lock["pid"] == os.getpid() and lock.get("token") is not None and lock["token"] not in _HELD


def _taken_over(store: Store, other: dict[str, Any], mine: dict[str, Any], data: bytes) -> bool:
    """Put our lock in place of one that is stale; whether it is there to stay.

    Only one at a time may: who looks, removes and creates without that may remove the lock of somebody who did so a
    moment before. A store that creates no file exclusively has the later one of two, so that everybody looks again.

    Raises
    ------
    CheckpointError
        If somebody died while doing so.
    """
    if not store.create(TAKING, data):
        if stale(_read(store, TAKING)):
            raise CheckpointError(f"{store.folder}: a run died while it began here; remove {store.folder}/{TAKING}")
        return False
    try:
        if not other:
            # Where files cannot be linked, one that is just being written looks the same.
            time.sleep(MOMENT)
        if _read(store) != other:
            return False
        # In one step: where there is no room for ours, the one before stays.
        store.write(LOCK, data)
    finally:
        store.remove(TAKING)
    time.sleep(MOMENT)
    return bool(_read(store).get("token") == mine["token"])


def _read(store: Store, name: str = LOCK) -> dict[str, Any]:
    """The lock; empty if it was not written to its end, `UNKNOWN` if it cannot be read or is of another kind."""
    try:
        data = store.read(name)
    except CheckpointError:
        return UNKNOWN
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    complete = isinstance(found, dict) and {"pid", "host", "boot", "began"} <= set(found)
    return found if complete and isinstance(found["pid"], int) else UNKNOWN


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _began(pid: int) -> str | None:
    """When a living process began, in the system's ticks; None if there is none, empty if it cannot be told."""
    try:
        # What is after the name, which may hold spaces and brackets.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] == "Z" else fields[19]
    except OSError:
        pass
    if Path("/proc/self/stat").exists():
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return ""
