"""One trial: a run in a process of its own, struck at its point, resumed if that may end it, and its hash."""

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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dyadnet.errors import DyadnetError
from dyadnet.runs.folder import CONFIG, EVENTS
from dyadnet_actors.chaos.disk import Disk
from dyadnet_actors.chaos.plan import ENDING, SURVIVED, FaultTrial
from dyadnet_actors.chaos.run import LIMIT, RunProcess
from dyadnet_actors.chaos.victims import COORDINATOR, below, hit, send
from dyadnet_actors.cluster.connection import DEFAULTS, authentication

LOOK = 0.01
"""Seconds between two looks for the point at which to strike."""
SUSPENDED = 10.0
"""Seconds for which all processes stop: longer than a heartbeat."""
FULL = "No space left"
ADVICE = "dyadnet resume"
"""In the last line of a run that was ended and can go on."""


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

    trial: FaultTrial
    weights: str
    struck: bool
    seconds: float
    why: str = ""


def undisturbed(folder: Path) -> str:
    """Hash of the run without a fault, on the local engine."""
    shutil.rmtree(folder, ignore_errors=True)
    with _surroundings() as environment:
        run = RunProcess.begin(folder, environment, "--engine", "local")
        weights = run.weights()
    if not weights:
        raise DyadnetError(f"the undisturbed run went wrong: {run.last()}")
    return weights


def struck(trial: FaultTrial, folder: Path) -> Ending:
    """Run a trial; what goes wrong around it goes wrong with it alone."""
    started = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    try:
        weights, happened, why = _struck(trial, folder)
    except (DyadnetError, OSError) as problem:
        weights, happened, why = "", False, str(problem)
    return Ending(trial, weights, happened, time.monotonic() - started, why)


def _struck(trial: FaultTrial, folder: Path) -> tuple[str, bool, str]:
    """Hash of the last weights, whether the fault happened, and what was wrong."""
    with _surroundings() as environment, contextlib.ExitStack() as stack:
        flags = ["--fault", str(trial.fault)]
        nodes = disk = None
        if trial.kind == "node":
            nodes = stack.enter_context(_two_nodes(environment))
            flags += ["--address", nodes.address, "--placement", "spread"]
        elif trial.kind == "disk-full":
            disk = stack.enter_context(Disk(folder))
            folder = disk.place
        run = RunProcess.begin(folder, environment, *flags, piped=trial.kind == "log-gone")
        stack.callback(run.end)
        happened = trial.fault.kind != "slow"
        if not happened and _await(folder / EVENTS, run.process):
            happened = True
            _strike(trial, run, nodes, disk)
        weights, why = run.weights(), run.last()
        if trial.kind in ENDING and not weights and (ADVICE in why or trial.kind == "driver"):
            run = RunProcess.resume(folder, environment)
            stack.callback(run.end)
            weights, why = run.weights(), run.last()
        happened = happened and _happened(folder, trial)
    return weights, happened, "" if weights else why


def _strike(trial: FaultTrial, run: RunProcess, nodes: _Nodes | None, disk: Disk | None) -> None:
    """Do what the trial says to a run that is held at its point."""
    driver = run.process.pid
    blows: dict[str, Callable[[], object]] = {
        "coordinator": lambda: hit(driver, signal.SIGKILL, lambda name: name.startswith(COORDINATOR)),
        "driver": lambda: send(signal.SIGKILL, [driver]),
        "ray-dies": lambda: hit(driver, signal.SIGKILL, lambda name: name in trial.victims),
        "ray-hangs": lambda: hit(driver, signal.SIGSTOP, lambda name: name in trial.victims),
        "hang-up": lambda: send(signal.SIGHUP, [driver]),
        "log-gone": run.close_log,
        "suspend": lambda: _suspend(driver),
    }
    if nodes is not None:
        nodes.strike()
    elif disk is not None:
        _fill(disk, run)
    else:
        blows[trial.kind]()


def _suspend(driver: int) -> None:
    """Stop all processes of a run, and have them go on."""
    stopped = list(below(driver))
    send(signal.SIGSTOP, stopped)
    time.sleep(SUSPENDED)
    send(signal.SIGCONT, stopped)


def _fill(disk: Disk, run: RunProcess) -> None:
    """Fill a run's disk until it has noticed, and free it again."""
    disk.fill()
    deadline = time.monotonic() + LIMIT
    while run.process.poll() is None and FULL not in run.said() and time.monotonic() < deadline:
        time.sleep(LOOK)
    disk.free()


def _await(events: Path, process: subprocess.Popen[str]) -> bool:
    """Whether the point to strike at has come before the run was over."""
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline and process.poll() is None:
        if events.exists() and events.stat().st_size:
            return True
        time.sleep(LOOK)
    return False


def _happened(folder: Path, trial: FaultTrial) -> bool:
    """Whether the record says that the fault happened, and, where actors died of it alone, that it was survived."""
    path = folder / EVENTS
    if not (folder / CONFIG).exists() or not path.exists():
        return False
    kinds = [json.loads(line)["kind"] for line in path.read_text(encoding="utf-8").splitlines()]
    return "fault" in kinds and (trial.kind not in SURVIVED or "failure" in kinds)


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
    """A cluster of two nodes on this machine, in a process of its own (`dyadnet_actors.chaos.nodes`)."""

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
        [sys.executable, "-m", "dyadnet_actors.chaos.nodes"],
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
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
