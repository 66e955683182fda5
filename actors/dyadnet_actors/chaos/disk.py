"""A small disk that can be filled and freed."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from dyadnet.errors import DyadnetError

SIZE = "32m"
"""Room for a run and its report."""
FILL = "fill"
CHUNK = 1 << 16


def possible() -> bool:
    """Return whether this process may mount such a disk: on Linux, as root."""
    return sys.platform == "linux" and os.geteuid() == 0 and shutil.which("mount") is not None


class Disk:
    """A context manager that mounts an in-memory file system on a folder and keeps its files in the folder afterwards.

    Parameters
    ----------
    folder
        Mount point; created if it does not exist.

    Attributes
    ----------
    place
        A folder on the disk that does not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.place = folder / "run"

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "dyadnet-chaos", str(self._folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise DyadnetError(f"no small disk could be mounted: {' '.join(done.stderr.split())}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.free()
        kept = self._folder.with_name(f"{self._folder.name}.kept")
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(self._folder, kept)
        subprocess.run(["umount", "--lazy", str(self._folder)], capture_output=True, check=True)
        self._folder.rmdir()
        kept.rename(self._folder)

    def fill(self) -> None:
        """Fill the disk completely."""
        with (self._folder / FILL).open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\0" * CHUNK)

    def free(self) -> None:
        """Free the space that `fill` has taken."""
        (self._folder / FILL).unlink(missing_ok=True)
