"""A run in a process of its own, from outside."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

from dyadnet_actors.chaos.plan import settings

LIMIT = 240.0
"""Seconds that a run may take."""
COMMAND = (sys.executable, "-c", "from dyadnet.cli.main import main; main()")


class RunProcess:
    """A process that trains, with its answer on standard output.

    Parameters
    ----------
    environment
        Of the process.
    log
        The file that it says things into; None: a pipe, which `close_log` breaks.
    arguments
        Of ``dyadnet``.

    Attributes
    ----------
    process
        The driver.
    """

    def __init__(self, environment: Mapping[str, str], log: Path | None, *arguments: str) -> None:
        self._log = log
        self._hash: str | None = None
        self._late = False
        with contextlib.ExitStack() as stack:
            self.process = subprocess.Popen(
                [*COMMAND, *arguments],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE if log is None else stack.enter_context(log.open("w", encoding="utf-8")),
                text=True,
                start_new_session=True,
            )

    @classmethod
    def begin(cls, folder: Path, environment: Mapping[str, str], *flags: str, piped: bool = False) -> RunProcess:
        """Train in a folder; its settings and log lie beside it."""
        path = folder.with_suffix(".yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(settings()), encoding="utf-8")
        log = None if piped else folder.with_suffix(".log")
        return cls(environment, log, "train", str(path), "--out", str(folder), "--json", *flags)

    @classmethod
    def resume(cls, folder: Path, environment: Mapping[str, str]) -> RunProcess:
        """Go on with the run of a folder."""
        return cls(environment, folder.with_suffix(".resumed.log"), "resume", str(folder), "--json")

    def weights(self) -> str:
        """Hash of the last weights, once the run has ended; empty if it did not end well, or not in time."""
        if self._hash is None:
            try:
                out, _ = self.process.communicate(timeout=LIMIT)
                self._hash = _hash(out)
            except subprocess.TimeoutExpired:
                self._hash, self._late = "", True
                self.end()
        return self._hash

    def said(self) -> str:
        """All that it has said so far."""
        return "" if self._log is None else self._log.read_text(encoding="utf-8", errors="replace")

    def last(self) -> str:
        """The last line that it said, or that it took too long."""
        lines = self.said().strip().splitlines()
        return f"not over after {LIMIT:g} s" if self._late else lines[-1] if lines else "it said nothing"

    def close_log(self) -> None:
        """Have nobody read its log any more."""
        if self.process.stderr is not None:
            self.process.stderr.close()

    def end(self) -> None:
        """End it if it is not over, and whatever it started."""
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def _hash(out: str) -> str:
    lines = out.strip().splitlines()
    try:
        return str(json.loads(lines[-1])["weights_sha256"]) if lines else ""
    except (ValueError, KeyError):
        return ""
