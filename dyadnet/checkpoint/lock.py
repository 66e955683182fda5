"""A lock that keeps two runs from using one folder of checkpoints; it names its holder."""

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
"""Exists while a process replaces a stale lock."""
_HELD: set[str] = set()
"""Tokens of the locks that this process holds."""
UNKNOWN: dict[str, Any] = {"token": None}
"""Contents of a lock whose holder is unknown."""
MOMENT = 0.3
"""Seconds to wait for other processes that are taking over the same lock at the same time."""


@contextlib.contextmanager
def locked(store: Store, say: Callable[[str], None] = lambda text: None) -> Iterator[None]:
    """Hold the lock of a folder.

    A stale lock is taken over: a lock whose process has ended, or one that was not completely written. Whether a
    process has ended can be determined on its own machine only. For a lock of another machine, the error says which
    file to remove.

    Parameters
    ----------
    say
        Receives a message if a lock was taken over.

    Raises
    ------
    CheckpointError
        If another run holds the lock.
    StoreError
        If the folder cannot be written.
    """
    mine = holder() | {"token": secrets.token_hex(8)}
    with _known(mine["token"]):
        yield from _locked(store, say, mine)


@contextlib.contextmanager
def _known(token: str) -> Iterator[None]:
    """Register a token in `_HELD`, from before its lock is created until after it is removed."""
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
        # A user may have removed it by hand and started another run.
        if _read(store).get("token") == mine["token"]:
            store.remove(LOCK)


def holder() -> dict[str, Any]:
    """Identify this process: its id and machine, and when both started, because ids and names are reused."""
    return {"pid": os.getpid(), "host": socket.gethostname(), "boot": _boot(), "began": _began(os.getpid())}


def stale(lock: dict[str, Any]) -> bool:
    """Return whether a lock has no holder, or its process has certainly ended."""
    if not lock:
        return True
    if "pid" not in lock or lock["host"] != socket.gethostname():
        return False
    if lock["boot"] != _boot():
        return True
    began = _began(lock["pid"])
    if began is None or began != lock["began"]:
        return True
    # The lock is of this process. A run that has ended could not remove it, because its folder had been renamed.
    return lock["pid"] == os.getpid() and lock.get("token") is not None and lock["token"] not in _HELD


def _taken_over(store: Store, other: dict[str, Any], mine: dict[str, Any], data: bytes) -> bool:
    """Replace a stale lock by ours, and return whether we hold it.

    The file `TAKING` lets only one process do so at a time. Without it, a process could remove the lock that another
    one has just taken over. In a store that cannot create files exclusively, the later of two writes remains, so each
    process reads the lock again at the end.

    Raises
    ------
    CheckpointError
        If another process died while it replaced the lock.
    """
    if not store.create(TAKING, data):
        if stale(_read(store, TAKING)):
            raise CheckpointError(f"{store.folder}: a run died while it began here; remove {store.folder}/{TAKING}")
        return False
    try:
        if not other:
            # Where files cannot be linked, a lock that is being written also looks empty.
            time.sleep(MOMENT)
        if _read(store) != other:
            return False
        # This is atomic: if there is no disk space for our lock, the old one remains.
        store.write(LOCK, data)
    finally:
        store.remove(TAKING)
    time.sleep(MOMENT)
    return bool(_read(store).get("token") == mine["token"])


def _read(store: Store, name: str = LOCK) -> dict[str, Any]:
    """Read the lock; empty if it was not completely written, `UNKNOWN` if it cannot be read or has another format."""
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
    """Return when a running process started, in system ticks; None if it does not run, empty if that is unknown."""
    try:
        # Take the fields after the name, which may contain spaces and brackets.
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
