"""The IDX format of MNIST, plain or gzip."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.data.packed import REMEDY, foreign, md5, opened
from dyadnet.errors import DataError

BYTES, INTEGERS = np.dtype(">u1"), np.dtype(">i4")
_CODES = {BYTES: 8, INTEGERS: 12}
_WORDS = {BYTES: "bytes", INTEGERS: "32-bit integers"}


def read(path: Path, dimensions: int, checksums: Collection[str] = (), element: np.dtype[Any] = BYTES) -> NDArray[Any]:
    """Read the array in an IDX file.

    Parameters
    ----------
    dimensions
        3 for images, 1 for labels.
    checksums
        Legal MD5 sums of the file or of its uncompressed content. Empty: accept any content.
    element
        `BYTES` or `INTEGERS`.

    Raises
    ------
    DataError
        If it cannot be read, is truncated or too long, is of another kind, or has another checksum.
    """
    with opened(path) as (file, most):
        header = file.read(4 + 4 * dimensions)
        # The header cannot be trusted: never read more than the file can hold.
        wanted = _bytes(header, dimensions, str(path), element)
        content = header + file.read(min(wanted, most) + 1)
    array = parse(content, dimensions, str(path), element)
    if checksums:
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found not in checksums and md5(path) not in checksums:
            known = ", ".join(sorted(checksums))
            other = f"{REMEDY}, or name the folder to train on other data in it: --data {path.parent}"
            raise DataError(f"{path}: MD5 of its content is {found}, expected one of {known}; {other}")
    return array


def parse(content: bytes, dimensions: int, name: str, element: np.dtype[Any] = BYTES) -> NDArray[Any]:
    """Parse the bytes of an IDX file. Before anything else, check its header against the number of bytes.

    Raises
    ------
    DataError
        If they are not an IDX array with this element type and number of dimensions.
    """
    header = 4 + 4 * dimensions
    size = _bytes(content, dimensions, name, element)
    shape = _shape(content, dimensions)
    if len(content) != header + size:
        what = "truncated" if len(content) < header + size else "too long"
        raise DataError(f"{name}: {what}, {len(content)} bytes where its header says {header + size}; {REMEDY}")
    return np.frombuffer(content, dtype=element, offset=header).reshape(shape)


def _bytes(content: bytes, dimensions: int, name: str, element: np.dtype[Any]) -> int:
    """Check the header and return the number of bytes that follow it."""
    magic = bytes((0, 0, _CODES[element], dimensions))
    if len(content) < 4 + 4 * dimensions or content[:4] != magic:
        found = (content[:4].hex() or "nothing") + foreign(content)
        legal = f"{magic.hex()} (IDX, {dimensions}-d {_WORDS[element]})"
        raise DataError(f"{name}: starts with {found}, expected {legal}; {REMEDY}")
    return math.prod(_shape(content, dimensions)) * element.itemsize


def _shape(content: bytes, dimensions: int) -> tuple[int, ...]:
    return tuple(int.from_bytes(content[4 + 4 * i : 8 + 4 * i], "big") for i in range(dimensions))
