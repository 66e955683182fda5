"""Checks what Ray needs to start or join a cluster, and says plainly why Ray could not."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from errno import EACCES, EAGAIN, EDQUOT, EMFILE, ENFILE, ENOMEM, ENOSPC
from pathlib import Path

from dyadnet.errors import ConfigError, DyadnetError, UsageError

PROBE = 5.0
"""Seconds within which a cluster's address must accept a connection."""
LONGEST = "/ray/session_2000-01-01_00-00-00_000000_4194304/sockets/plasma_store.1"
"""What Ray appends to its folder for its longest socket name."""
MOST = (104 if sys.platform == "darwin" else 108) - 1
"""Maximum length of a socket name in bytes."""
SHORT = "/tmp"
SHORTAGES = tuple(os.strerror(number).lower() for number in (ENOSPC, EDQUOT, ENOMEM, EMFILE, ENFILE, EAGAIN, EACCES))
"""Texts of errors about what this machine may lack or forbid, whatever the cluster's address is."""


def folder() -> dict[str, str]:
    """Return environment variables that put Ray's files and sockets into a folder that can hold them.

    Schedulers make a folder for each job, and its name may be too long for a socket. The files and sockets then go to
    /tmp, unless ``RAY_TMPDIR`` names a folder.

    Raises
    ------
    UsageError
        If the folder's name is too long, or if the folder cannot be written; the message names the variable.
    """
    variable = next((name for name in ("RAY_TMPDIR", "TMPDIR") if os.environ.get(name)), None)
    place = SHORT if variable is None else os.environ[variable]
    room = MOST - len(LONGEST)
    long = len(os.fsencode(place)) > room
    if long and variable == "RAY_TMPDIR":
        raise UsageError(f"RAY_TMPDIR: {place!r} is too long for Ray's sockets; name a folder of at most {room} bytes")
    if long:
        place = SHORT
    if not _usable(Path(place)):
        named = f"{variable}: {place!r}" if variable is not None and not long else repr(place)
        raise UsageError(f"{named} cannot be written, and Ray keeps its files there; name another folder by RAY_TMPDIR")
    return {"RAY_TMPDIR": place} if long else {}


def _usable(place: Path) -> bool:
    """Return whether a folder can be written; create it if necessary, as Ray would."""
    try:
        place.mkdir(parents=True, exist_ok=True)
        ours = place / "ray"
        # Try it, because permissions do not tell the truth for the superuser and for some file systems.
        with tempfile.TemporaryFile(dir=ours if ours.exists() else place):
            return True
    except OSError:
        return False


def knock(address: str) -> None:
    """Check that something listens at HOST:PORT, or where ``auto`` leads; Ray itself would try for a minute.

    Raises
    ------
    ConfigError
        If nothing listens there, or if the address has another form.
    """
    named = "cluster.address"
    if address == "auto":
        # As Ray does.
        address = os.environ.get("RAY_ADDRESS", "") or _remembered() or ""
        named = "RAY_ADDRESS" if os.environ.get("RAY_ADDRESS") else "cluster.address"
        if address in ("", "auto", "local") or "://" in address:
            return
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        raise ConfigError(named, address, "write HOST:PORT, or auto for a cluster on this machine")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=PROBE).close()
    except (OSError, OverflowError) as problem:
        why = getattr(problem, "strerror", None) or problem
        raise ConfigError(named, address, f"no cluster answers there ({why}); {_remedy(named)}") from None


def _remedy(named: str) -> str:
    start = "start one with: ray start --head"
    return start if named == "cluster.address" else f"unset it, or {start}"


def _remembered() -> str | None:
    """Return the address of the cluster that was last started on this machine; the cluster may be over."""
    with contextlib.suppress(OSError, ValueError):
        return (_sessions() / "ray_current_cluster").read_text(encoding="utf-8").strip() or None
    return None


@contextlib.contextmanager
def latest_kept() -> Iterator[None]:
    """Keep Ray's link to the latest session on the cluster that a user has started here, if there is one.

    Ray's tools look for logs there. Every process of a cluster of our own points the link to a session that is soon
    over.
    """
    link = _sessions() / "session_latest"
    before = None
    if _remembered() is not None:
        with contextlib.suppress(OSError):
            before = link.readlink()
    try:
        yield
    finally:
        if before is not None:
            fresh = link.with_name(f"{link.name}.{os.getpid()}")
            with contextlib.suppress(OSError):
                fresh.symlink_to(before)
                fresh.replace(link)


def _sessions() -> Path:
    """Return the folder where Ray keeps the files of its sessions on this machine."""
    return Path(os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or SHORT) / "ray"


def refused(address: str | None, problem: str, noise: str) -> DyadnetError:
    """Return the error for a Ray that did not start, if `address` is None, or that could not connect.

    Parameters
    ----------
    problem, noise
        Ray's own message, and what its libraries printed.
    """
    text = " ".join(problem.split())
    if address is None:
        return DyadnetError(f"Ray did not start here: {text[:300]}; to do without it: --engine local")
    lower = f"{text} {noise}".lower()
    if any(shortage in lower for shortage in SHORTAGES):
        return DyadnetError(f"Ray could not join the cluster at {address} from this machine: {text[:300]}")
    if "version" in lower and "mismatch" in lower:
        legal = f"the cluster runs other versions than this machine: {text[:300]}; install the same Ray and Python"
    elif any(word in lower for word in ("unauthenticated", "invalidauthtoken", "token")):
        mode = os.environ.get("RAY_AUTH_MODE")
        ours = "our token is not the cluster's" if mode == "token" else "the cluster asks for a token, and we have none"
        legal = f"{ours}; set RAY_AUTH_TOKEN to the cluster's token, or RAY_AUTH_TOKEN_PATH to a file that holds it"
    elif address == "auto":
        legal = "no cluster here to join (a run without --address has one of its own); start one with: ray start --head"
    else:
        legal = f"Ray could not connect: {text[:300]}"
    return ConfigError("cluster.address", address, legal)
