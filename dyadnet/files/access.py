"""Access to the files of a run's folder, which may come from another person or share hard links with a backup.

Only regular files are read. Nothing is written through links, symbolic or hard.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import sys
import uuid
from collections.abc import Iterable
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO

from dyadnet.errors import RunFolderError


def regular(path: Path) -> BinaryIO:
    """Open a file for reading, after checking its type: a device may be endless, and a pipe may block.

    Raises
    ------
    OSError
        If it cannot be opened, or is a pipe or a device.
    """
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "it is a pipe or a device, and no file", str(path))
    return path.open("rb")


def content(path: Path) -> bytes:
    """Return the whole content of a file; see `regular`."""
    with regular(path) as file:
        return file.read()


def unpacked(data: bytes | str) -> Any:
    """Parse JSON to plain values.

    Raises
    ------
    ValueError
        If it is not JSON, or nested too deeply.
    """
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def is_finite(value: Any) -> bool:
    """Whether a plain value is a number that a float can represent. Integers in JSON have no bound."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def written(path: Path, *, fresh: bool) -> FileIO:
    """Open a file for reading and writing without a buffer: a new and empty file, or the existing one.

    A file with several hard links, as backups create them, is copied first. The other links keep the old content.

    Raises
    ------
    RunFolderError
        If it is a symbolic link, or if another process adds a hard link in the meantime.
    OSError
        If it cannot be opened.
    """
    check_links([path])
    if path.exists() and path.stat().st_nlink > 1:
        _part(path)
    # Check again while opening, in case another process creates a link in the meantime.
    file = _opened(path, os.O_CREAT if fresh else 0)
    if os.fstat(file.fileno()).st_nlink > 1:
        file.close()
        raise RunFolderError(f"{path}: it has another name, too (a hard link); put a copy in its place")
    if fresh:
        file.truncate(0)
    return file


def lockable(path: Path) -> FileIO:
    """Open a file for locking. It is created if it does not exist, and nothing is written to it.

    Raises
    ------
    OSError
        If it is a symbolic link, or cannot be opened.
    """
    return _opened(path, os.O_CREAT)


def _opened(path: Path, flags: int) -> FileIO:
    handle = os.open(path, flags | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    return os.fdopen(handle, "r+b", buffering=0)


def _part(path: Path) -> None:
    """Replace a file by a copy, atomically."""
    copy = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}")
    try:
        shutil.copy2(path, copy, follow_symlinks=False)
        copy.replace(path)
    finally:
        copy.unlink(missing_ok=True)


def check_links(paths: Iterable[Path]) -> None:
    """Refuse to write through symbolic links: a folder from an unknown source must not redirect writes elsewhere.

    Raises
    ------
    RunFolderError
        Names the first path that is a symbolic link.
    """
    for path in paths:
        if path.is_symlink():
            raise RunFolderError(f"{path}: it is a symbolic link, and none is written through; put a copy in its place")
