"""Files of data, plain or gzip: opened without trusting what they say of themselves, and named if they are foreign."""

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
"""How files of other kinds begin."""


class Counted:
    """Reads piece by piece, and counts, so that it is known how far a damaged file could be read."""

    def __init__(self, file: BinaryIO, count: list[int]) -> None:
        self._file, self._count = file, count

    def read(self, size: int) -> bytes:
        """So many bytes, or all that are left."""
        pieces = []
        while size > 0 and (piece := self._file.read(min(size, _PIECE))):
            pieces.append(piece)
            size -= len(piece)
            self._count[0] += len(piece)
        return b"".join(pieces)


@contextmanager
def opened(path: Path) -> Iterator[tuple[Counted, int]]:
    """A file, or what is packed in it, open to be read, and how many bytes it can hold at most.

    Raises
    ------
    DataError
        If it, or what is read of it meanwhile, is damaged or cannot be read.
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
    """What bytes that are not what was expected seem to be, in brackets; nothing if they seem to be nothing known."""
    kind = next((kind for start, kind in _FOREIGN.items() if content.startswith(start)), None)
    return "" if kind is None else f" ({kind})"


def md5(path: Path) -> str:
    """MD5 of a file as it is."""
    return hashlib.md5(content_of(path), usedforsecurity=False).hexdigest()
