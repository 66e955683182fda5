"""Hashes of arrays that depend on the numbers only, not on their memory layout."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def digest(named: Mapping[str, NDArray[Any]]) -> bytes:
    """Return the SHA-256 of one block's parameters as little-endian bytes in C order, one array after the other."""
    total = hashlib.sha256()
    for array in named.values():
        total.update(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes())
    return total.digest()
