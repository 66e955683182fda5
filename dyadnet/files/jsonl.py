"""A file of JSON lines that only ever contains complete lines."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dyadnet.errors import DyadnetError
from dyadnet.files.access import content, written


class RecordError(DyadnetError):
    """A part of a run's record could not be written. Everything written earlier is intact."""


def encoded(line: dict[str, Any]) -> bytes:
    """Encode a line as it is written."""
    return (json.dumps(line) + "\n").encode()


def unwritten(path: Path, problem: OSError, remedy: str) -> RecordError:
    """Return the error for a file in a run's folder that cannot be written, with advice for the user."""
    return RecordError(f"{path}: it cannot be written ({problem.strerror}); {remedy}")


def complete(path: Path) -> int:
    """Return the bytes of a file's complete lines, 0 if there is no file. A crash may have cut off the last line."""
    return content(path).rfind(b"\n") + 1 if path.exists() else 0


class Lines:
    """A record that is being written.

    Parameters
    ----------
    path
        File to write. It is created anew unless `length` is given.
    length
        Number of bytes of the existing file to keep.
    remedy
        Function that returns advice for the error about a line that cannot be written. It is called only then.

    Attributes
    ----------
    length
        Present length of the file in bytes.

    Raises
    ------
    RunFolderError
        If it is a symbolic link.
    """

    def __init__(
        self, path: Path, length: int | None = None, remedy: Callable[[], str] = lambda: "free space there"
    ) -> None:
        self.path = path
        self._remedy = remedy
        self.length = 0
        # Unbuffered, so that a failed write is not repeated later without notice.
        self._file = written(path, fresh=length is None)
        if length is not None:
            self.rewind(length)

    def append(self, line: dict[str, Any]) -> None:
        """Append one line, completely or not at all.

        Raises
        ------
        RecordError
            If it cannot be written, or if the file is no longer at its path.
        """
        self.check()
        data = memoryview(encoded(line))
        written = 0
        try:
            while written < len(data):
                written += self._file.write(data[written:]) or 0
        except OSError as problem:
            with contextlib.suppress(OSError):
                self.rewind(self.length)
            raise unwritten(self.path, problem, self._remedy()) from None
        self.length += len(data)

    def check(self) -> None:
        """Check that the file is still at its path.

        Raises
        ------
        RecordError
            If its folder was renamed or removed, because the run's files would then be divided between two places.
        """
        try:
            here, ours = self.path.stat(), os.fstat(self._file.fileno())
        except OSError:
            here = None
        if here is None or not os.path.samestat(here, ours):
            raise RecordError(
                f"{self.path.parent}: it was renamed or removed while the run went on; "
                "go on from where it is now with: dyadnet resume FOLDER"
            )

    def settle(self) -> None:
        """Flush all lines to the disk."""
        with contextlib.suppress(OSError):
            os.fsync(self._file.fileno())

    def rewind(self, length: int) -> None:
        """Truncate the file to a length in bytes."""
        self._file.truncate(length)
        self._file.seek(length)
        self.length = length

    def close(self) -> None:
        """Close the file."""
        self._file.close()
