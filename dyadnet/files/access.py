"""Files of a run's folder, which may come from somebody else or be in a backup, too.

They are read if they are files, and written through no link, symbolic or hard.
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
    """A file that is open to be read, once it is known to be one: devices never end, and pipes never begin.

    Raises
    ------
    OSError
        If it cannot be opened, or is anything else.
    """
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "it is a pipe or a device, and no file", str(path))
    return path.open("rb")


def content(path: Path) -> bytes:
    """All that is in a file; see `regular`."""
    with regular(path) as file:
        return file.read()


def unpacked(data: bytes | str) -> Any:
    """Plain values of JSON.

    Raises
    ------
    ValueError
        If it is none, or nested without end.
    """
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def is_finite(value: Any) -> bool:
    """Whether a plain value is a number that a float can hold; integers of JSON have no bound."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def written(path: Path, *, fresh: bool) -> FileIO:
    """A file that is open to be written and to be read, without a buffer: made anew, or what is there.

    One that has other names, too (hard links, as backups make them), is copied first: those keep what they have.

    Raises
    ------
    RunFolderError
        If it is a symbolic link, or somebody gives it another name meanwhile.
    OSError
        If it cannot be opened.
    """
    check_links([path])
    if path.exists() and path.stat().st_nlink > 1:
        _part(path)
    # Again as it is opened, in case somebody puts a link there in between.
    file = _opened(path, os.O_CREAT if fresh else 0)
    if os.fstat(file.fileno()).st_nlink > 1:
        file.close()
        raise RunFolderError(f"{path}: it has another name, too (a hard link); put a copy in its place")
    if fresh:
        file.truncate(0)
    return file


def lockable(path: Path) -> FileIO:
    """A file to be locked, which is made if it is not there; nothing is written to it.

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
    """Put a copy in a file's place, in one step."""
    copy = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}")
    try:
        shutil.copy2(path, copy, follow_symlinks=False)
        copy.replace(path)
    finally:
        copy.unlink(missing_ok=True)


def check_links(paths: Iterable[Path]) -> None:
    """Refuse to write where a symbolic link is: a folder from somebody else must not lead out of itself.

    Raises
    ------
    RunFolderError
        Naming the first that is one.
    """
    for path in paths:
        if path.is_symlink():
            raise RunFolderError(f"{path}: it is a symbolic link, and none is written through; put a copy in its place")
