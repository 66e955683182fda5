"""The IDX format of MNIST, plain or gzip."""

from __future__ import annotations

import gzip
import hashlib
import math
import zlib
from collections.abc import Collection
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dyadnet.errors import DataError
from dyadnet.files.access import content as content_of
from dyadnet.files.access import regular
from dyadnet.files.arrays import INFLATION, memory

_GZIP = b"\x1f\x8b"
_REMEDY = "fetch the file again"


def read(path: Path, dimensions: int, checksums: Collection[str] = ()) -> NDArray[np.uint8]:
    """The array of unsigned bytes in an IDX file.

    Parameters
    ----------
    dimensions
        3 for images, 1 for labels.
    checksums
        MD5 sums, of the file or of what it uncompresses to, one of which must fit; any content if empty.

    Raises
    ------
    DataError
        If it cannot be read, is truncated or too long, is of another kind, or has another checksum.
    """
    try:
        size = path.stat().st_size
        with regular(path) as file:
            packed = file.read(len(_GZIP)) == _GZIP
            file.seek(0)
            with gzip.GzipFile(fileobj=file) if packed else nullcontext(file) as opened:
                header = opened.read(4 + 4 * dimensions)
                # What a header says may be anything: no more is asked for than the file can hold.
                wanted = _bytes(header, dimensions, str(path))
                most = min(INFLATION * size if packed else size, memory())
                content = header + opened.read(min(wanted, most) + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as problem:
        raise DataError(f"{path}: damaged or truncated gzip ({problem}); {_REMEDY}") from None
    except OSError as problem:
        raise DataError(f"{path}: cannot be read ({problem.strerror}); check --data-dir") from None
    array = parse(content, dimensions, str(path))
    if checksums:
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found not in checksums and hashlib.md5(content_of(path), usedforsecurity=False).hexdigest() not in checksums:
            known = ", ".join(sorted(checksums))
            other = f"{_REMEDY}, or name the folder to train on other data in it: --data {path.parent}"
            raise DataError(f"{path}: MD5 of its content is {found}, expected one of {known}; {other}")
    return array


def parse(content: bytes, dimensions: int, name: str) -> NDArray[np.uint8]:
    """The array in the bytes of an IDX file; its header is checked against their number before anything else.

    Raises
    ------
    DataError
        If they are not an IDX array of unsigned bytes with that many dimensions.
    """
    header = 4 + 4 * dimensions
    size = _bytes(content, dimensions, name)
    shape = _shape(content, dimensions)
    if len(content) != header + size:
        what = "truncated" if len(content) < header + size else "too long"
        raise DataError(f"{name}: {what}, {len(content)} bytes where its header says {header + size}; {_REMEDY}")
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)


def _bytes(content: bytes, dimensions: int, name: str) -> int:
    """How many bytes follow a header that says what is expected."""
    magic = bytes((0, 0, 8, dimensions))
    if len(content) < 4 + 4 * dimensions or content[:4] != magic:
        found = content[:4].hex() or "nothing"
        raise DataError(f"{name}: starts with {found}, expected {magic.hex()} (IDX, {dimensions}-d bytes); {_REMEDY}")
    return math.prod(_shape(content, dimensions))


def _shape(content: bytes, dimensions: int) -> tuple[int, ...]:
    return tuple(int.from_bytes(content[4 + 4 * i : 8 + 4 * i], "big") for i in range(dimensions))
