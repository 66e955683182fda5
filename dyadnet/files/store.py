"""Where checkpoints lie: a folder of this machine, or whatever file system fsspec knows.

A file is there whole or not at all: it is written under a name of its own first and then takes its place. File names
are checked, so that nothing outside the folder is ever touched, whatever a manifest says.
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
"""Codes of the system for: no hard links here."""
_LEGAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


class Store(Protocol):
    """Files in folders of one level. It travels to whoever writes or reads, and opens nothing before it is used."""

    @property
    def folder(self) -> str:
        """What a user finds it by."""

    def write(self, name: str, data: bytes) -> None:
        """Write a file, in place of what was there.

        Raises
        ------
        StoreError
            If it cannot be; what was there before still is.
        """

    def create(self, name: str, data: bytes) -> bool:
        """Write a file unless there is one already; whether it was written."""

    def read(self, name: str) -> bytes:
        """The whole file.

        Raises
        ------
        CheckpointError
            If there is none, or it cannot be read.
        """

    def names(self) -> list[str]:
        """Files and folders at the top, in order; none if the folder is not there."""

    def remove(self, name: str) -> None:
        """Remove a file or a folder with all in it, if it is there."""


def checked(name: str) -> str:
    """A relative name, ``file`` or ``folder/file``, that leads nowhere else.

    Raises
    ------
    CheckpointError
        If it could.
    """
    parts = name.split("/")
    if len(parts) > 2 or not all(_LEGAL.fullmatch(part) and ".." not in part for part in parts):
        raise CheckpointError(f"file name {name[:80]!r}: not one of a checkpoint; it was altered, and is not followed")
    return name


def store(folder: str) -> Store:
    """The store at a path or URL.

    Raises
    ------
    ConfigError
        If nothing here knows such URLs.
    """
    if "://" not in folder:
        return LocalStore(str(Path(folder).absolute()))
    if folder.startswith("file://"):
        return LocalStore(folder.removeprefix("file://"))
    return RemoteStore(folder)


class LocalStore:
    """A folder that is mounted here."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._was_there = False

    def write(self, name: str, data: bytes) -> None:
        """See `Store`; it is on the disk when this returns."""
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
            # Told before anything is written: who finds a file here needs no room.
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
        """See `Store`; links are removed and not followed."""
        path = self._path(name)
        with contextlib.suppress(OSError):
            if path.is_dir() and not path.is_symlink():
                for entry in path.iterdir():
                    entry.unlink()
                path.rmdir()
            else:
                path.unlink()

    def _make(self) -> None:
        """Make the folder, once: one that is gone later was renamed or removed, and would be in two places."""
        if self._was_there and not Path(self.folder).is_dir():
            raise FileNotFoundError(errno.ENOENT, "its folder was renamed or removed")
        Path(self.folder).mkdir(parents=True, exist_ok=True)
        self._was_there = True

    def _path(self, name: str) -> Path:
        return Path(self.folder, *checked(name).split("/"))


class RemoteStore:
    """A folder of a file system that fsspec knows, such as ``s3://bucket/run``."""

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
        """See `Store`; of two at the same moment the later one may win."""
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
    """A file beside `path`, whole and on the disk, for as long as the context lasts."""
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
    """Give a whole file another name unless something has it; whether it has it now."""
    try:
        path.hardlink_to(fresh)
    except FileExistsError:
        return False
    except OSError as problem:
        if problem.errno not in LINKLESS:
            raise
        # A file system without hard links: the file is there before its content is, and gone again without it.
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
    """Have a folder's new names on the disk too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
