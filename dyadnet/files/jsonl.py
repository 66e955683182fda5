"""A file of JSON lines that only ever holds whole ones."""

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
    """Something of a run's record that could not be written; what was written before is there."""


def encoded(line: dict[str, Any]) -> bytes:
    """A line as it is written."""
    return (json.dumps(line) + "\n").encode()


def unwritten(path: Path, problem: OSError, remedy: str) -> RecordError:
    """What to say of something in a run's folder that cannot be written, and how to go on."""
    return RecordError(f"{path}: it cannot be written ({problem.strerror}); {remedy}")


def complete(path: Path) -> int:
    """Bytes of a file's whole lines, 0 if there is no file: what ended a process may have cut off the last one."""
    return content(path).rfind(b"\n") + 1 if path.exists() else 0


class Lines:
    """A record that is being written.

    Parameters
    ----------
    path
        Made anew, unless `length` says how much of what is there stays.
    length
        Bytes that stay.
    remedy
        What to do where a line cannot be written; asked when that happens.

    Attributes
    ----------
    length
        Bytes that there are.

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
        # Unbuffered: what could not be written must not be tried again behind our back.
        self._file = written(path, fresh=length is None)
        if length is not None:
            self.rewind(length)

    def append(self, line: dict[str, Any]) -> None:
        """Write one more line, whole or not at all.

        Raises
        ------
        RecordError
            If it cannot be written, or would be where nobody looks for it.
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
        """Whether the file is still where it is looked for.

        Raises
        ------
        RecordError
            If its folder was renamed or removed meanwhile: half of a run would be in one place and half in another.
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
