"""Read data files, plain or gzipped, without trusting their headers; recognise files of other formats."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO, cast

from dyadnet.errors import DataError
from dyadnet.files.access import content as content_of
from dyadnet.files.access import regular
from dyadnet.files.arrays import INFLATION, memory

REMEDY = "fetch the file again"
_GZIP = b"\x1f\x8b"
_PIECE = 1 << 20
_FOREIGN = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"PK\x03\x04": "a zip archive",
    b"\x93NUMPY": "a NumPy array",
    b"\x80\x02": "a Python pickle",
    b"\x80\x03": "a Python pickle",
    b"\x80\x04": "a Python pickle",
    b"\x80\x05": "a Python pickle",
    b"<": "a web page",
    b"version https://git-lfs": "a pointer of Git LFS",
    _GZIP: "a gzip file, packed twice",
    b"\0\0\x08": "an IDX file of bytes",
    b"\0\0\x0c": "an IDX file of integers",
}
"""First bytes of files of other formats."""


class Counted:
    """Reads piece by piece and counts bytes, so that errors can report how far a damaged file could be read."""

    def __init__(self, file: BinaryIO, count: list[int]) -> None:
        self._file, self._count = file, count

    def read(self, size: int) -> bytes:
        """Read `size` bytes, or all that are left."""
        pieces = []
        while size > 0 and (piece := self._file.read(min(size, _PIECE))):
            pieces.append(piece)
            size -= len(piece)
            self._count[0] += len(piece)
        return b"".join(pieces)


@contextmanager
def opened(path: Path) -> Iterator[tuple[Counted, int]]:
    """Open a file for reading, decompressed if it is gzipped. Yield it with an upper limit of its size in bytes.

    Raises
    ------
    DataError
        If the file is damaged or cannot be read, also while its content is read.
    """
    read = [0]
    try:
        size = path.stat().st_size
        with regular(path) as file:
            packed = file.read(len(_GZIP)) == _GZIP
            file.seek(0)
            with gzip.GzipFile(fileobj=file) if packed else nullcontext(file) as plain:
                yield Counted(cast(BinaryIO, plain), read), min(INFLATION * size if packed else size, memory())
    except (EOFError, zlib.error, gzip.BadGzipFile) as problem:
        found = f"damaged or truncated gzip, {read[0]} bytes came of it ({problem})"
        raise DataError(f"{path}: {found}; {REMEDY}") from None
    except OSError as problem:
        raise DataError(f"{path}: cannot be read ({problem.strerror}); check --data-dir") from None


def foreign(content: bytes) -> str:
    """Return the apparent format of unexpected bytes, in brackets; empty if the format is unknown."""
    kind = next((kind for start, kind in _FOREIGN.items() if content.startswith(start)), None)
    return "" if kind is None else f" ({kind})"


def md5(path: Path) -> str:
    """Return the MD5 of a file's raw content."""
    return hashlib.md5(content_of(path), usedforsecurity=False).hexdigest()
