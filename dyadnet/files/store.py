"""Storage of checkpoints: a local folder, or any file system that fsspec supports.

Writes are atomic: a file is first written under a temporary name and then renamed. File names are checked, so that a
manipulated manifest cannot affect anything outside the folder.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from dyadnet.errors import CheckpointError, ConfigError, unwritten
from dyadnet.files.access import content

LINKLESS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)
"""Error codes of the operating system if hard links are not supported."""
_LEGAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


class Store(Protocol):
    """Files in folders of one level. A store can be sent to other processes. It opens nothing before its first use."""

    @property
    def folder(self) -> str:
        """Path or URL of the folder, for the user."""

    def write(self, name: str, data: bytes) -> None:
        """Write a file. It replaces an existing one.

        Raises
        ------
        StoreError
            If it cannot be written. An existing file is then unchanged.
        """

    def create(self, name: str, data: bytes) -> bool:
        """Write a file unless it exists. Return whether it was written."""

    def read(self, name: str) -> bytes:
        """Read a whole file.

        Raises
        ------
        CheckpointError
            If it does not exist, or cannot be read.
        """

    def names(self) -> list[str]:
        """Return the sorted names of files and folders at the top level; empty if the folder does not exist."""

    def remove(self, name: str) -> None:
        """Remove a file, or a folder with all its content, if it exists."""


def checked(name: str) -> str:
    """Check that a relative name, ``file`` or ``folder/file``, does not lead out of the folder. Return the name.

    Raises
    ------
    CheckpointError
        If it might lead out.
    """
    parts = name.split("/")
    if len(parts) > 2 or not all(_LEGAL.fullmatch(part) and ".." not in part for part in parts):
        raise CheckpointError(f"file name {name[:80]!r}: not one of a checkpoint; it was altered, and is not followed")
    return name


def store(folder: str) -> Store:
    """Return the store at a path or URL.

    Raises
    ------
    ConfigError
        If no installed file system supports the URL.
    """
    if "://" not in folder:
        return LocalStore(str(Path(folder).absolute()))
    if folder.startswith("file://"):
        return LocalStore(folder.removeprefix("file://"))
    return RemoteStore(folder)


class LocalStore:
    """A folder in the local file system, mounted ones included."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._was_there = False

    def write(self, name: str, data: bytes) -> None:
        """See `Store`. The file is flushed to the disk before this method returns."""
        path = self._path(name)
        try:
            self._make()
            with _written(path, data) as fresh:
                fresh.replace(path)
            _settle(path.parent)
        except OSError as problem:
            raise unwritten(str(path), problem) from None

    def create(self, name: str, data: bytes) -> bool:
        """See `Store`."""
        path = self._path(name)
        try:
            # Check before writing anything: if the file exists, no disk space is needed.
            if path.exists():
                return False
            self._make()
            with _written(path, data) as fresh:
                return _put(fresh, path, data)
        except OSError as problem:
            raise unwritten(str(path), problem) from None

    def read(self, name: str) -> bytes:
        """See `Store`."""
        path = self._path(name)
        try:
            return content(path)
        except OSError as problem:
            raise CheckpointError(f"{path}: it cannot be read ({problem.strerror})") from None

    def names(self) -> list[str]:
        """See `Store`."""
        try:
            return sorted(entry.name for entry in Path(self.folder).iterdir() if _LEGAL.fullmatch(entry.name))
        except OSError:
            return []

    def remove(self, name: str) -> None:
        """See `Store`. Links are removed, not followed."""
        path = self._path(name)
        with contextlib.suppress(OSError):
            if path.is_dir() and not path.is_symlink():
                for entry in path.iterdir():
                    entry.unlink()
                path.rmdir()
            else:
                path.unlink()

    def _make(self) -> None:
        """Create the folder once. If it is missing later, it was renamed or removed, and must not be created again."""
        if self._was_there and not Path(self.folder).is_dir():
            raise FileNotFoundError(errno.ENOENT, "its folder was renamed or removed")
        Path(self.folder).mkdir(parents=True, exist_ok=True)
        self._was_there = True

    def _path(self, name: str) -> Path:
        return Path(self.folder, *checked(name).split("/"))


