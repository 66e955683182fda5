"""The status of a run: ``status.json`` in its folder, written when the run begins and when it ends."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from dyadnet.checkpoint.lock import holder, stale
from dyadnet.errors import DivergedError, DyadnetError, RunFolderError, StoppedError, UsageError
from dyadnet.files.access import content, unpacked
from dyadnet.runs.folder import CONFIG, STATUS, read_config, read_metrics, whole
from dyadnet.runs.record_lines import ended
from dyadnet.runs.summary import Summary

State = Literal["running", "finished", "stopped", "diverged", "failed", "killed", "unfinished"]
WORDS: dict[State, str] = {
    "running": "is still going on",
    "finished": "has finished",
    "stopped": "was stopped",
    "diverged": "ran away",
    "failed": "failed",
    "killed": "was killed: its process is gone",
    "unfinished": "has not finished",
}
"""Description of each state, for people."""


@dataclass(frozen=True, slots=True)
class Status:
    """The status of a run.

    Attributes
    ----------
    state
        ``running``; ``finished``; ``stopped`` on request; ``diverged`` or ``failed``, for the reason `why`;
        ``killed``: its process is gone although the run had not ended; ``unfinished``: not finished, and of a version
        that wrote no status.
    why
        The reason in one line; may be empty.
    exit_code
        Exit code of the command; None while it is running, or if it is unknown.
    began, ended
        Times in seconds since 1970.
    host, pid
        Machine and process of the run.
    """

    state: State
    why: str = ""
    exit_code: int | None = None
    began: float | None = None
    ended: float | None = None
    host: str = ""
    pid: int | None = None

    def plain(self) -> dict[str, Any]:
        """Return the status as plain values."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{WORDS[self.state]}{': ' if self.why else ''}{self.why}"


def state_of(problem: BaseException) -> tuple[State, str, int]:
    """Return state, reason and exit code of a run that ended by an exception."""
    if isinstance(problem, KeyboardInterrupt):
        return "stopped", "stopped at once", 1
    if isinstance(problem, DyadnetError):
        state: State = "failed"
        if isinstance(problem, StoppedError | DivergedError):
            state = "stopped" if isinstance(problem, StoppedError) else "diverged"
        return state, str(problem), problem.exit_code
    return "failed", f"{type(problem).__name__}: {' '.join(str(problem).split())[:500]}", 1


class Reporter:
    """Writes a run's status to its folder.

    Parameters
    ----------
    run
        The run's folder.
    say
        Receives a message if the status cannot be written; this does not end the run.
    """

    def __init__(self, run: Path, say: Callable[[str], None]) -> None:
        self._path = run / STATUS
        self._say = say
        self._began = time.time()
        self._before = self._path.read_bytes() if self._path.is_file() else None
        self.over = False

    def begin(self) -> None:
        """Record that the run is running, in this process."""
        self._write("running", "", None, None)

    def finish(self, summary: Summary) -> None:
        """Record that the run has ended well, after all its epochs or by a requested stop."""
        self._write("stopped" if summary.stopped else "finished", summary.stopped, 0, summary)

    def fail(self, problem: BaseException) -> None:
        """Record that the run has ended by an exception. If resuming it failed, restore its earlier status."""
        if self.over:
            return
        if isinstance(problem, UsageError) and self._before is not None:
            with contextlib.suppress(OSError, RunFolderError), whole(self._path) as fresh:
                fresh.write_bytes(self._before)
            return
        state, why, code = state_of(problem)
        self._write(state, why, code, None)

    def _write(self, state: State, why: str, code: int | None, summary: Summary | None) -> None:
        self.over = state != "running"
        values: dict[str, Any] = {"state": state, "why": why, "exit_code": code, "began": round(self._began, 3)}
        values |= {"ended": round(time.time(), 3) if self.over else None, "holder": holder()}
        values |= {"summary": None if summary is None else summary.plain()}
        # A removed or renamed folder gets no status.
        if not (self._path.parent / CONFIG).exists():
            return
        try:
            with whole(self._path) as fresh:
                fresh.write_text(json.dumps(values, indent=1), encoding="utf-8")
        except (OSError, RunFolderError) as problem:
            self._say(f"the run could not record its state: {problem}")


@contextlib.contextmanager
def reported(run: Path, say: Callable[[str], None]) -> Iterator[Reporter]:
    """Record that a run is running, and how it ended if it raises an exception; see `Reporter`."""
    reporter = Reporter(run, say)
    reporter.begin()
    try:
        yield reporter
    except BaseException as problem:
        reporter.fail(problem)
        raise


def read_status(run: str | Path) -> Status:
    """Read the status of a run from its folder.

    Raises
    ------
    RunFolderError
        If the folder holds no run.
    """
    run = Path(run)
    try:
        found = unpacked(content(run / STATUS))
        held = dict(found["holder"])
        state, why = found["state"], str(found["why"])
        if state not in get_args(State):
            raise ValueError(state)
        code, began, ended = found["exit_code"], found["began"], found["ended"]
    except (OSError, ValueError, KeyError, TypeError):
        return _by_record(run)
    host, pid = str(held.get("host", "")), held.get("pid")
    if state == "running" and {"pid", "host", "boot", "began"} <= held.keys() and stale(held):
        state = "killed"
    return Status(state, why, code, began, ended, host, pid)


def _by_record(run: Path) -> Status:
    """Derive the status of a run without a status file from its record."""
    config = read_config(run)
    try:
        done = ended(read_metrics(run))
    except RunFolderError:
        done = 0
    return Status("finished" if done >= config.learning.epochs else "unfinished")
