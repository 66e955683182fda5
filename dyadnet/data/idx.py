"""The IDX format of MNIST, plain or gzip."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dyadnet.errors import DataError

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
        raw = path.read_bytes()
    except OSError as problem:
        raise DataError(f"{path}: cannot be read ({problem.strerror}); check --data-dir") from None
    content = raw
    if raw[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as problem:
            raise DataError(f"{path}: damaged or truncated gzip ({problem}); {_REMEDY}") from None
    array = parse(content, dimensions, str(path))
    if checksums:
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found not in checksums and hashlib.md5(raw, usedforsecurity=False).hexdigest() not in checksums:
            known = ", ".join(sorted(checksums))
            raise DataError(f"{path}: MD5 of its content is {found}, expected one of {known}; {_REMEDY}")
    return array


def parse(content: bytes, dimensions: int, name: str) -> NDArray[np.uint8]:
    """The array in the bytes of an IDX file; its header is checked against their number before anything else.

    Raises
    ------
    DataError
        If they are not an IDX array of unsigned bytes with that many dimensions.
    """
    header = 4 + 4 * dimensions
    magic = bytes((0, 0, 8, dimensions))
    if len(content) < header or content[:4] != magic:
        found = content[:4].hex() or "nothing"
        raise DataError(f"{name}: starts with {found}, expected {magic.hex()} (IDX, {dimensions}-d bytes); {_REMEDY}")
    shape = tuple(int.from_bytes(content[4 + 4 * i : 8 + 4 * i], "big") for i in range(dimensions))
    size = 1
    for length in shape:
        size *= length
    if len(content) != header + size:
        what = "truncated" if len(content) < header + size else "too long"
        raise DataError(f"{name}: {what}, {len(content)} bytes where its header says {header + size}; {_REMEDY}")
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)
