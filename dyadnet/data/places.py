"""Where image sets are looked for, where downloads are kept, and how one is fetched."""

from __future__ import annotations

import os
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

ENVIRONMENT = "DYADNET_DATA"
TIMEOUT = 30.0
"""Seconds that a server may be silent."""


def asked(data_dir: Path | None) -> tuple[str, Path] | None:
    """The folder that a user names for data, and what named it."""
    if data_dir is not None:
        return "--data-dir", Path(data_dir)
    root = os.environ.get(ENVIRONMENT)
    return (ENVIRONMENT, Path(root)) if root else None


def cache() -> Path:
    """Where downloads are kept."""
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "dyadnet"
    except RuntimeError:
        # A user whom the system does not know, as containers have: no home, and nothing in it.
        return Path("/nonexistent/.cache/dyadnet")


def folders(data_dir: Path | None, *names: str) -> Iterator[Path]:
    """Where a set may lie: in folders of these names where the user says, else in the cache, or beside them."""
    named = asked(data_dir)
    root = cache() if named is None else named[1]
    yield from (root / name for name in names)
    yield root


def fetch(url: str, path: Path, check: Callable[[Path], object]) -> None:
    """Download a file, unless it is there: whole and checked, or not at all.

    Parameters
    ----------
    check
        Raises if what has come is not what was wanted.

    Raises
    ------
    OSError
        If the server does not answer or the file cannot be written.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}")
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer, part.open("wb") as file:
            while piece := answer.read(1 << 20):
                file.write(piece)
        check(part)
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)
