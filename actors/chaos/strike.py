"""One trial: a run in a process of its own, struck at its point, resumed if it was the driver, and its hash."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from actors.chaos.plan import Trial, settings
from actors.cluster import DEFAULTS, authentication
from dyadnet.errors import DyadnetError
from dyadnet.record import CONFIG, EVENTS

LIMIT = 240.0
"""Seconds that a trial may take."""
LOOK = 0.01
"""Seconds between two looks for the point at which to strike."""
COMMAND = (sys.executable, "-c", "from dyadnet.cli import main; main()")


@dataclass(frozen=True, slots=True)
class Ending:
    """How a trial ended.

    Attributes
    ----------
    trial
        Which.
    weights
        Hash of the last weights; empty if it did not end well.
    struck
        Whether the fault happened.
    seconds
        From the start to the end.
    why
        The last line that was said, if it did not end well.
    """

    trial: Trial
    weights: str
    struck: bool
    seconds: float
    why: str = ""


def undisturbed(folder: Path) -> str:
    """Hash of the run without a fault, on the local engine."""
    with _surroundings() as environment:
        process = _begin(folder, environment, "--engine", "local")
        out, errors = process.communicate(timeout=LIMIT)
    return _hash(out) or _fail(errors)


def struck(trial: Trial, folder: Path) -> Ending:
    """Run a trial; what goes wrong around it goes wrong with it alone."""
    started = time.monotonic()
    try:
        weights, happened, why = _struck(trial, folder)
    except (DyadnetError, OSError) as problem:
        weights, happened, why = "", False, str(problem)
    return Ending(trial, weights, happened, time.monotonic() - started, why)


def _struck(trial: Trial, folder: Path) -> tuple[str, bool, str]:
    """Hash of the last weights, whether the fault happened, and what was wrong."""
    with _surroundings() as environment, contextlib.ExitStack() as stack:
        flags = ["--fault", str(trial.fault)]
        nodes = None
        if trial.kind == "node":
            nodes = stack.enter_context(_two_nodes(environment))
            flags += ["--address", nodes.address, "--placement", "spread"]
        process = _begin(folder, environment, *flags)
        stack.callback(_end, process)
        happened = True
        if trial.fault.kind == "slow":
            happened = _await(folder / EVENTS, process)
            if happened and nodes is not None:
                nodes.strike()
            elif happened:
                victim = process.pid if trial.kind == "driver" else _coordinator(process.pid)
                os.kill(victim, signal.SIGKILL)
        out, errors = _communicated(process)
        if trial.kind == "driver":
            process = _resume(folder, environment)
            stack.callback(_end, process)
            out, errors = _communicated(process)
        happened = happened and _happened(folder, trial)
    return _hash(out), happened, "" if _hash(out) else _last(errors)


def _begin(folder: Path, environment: Mapping[str, str], *flags: str) -> subprocess.Popen[str]:
    path = folder.with_suffix(".yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(settings()), encoding="utf-8")
    return _run(environment, "train", str(path), "--out", str(folder), "--json", *flags)


def _resume(folder: Path, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    return _run(environment, "resume", str(folder), "--json")


def _run(environment: Mapping[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _communicated(process: subprocess.Popen[str]) -> tuple[str, str]:
    try:
        return process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        _end(process)
        return "", f"not over after {LIMIT:g} s"


def _await(events: Path, process: subprocess.Popen[str]) -> bool:
    """Whether the point to strike at has come before the run was over."""
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline and process.poll() is None:
        if events.exists() and events.stat().st_size:
            return True
        time.sleep(LOOK)
    return False


def _happened(folder: Path, trial: Trial) -> bool:
    """Whether the record says that the fault happened, and, unless the driver died, that it was survived."""
    path = folder / EVENTS
    if not (folder / CONFIG).exists() or not path.exists():
        return False
    kinds = [json.loads(line)["kind"] for line in path.read_text(encoding="utf-8").splitlines()]
    return "fault" in kinds and (trial.kind == "driver" or "failure" in kinds)


def _coordinator(driver: int) -> int:
    """The coordinator's process, among those that descend from a driver."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if entry.read_bytes().startswith(b"ray::CoordinatorActor") and _descends(int(entry.parent.name), driver):
                return int(entry.parent.name)
    raise ProcessLookupError(f"no coordinator descends from process {driver}")


def _descends(process: int, ancestor: int) -> bool:
    while process > 1 and process != ancestor:
        process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    return process == ancestor


@contextlib.contextmanager
def _surroundings() -> Iterator[dict[str, str]]:
    """An environment with Ray's files in a folder of their own, whose path is short because sockets lie there."""
    folder = tempfile.mkdtemp(prefix="dy", dir="/tmp")
    ours = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    try:
        yield ours | {"RAY_TMPDIR": folder}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Nodes:
    """A cluster of two nodes on this machine, in a process of its own (`actors.chaos.nodes`)."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.address = self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise DyadnetError("the cluster of two nodes did not start")
        return line

    def strike(self) -> None:
        """Kill the node that is not the head."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self._line()


@contextlib.contextmanager
def _two_nodes(environment: dict[str, str]) -> Iterator[_Nodes]:
    environment |= authentication(None) | DEFAULTS
    process = subprocess.Popen(
        [sys.executable, "-m", "actors.chaos.nodes"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        yield _Nodes(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(60)
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """End a run that is not over, and whatever it started."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _hash(out: str) -> str:
    lines = out.strip().splitlines()
    try:
        return str(json.loads(lines[-1])["weights_sha256"]) if lines else ""
    except (ValueError, KeyError):
        return ""


def _last(errors: str) -> str:
    lines = errors.strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def _fail(errors: str) -> str:
    raise DyadnetError(f"the undisturbed run went wrong: {_last(errors)}")
