"""Bounded reading of arrays from ``.npz`` files. An array is allocated only if its file can really contain it.

A file may come from any source. Before reading, the directory and the headers of the arrays are compared with each
other, with the true size of the file and with the machine's memory. Object arrays are never read, because NumPy would
have to unpickle them.
"""

from __future__ import annotations

import io
import math
import os
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from dyadnet.files.access import regular

Arrays = dict[str, NDArray[Any]]

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
INFLATION = 1100
"""Upper limit of the compression ratio of deflate."""
_HEADER = 10_000
_NAMED = 10
_ENCRYPTED = 1


class ArraysError(ValueError):
    """A file that is not an ``.npz`` file or is damaged, or an array in it that cannot be read."""


@dataclass(frozen=True, slots=True)
class Header:
    """Shape and type of an array, known before the array is read."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        """Size of its numbers in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


class Archive:
    """An open ``.npz`` file.

    Parameters
    ----------
    file
        A path, or the content of the file.

    Attributes
    ----------
    names
        Names of the arrays in it.

    Raises
    ------
    ArraysError
        If it is not an ``.npz`` file.
    OSError
        If it cannot be read.
    """

    def __init__(self, file: Path | bytes) -> None:
        self._file: BinaryIO = io.BytesIO(file) if isinstance(file, bytes) else regular(file)
        try:
            first = self._file.read(len(npy.MAGIC_PREFIX))
            if first == npy.MAGIC_PREFIX:
                raise ArraysError("a single array, not an .npz file")
            self._size = self._file.seek(0, os.SEEK_END)
            self._zip = zipfile.ZipFile(self._file)
            self._entries = {entry.filename.removesuffix(".npy"): entry for entry in self._zip.infolist()}
            if len(self._entries) < len(self._zip.infolist()):
                raise ArraysError("damaged: an array is in it twice")
        except ArraysError:
            self._file.close()
            raise
        except Exception as problem:
            self._file.close()
            raise ArraysError(f"not a readable .npz file ({_why(problem)})") from None
        self.names = tuple(self._entries)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()
        self._file.close()

    def read(self, names: Iterable[str]) -> Arrays:
        """Read some of the arrays. Return them by name.

        Raises
        ------
        ArraysError
            If one is missing, damaged or contains objects, or if they are too large for their file or for this machine.
        """
        names = list(names)
        headers = {name: self.header(name) for name in names}
        packed = sum(self._entries[name].compress_size for name in names)
        needed = sum(header.size for header in headers.values())
        if packed > self._size or needed > INFLATION * (self._size + 1):
            raise ArraysError("damaged: its arrays would be larger than the file can hold")
        if needed > memory():
            raise ArraysError(f"its arrays need {needed / 2**30:.3g} GiB, this machine has {memory() / 2**30:.3g}")
        return {name: self._array(name) for name in names}

    def header(self, name: str) -> Header:
        """Return shape and type of an array.

        Raises
        ------
        ArraysError
            If it is missing, damaged or contains objects.
        """
        if name not in self._entries:
            shown = sorted(self._entries)[:_NAMED]
            more = ", …" if len(self._entries) > _NAMED else ""
            raise ArraysError(f"no array {name!r} in it, only {', '.join(shown) + more or 'nothing'}")
        entry = self._entries[name]
        if entry.compress_type not in _METHODS or entry.flag_bits & _ENCRYPTED:
            raise ArraysError(f"array {name!r} is encrypted or packed otherwise than numpy does")
        try:
            with self._zip.open(entry) as file:
                version = npy.read_magic(file)
                if version not in ((1, 0), (2, 0)):
                    raise ArraysError(f"array {name!r} has a format that holds no plain numbers")
                read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
                shape, _, dtype = read(file, max_header_size=_HEADER)
                begins = file.tell()
        except ArraysError:
            raise
        # For foreign files, zipfile and NumPy raise more exceptions than they document.
        except Exception as problem:
            raise ArraysError(f"array {name!r} is damaged ({_why(problem)})") from None
        header = Header(shape, dtype)
        if dtype.hasobject:
            raise ArraysError(f"array {name!r} holds objects, which are not read; convert it to numbers")
        if any(length < 0 for length in shape) or begins + header.size != entry.file_size:
            raise ArraysError(f"array {name!r} is damaged: not of the size that it says")
        return header

    def _array(self, name: str) -> NDArray[Any]:
        try:
            with self._zip.open(self._entries[name]) as file:
                array = npy.read_array(file, allow_pickle=False, max_header_size=_HEADER)
                # The checksum is verified only when the entry is read to its end.
                file.read(1)
        except Exception as problem:
            raise ArraysError(f"array {name!r} is damaged ({_why(problem)})") from None
        return array.astype(array.dtype.newbyteorder("="), copy=False)


def read(file: Path | bytes) -> Arrays:
    """Read all arrays of an ``.npz`` file; see `Archive`."""
    with Archive(file) as archive:
        return archive.read(archive.names)


def memory() -> int:
    """Return the size of this machine's memory in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _why(problem: Exception) -> str:
    return " ".join(str(problem).split())[:100] or type(problem).__name__
