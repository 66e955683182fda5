"""Ray's own processes die or hang: noticed in time, told in one line with the way to go on, and nothing is left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import dyadnet_actors.cluster.watchdog
from dyadnet_actors.cluster.watchdog import BUSY, Part, Watchdog
from dyadnet_actors.protocol.failures import RayLostError
from tests.actors.cluster.test_life_cycle import processes
from tests.actors.clusters import DYADNET, clean_environment, descends

SLEEPS = "import time; time.sleep(600)"
COMPUTES = "while True: pass"
PATIENCE = 0.6


@contextlib.contextmanager
def running(program: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours."""
    process = subprocess.Popen([sys.executable, "-c", program])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def watching(*parts: Part, stuck: Callable[[str], None] = lambda why: None) -> Iterator[Watchdog]:
    """A watchdog of these."""
    watchdog = Watchdog(parts, stuck)
    try:
        yield watchdog
    finally:
        watchdog.close()


def told(watchdog: Watchdog) -> str:
    """What is wrong, once something is."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            watchdog.check()
        except RayLostError as problem:
            return str(problem)
        time.sleep(0.02)
    raise AssertionError("nothing was noticed")


def test_a_part_that_dies_is_named_at_once_and_with_its_signal() -> None:
    with running(SLEEPS) as one, running("raise SystemExit(3)") as other:
        other.wait()
        one.kill()
        one.wait()
        with watching(Part("one", lambda: True, 600.0, one), Part("another", lambda: True, 600.0, other)) as watchdog:
            with pytest.raises(RayLostError, match=r"^one died \(SIGKILL\) and another died \(exit code 3\)$"):
                watchdog.confirm()
            assert watchdog.lost


def test_a_part_that_is_silent_hangs_once_its_own_patience_is_over() -> None:
    with watching(Part("patient", lambda: False, 600.0), Part("silent", lambda: False, PATIENCE)) as watchdog:
        assert told(watchdog) == "silent hangs: no sign of life for 0.6 s"


def test_a_part_that_stops_after_it_has_answered_hangs() -> None:
    answers = iter([True, True])
    with watching(Part("one", lambda: next(answers, False), PATIENCE)) as watchdog:
        watchdog.confirm()
        assert told(watchdog) == "one hangs: no sign of life for 0.6 s"


def test_a_part_that_computes_is_given_more_time() -> None:
    with running(COMPUTES) as process, watching(Part("one", lambda: False, PATIENCE, process)) as watchdog:
        assert told(watchdog) == f"one hangs: no sign of life for {BUSY * PATIENCE:g} s"


def test_a_part_that_answers_is_well_and_asking_ends() -> None:
    with running(SLEEPS) as process:
        before = threading.active_count()
        with watching(Part("one", lambda: True, PATIENCE, process)) as watchdog:
            for _ in range(2):
                watchdog.confirm()
            watchdog.check()
            assert not watchdog.lost
        assert threading.active_count() == before


def test_a_program_that_asks_for_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dyadnet_actors.cluster.watchdog, "GRACE", 0.1)
    heard: list[str] = []
    over = threading.Event()

    def stuck(why: str) -> None:
        heard.append(why)
        over.set()

    with watching(Part("one", lambda: False, PATIENCE), stuck=stuck):
        assert over.wait(60)
    assert heard == ["one hangs: no sign of life for 0.6 s"]


def below(driver: int, *kinds: str) -> list[int]:
    """Processes that descend from a driver and whose command is one of these."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            name = entry.read_bytes().split(b"\0")[0].decode().rpartition("/")[2]
            if name.startswith(kinds) and descends(int(entry.parent.name), driver):
                found.append(int(entry.parent.name))
    return found


@pytest.mark.parametrize(
    ("number", "kinds", "told"),
    [
        (signal.SIGKILL, ["raylet"], "Ray's raylet died (SIGKILL)"),
        pytest.param(signal.SIGKILL, ["gcs_server"], "Ray's control store died (SIGKILL)", marks=pytest.mark.slow),
        pytest.param(signal.SIGSTOP, ["raylet"], "Ray's raylet hangs: no sign of", marks=pytest.mark.slow),
        pytest.param(signal.SIGSTOP, ["gcs_server", "raylet", "ray::"], "Ray's control store", marks=pytest.mark.slow),
    ],
)
def test_a_run_whose_ray_is_lost_ends_in_one_line(
    number: signal.Signals, kinds: list[str], told: str, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    with tempfile.TemporaryDirectory(prefix="dy", dir="/tmp", ignore_cleanup_errors=True) as folder:
        small = ["--epochs", "5000", "--hidden", "8", "--set", "data.limit_train=60", "--set", "recovery.heartbeat=4"]
        run = subprocess.Popen(
            [DYADNET, "train", *small, "--set", "checkpoint.every_minibatches=5", "--json", "--out", str(out)],
            env=clean_environment() | {"RAY_TMPDIR": folder},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 300
        while not list(out.glob("checkpoints/0*-*/manifest.json")) and time.monotonic() < deadline:
            time.sleep(0.05)
        struck = below(run.pid, *kinds)
        for process in struck:
            os.kill(process, number)
        printed, said = run.communicate(timeout=200)
        assert len(struck) >= len(kinds), said
        assert run.returncode == 1
        last = said.strip().splitlines()[-1]
        assert last.startswith(f"dyadnet: {told}")
        assert last.endswith(f"; go on from its last checkpoint with: dyadnet resume {out}")
        assert "Traceback" not in said
        # Nothing of Ray's own is printed where programs read.
        assert printed.startswith('{"state": "failed"')
        assert processes(f"RAY_TMPDIR={folder}") == []
