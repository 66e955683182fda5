"""Traces with other frames, and the right hash over them."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dyadnet.runs.trace import MAGIC


def frames_of(path: Path) -> list[bytes]:
    """Its frames, in their order."""
    data = path.read_bytes()[len(MAGIC) : -hashlib.sha256().digest_size]
    frames = []
    while data:
        (length,) = struct.unpack_from("<I", data)
        frames.append(data[4 : 4 + length])
        data = data[4 + length :]
    return frames


def written(path: Path, frames: list[bytes]) -> None:
    """Write a trace of these frames."""
    data = MAGIC + b"".join(struct.pack("<I", len(frame)) + frame for frame in frames)
    path.write_bytes(data + hashlib.sha256(data).digest())


def rewritten(path: Path, change: Callable[[list[bytes]], Any]) -> None:
    """Change the frames of a trace."""
    frames = frames_of(path)
    change(frames)
    written(path, frames)