class RemoteStore:
    """A folder of a file system that fsspec supports, such as ``s3://bucket/run``."""

    def __init__(self, folder: str) -> None:
        scheme = folder.partition("://")[0]
        known = importlib.import_module("fsspec.registry")
        if scheme not in known.known_implementations and scheme not in known.registry:
            raise ConfigError("checkpoint.folder", folder, f"a path, or a URL that fsspec knows; {scheme} is not")
        self.folder = folder.rstrip("/")
        self._opened: tuple[Any, str] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "_opened": None}

    def write(self, name: str, data: bytes) -> None:
        """See `Store`."""
        system, path = self._at(name)
        fresh = f"{path}.{secrets.token_hex(4)}.part"
        try:
            system.makedirs(path.rpartition("/")[0], exist_ok=True)
            system.pipe_file(fresh, data)
            system.mv(fresh, path)
        except OSError as problem:
            with contextlib.suppress(OSError):
                system.rm_file(fresh)
            raise unwritten(f"{self.folder}/{name}", problem) from None

    def create(self, name: str, data: bytes) -> bool:
        """See `Store`. If two processes write at the same moment, the later one may win."""
        system, path = self._at(name)
        system.invalidate_cache()
        if system.exists(path):
            return False
        self.write(name, data)
        return self.read(name) == data

    def read(self, name: str) -> bytes:
        """See `Store`."""
        system, path = self._at(name)
        try:
            return bytes(system.cat_file(path))
        except OSError as problem:
            why = problem.strerror or type(problem).__name__
            raise CheckpointError(f"{self.folder}/{name}: it cannot be read ({why})") from None

    def names(self) -> list[str]:
        """See `Store`."""
        system, path = self._open()
        system.invalidate_cache()
        try:
            found = [str(entry).rstrip("/").rpartition("/")[2] for entry in system.ls(path, detail=False)]
        except OSError:
            return []
        return sorted(name for name in found if _LEGAL.fullmatch(name))

    def remove(self, name: str) -> None:
        """See `Store`."""
        system, path = self._at(name)
        with contextlib.suppress(OSError):
            system.rm(path, recursive=True)

    def _at(self, name: str) -> tuple[Any, str]:
        system, root = self._open()
        return system, f"{root}/{checked(name)}"

    def _open(self) -> tuple[Any, str]:
        if self._opened is None:
            core = importlib.import_module("fsspec.core")
            try:
                system, path = core.url_to_fs(self.folder)
            except (ImportError, ValueError) as problem:
                raise ConfigError("checkpoint.folder", self.folder, f"it cannot be used here: {problem}") from None
            self._opened = system, str(path).rstrip("/")
        return self._opened


@contextlib.contextmanager
def _written(path: Path, data: bytes) -> Iterator[Path]:
    """Write a temporary file beside `path`, flush it to the disk, and remove it at the end of the context."""
    fresh = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    path.parent.mkdir(exist_ok=True)
    try:
        with fresh.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield fresh
    finally:
        fresh.unlink(missing_ok=True)


def _put(fresh: Path, path: Path, data: bytes) -> bool:
    """Link a complete file to `path` unless that exists. Return whether it was linked."""
    try:
        path.hardlink_to(fresh)
    except FileExistsError:
        return False
    except OSError as problem:
        if problem.errno not in LINKLESS:
            raise
        # Without hard links, the file exists before its content is written. It is removed if the write fails.
        try:
            file = path.open("xb", buffering=0)
        except FileExistsError:
            return False
        try:
            with file:
                file.write(data)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    return True


def _settle(folder: Path) -> None:
    """Flush new names in a folder to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
