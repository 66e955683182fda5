"""Runs one trial: starts a run, injects the fault, resumes the run if the fault may end it, and returns its hash."""

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
from dyadnet_actors.cluster.connection import DEFAULTS, own_authentication

LOOK = 0.01
"""Seconds between two checks for the point at which to strike."""
SUSPENDED = 10.0
"""Seconds for which all processes are stopped: longer than a heartbeat."""
FULL = "No space left"
ADVICE = "dyadnet resume"
"""Text in the last line of a run that was ended and can be resumed."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a trial ended.

    Attributes
    ----------
    trial
        The trial.
    weights
        Hash of the last weights; empty if the run did not end well.
    struck
        Whether the fault happened.
    seconds
        Duration of the trial.
    why
        Last line of the log, or the error, if the run did not end well.
    """

    trial: FaultTrial
    weights: str
    struck: bool
    seconds: float
    why: str = ""


def undisturbed(folder: Path) -> str:
    """Run without a fault on the local engine; return the hash of the last weights."""
    shutil.rmtree(folder, ignore_errors=True)
    with _surroundings() as environment:
        run = RunProcess.begin(folder, environment, "--engine", "local")
        weights = run.weights()
    if not weights:
        raise DyadnetError(f"the undisturbed run went wrong: {run.last()}")
    return weights


def struck(trial: FaultTrial, folder: Path) -> Ending:
    """Run a trial; an error around the run counts as this trial's result and does not affect the others."""
    started = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    try:
        weights, happened, why = _struck(trial, folder)
    except (DyadnetError, OSError) as problem:
        weights, happened, why = "", False, str(problem)
    return Ending(trial, weights, happened, time.monotonic() - started, why)


def _struck(trial: FaultTrial, folder: Path) -> tuple[str, bool, str]:
    """Return the hash of the last weights, whether the fault happened, and what went wrong."""
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
    """Inject the trial's fault into a run that is held at its point."""
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
    """Stop all processes of a run for a while, then continue them."""
    stopped = list(below(driver))
    send(signal.SIGSTOP, stopped)
    time.sleep(SUSPENDED)
    send(signal.SIGCONT, stopped)


def _fill(disk: Disk, run: RunProcess) -> None:
    """Fill a run's disk until the run has noticed, then free it again."""
    disk.fill()
    deadline = time.monotonic() + LIMIT
    while run.process.poll() is None and FULL not in run.said() and time.monotonic() < deadline:
        time.sleep(LOOK)
    disk.free()


def _await(events: Path, process: subprocess.Popen[str]) -> bool:
    """Wait for the point at which to strike; return whether the run reached it before it ended."""
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline and process.poll() is None:
        if events.exists() and events.stat().st_size:
            return True
        time.sleep(LOOK)
    return False


def _happened(folder: Path, trial: FaultTrial) -> bool:
    """Return whether the record shows the fault and, for kinds that a run survives, also the failure."""
    path = folder / EVENTS
    if not (folder / CONFIG).exists() or not path.exists():
        return False
    kinds = [json.loads(line)["kind"] for line in path.read_text(encoding="utf-8").splitlines()]
    return "fault" in kinds and (trial.kind not in SURVIVED or "failure" in kinds)


@contextlib.contextmanager
def _surroundings() -> Iterator[dict[str, str]]:
    """Yield an environment with a temporary folder for Ray's files; its path is short because it holds sockets."""
    folder = tempfile.mkdtemp(prefix="dy", dir="/tmp")
    ours = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    try:
        yield ours | {"RAY_TMPDIR": folder}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Nodes:
    """A cluster of two nodes on this machine, in a separate process (`dyadnet_actors.chaos.nodes`)."""

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
    environment |= own_authentication(environment) | DEFAULTS
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
