"""Folders in which image sets are searched, the cache of downloads, and the download itself."""

from __future__ import annotations

import os
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

ENVIRONMENT = "DYADNET_DATA"
TIMEOUT = 30.0
"""Time limit for a silent server, in seconds."""


def asked(data_dir: Path | None) -> tuple[str, Path] | None:
    """Return the data folder that the user named, with the option or variable that named it, or None."""
    if data_dir is not None:
        return "--data-dir", Path(data_dir)
    root = os.environ.get(ENVIRONMENT)
    return (ENVIRONMENT, Path(root)) if root else None


def cache() -> Path:
    """Return the folder for downloads."""
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "dyadnet"
    except RuntimeError:
        # Containers may run as a user without an account and home. Such a user has no cache.
        return Path("/nonexistent/.cache/dyadnet")


def folders(data_dir: Path | None, *names: str) -> Iterator[Path]:
    """Yield the folders to search for a set: these subfolders of the data folder or cache, then that folder itself."""
    named = asked(data_dir)
    root = cache() if named is None else named[1]
    yield from (root / name for name in names)
    yield root


def fetch(url: str, path: Path, check: Callable[[Path], object]) -> None:
    """Download a file, unless it exists. It is stored only if it is complete and passes the check.

    Parameters
    ----------
    check
        Function of the downloaded file's path. Raises an exception if the content is wrong.

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
