"""Starts a training run in a separate process and observes it from outside."""

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
"""Maximum duration of a run in seconds."""
COMMAND = (sys.executable, "-c", "from dyadnet.cli.main import main; main()")


class RunProcess:
    """A training process that prints its result on standard output.

    Parameters
    ----------
    environment
        Environment variables of the process.
    log
        File that receives standard error; None for a pipe, which `close_log` breaks.
    arguments
        Command-line arguments of ``dyadnet``.

    Attributes
    ----------
    process
        The driver process.
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
        """Start to train in a folder; the settings and the log are written beside it."""
        path = folder.with_suffix(".yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(settings()), encoding="utf-8")
        log = None if piped else folder.with_suffix(".log")
        return cls(environment, log, "train", str(path), "--out", str(folder), "--json", *flags)

    @classmethod
    def resume(cls, folder: Path, environment: Mapping[str, str]) -> RunProcess:
        """Resume the run of a folder."""
        return cls(environment, folder.with_suffix(".resumed.log"), "resume", str(folder), "--json")

    def weights(self) -> str:
        """Wait for the run to end; return the hash of its last weights, empty if it failed or took too long."""
        if self._hash is None:
            try:
                out, _ = self.process.communicate(timeout=LIMIT)
                self._hash = _hash(out)
            except subprocess.TimeoutExpired:
                self._hash, self._late = "", True
                self.end()
        return self._hash

    def said(self) -> str:
        """Return everything that the run has logged so far."""
        return "" if self._log is None else self._log.read_text(encoding="utf-8", errors="replace")

    def last(self) -> str:
        """Return the last line of the log, or a message that the run took too long."""
        lines = self.said().strip().splitlines()
        return f"not over after {LIMIT:g} s" if self._late else lines[-1] if lines else "it said nothing"

    def close_log(self) -> None:
        """Close the reading end of the log's pipe."""
        if self.process.stderr is not None:
            self.process.stderr.close()

    def end(self) -> None:
        """Kill the process and its process group, if it is still running."""
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
