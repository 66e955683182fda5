"""A file of JSON lines that only ever holds whole ones."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from dyadnet.errors import DyadnetError


class RecordError(DyadnetError):
    """Something of a run's record that could not be written; what was written before is there."""


def encoded(line: dict[str, Any]) -> bytes:
    """A line as it is written."""
    return (json.dumps(line) + "\n").encode()


def unwritten(path: Path, problem: OSError, run: Path) -> RecordError:
    """What to say of something in a run's folder that cannot be written, and how to go on."""
    return RecordError(
        f"{path}: it cannot be written ({problem.strerror}); free space there, then go on with: dyadnet resume {run}"
    )


def complete(path: Path) -> int:
    """Bytes of a file's whole lines, 0 if there is no file: what ended a process may have cut off the last one."""
    return path.read_bytes().rfind(b"\n") + 1 if path.exists() else 0


class Lines:
    """A record that is being written.

    Parameters
    ----------
    path
        Made anew, unless `length` says how much of what is there stays.
    length
        Bytes that stay.

    Attributes
    ----------
    length
        Bytes that there are.
    """

    def __init__(self, path: Path, length: int | None = None) -> None:
        self.path = path
        self.length = 0
        # Unbuffered: what could not be written must not be tried again behind our back.
        self._file = path.open("wb" if length is None else "r+b", buffering=0)
        if length is not None:
            self.rewind(length)

    def append(self, line: dict[str, Any]) -> None:
        """Write one more line, whole or not at all.

        Raises
        ------
        RecordError
            If it cannot be written.
        """
        data = memoryview(encoded(line))
        written = 0
        try:
            while written < len(data):
                written += self._file.write(data[written:]) or 0
        except OSError as problem:
            with contextlib.suppress(OSError):
                self.rewind(self.length)
            raise unwritten(self.path, problem, self.path.parent) from None
        self.length += len(data)

    def settle(self) -> None:
        """Have all lines on the disk."""
        with contextlib.suppress(OSError):
            os.fsync(self._file.fileno())

    def rewind(self, length: int) -> None:
        """Take back what comes after so many bytes."""
        self._file.truncate(length)
        self._file.seek(length)
        self.length = length

    def close(self) -> None:
        """Close the file."""
        self._file.close()
