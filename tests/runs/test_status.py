"""Every run says how it stands and how it ended: in its folder, its report, and to whoever reads ``--json``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import dyadnet as dn
from dyadnet.checkpoint.lock import holder
from dyadnet.errors import ConfigError, DivergedError, StoppedError
from dyadnet.reporting.contents import contents
from dyadnet.reporting.reading import read
from dyadnet.runs.folder import CONFIG
from dyadnet.runs.status import read_status
from tests.checkpoint.runs import SMALL, Watching, settings, stopping
from tests.cli.test_main import complaint
from tests.cli.test_main import run as command

AWAY: dict[str, Any] = {"dynamics": {"step": 2.0, "clock": "every-tick", "patience": 5}, "learning": {"epochs": 1}}
"""Settings under which the first relaxation runs away."""


def told(run: Path) -> tuple[str, list[str]]:
    """What a report says of a run: its state, and what is missing."""
    found = contents(read(run))
    return found["state"], found["missing"]


def lines(run: Path) -> bytes:
    """What there is of a run's record."""
    path = run / "metrics.jsonl"
    return path.read_bytes() if path.exists() else b""


def test_a_run_that_ends_well(tmp_path: Path) -> None:
    states = []

    class Looking(Watching):
        def epoch(self, line: dict[str, Any]) -> None:
            states.append(read_status(tmp_path / "run"))

    before = time.time()
    run = dn.train(settings(), tmp_path / "run", Looking())
    assert [one.state for one in states] == ["running", "running"]
    assert states[0].pid == os.getpid()
    assert states[0].ended is states[0].exit_code is None
    status = run.status
    assert (status.state, status.why, status.exit_code) == ("finished", "", 0)
    assert status.began is not None
    assert status.ended is not None
    assert before <= status.began <= status.ended <= time.time()
    values = json.loads((tmp_path / "run" / "status.json").read_text())
    assert values["summary"]["weights_sha256"] == run.weights_sha256
    assert told(tmp_path / "run")[0] == "finished"


def test_a_run_that_is_stopped_and_then_goes_on(tmp_path: Path) -> None:
    with pytest.raises(StoppedError) as stopped:
        dn.train(settings(), tmp_path / "run", stopping(3))
    status = read_status(tmp_path / "run")
    assert (status.state, status.why, status.exit_code) == ("stopped", str(stopped.value), 75)
    state, missing = told(tmp_path / "run")
    assert state == "stopped"
    assert any("the run was stopped: stopped in epoch 1, after minibatch 3" in text for text in missing)
    # What is refused changes nothing.
    with pytest.raises(ConfigError):
        dn.resume(tmp_path / "run", {"seed": 7})
    assert read_status(tmp_path / "run") == status
    dn.resume(tmp_path / "run")
    assert read_status(tmp_path / "run").state == "finished"


def test_a_run_that_is_refused_once_it_goes_on_stands_as_it_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StoppedError):
        dn.train(settings(), tmp_path / "run", stopping(3))
    before = (tmp_path / "run" / "status.json").read_bytes()
    with pytest.raises(ConfigError, match="only the engine ray has actors to hit"):
        dn.resume(tmp_path / "run", {"faults": ["kill:block=h1,minibatch=9,tick=1"]})
    assert (tmp_path / "run" / "status.json").read_bytes() == before


def test_a_run_that_runs_away_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Path] = []
    monkeypatch.setattr(sys.modules["dyadnet.training.api"], "draw", lambda run, watcher, data: drawn.append(run))
    with pytest.raises(DivergedError) as diverged:
        dn.train(settings(**AWAY), tmp_path / "run")
    status = read_status(tmp_path / "run")
    assert (status.state, status.why, status.exit_code) == ("diverged", str(diverged.value), 1)
    assert drawn == [tmp_path / "run"]
    state, missing = told(tmp_path / "run")
    assert state == "diverged"
    assert any(f"the run ran away: {diverged.value}" in text for text in missing)


def test_a_run_that_fails_says_why(tmp_path: Path) -> None:
    def strike() -> None:
        raise RuntimeError("the roof\nis on fire")

    with pytest.raises(RuntimeError):
        dn.train(settings(), tmp_path / "run", Watching(9, strike))
    status = read_status(tmp_path / "run")
    assert (status.state, status.why, status.exit_code) == ("failed", "RuntimeError: the roof is on fire", 1)
    assert told(tmp_path / "run")[0] == "failed"


def test_a_run_that_never_began_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        dn.train(settings(faults=["kill:block=h1,minibatch=9,tick=1"]), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_that_was_killed_is_found_by_others(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(json.dumps(SMALL | {"learning": {"epochs": 1000, "minibatch": 20}}))
    arguments = [sys.executable, "-m", "dyadnet", "train", str(tmp_path / "small.yaml"), "--out", str(tmp_path / "run")]
    process = subprocess.Popen(arguments, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and not lines(tmp_path / "run"):
        time.sleep(0.05)
    assert read_status(tmp_path / "run").state == "running"
    assert read_status(tmp_path / "run").pid == process.pid
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert read_status(tmp_path / "run").state == "killed"
    state, missing = told(tmp_path / "run")
    assert state == "killed"
    assert any("the run was killed: its process is gone" in text for text in missing)


def test_what_runs_on_another_machine_is_taken_at_its_word(tmp_path: Path) -> None:
    dn.train(settings(), tmp_path / "run")
    path = tmp_path / "run" / "status.json"
    path.write_text(
        json.dumps(json.loads(path.read_text()) | {"state": "running", "holder": holder() | {"host": "far"}})
    )
    assert (read_status(tmp_path / "run").state, read_status(tmp_path / "run").host) == ("running", "far")


@pytest.mark.parametrize("content", [None, b"", b"[]", b'{"state": "asleep"}', b'{"state": []}', b'{"holder": 3}'])
def test_without_a_sound_status_the_record_says_it(content: bytes | None, tmp_path: Path) -> None:
    dn.train(settings(), tmp_path / "run")
    path = tmp_path / "run" / "status.json"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert read_status(tmp_path / "run").state == "finished"
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "run" / "metrics.jsonl").write_text("".join(lines[:3]))
    assert read_status(tmp_path / "run").state == "unfinished"
    assert told(tmp_path / "run")[0] == "unfinished"


def test_the_end_is_known_before_metrics_linger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = threading.Event()
    monkeypatch.setattr(sys.modules["dyadnet.training.api"], "draw", lambda run, watcher, data: drawn.set())
    values = settings(metrics={"port": 0, "linger": 3.0})
    thread = threading.Thread(target=dn.train, args=(values, tmp_path / "run"))
    thread.start()
    assert drawn.wait(30)
    assert read_status(tmp_path / "run").state == "finished"
    assert thread.is_alive()
    thread.join()


@pytest.mark.parametrize(
    ("more", "code", "state"),
    [
        (["--set", "learning.epochs=0"], 2, "failed"),
        (["--no-such-option"], 2, "failed"),
        (["--set", "dynamics.step=2", "--set", "dynamics.clock=every-tick"], 1, "diverged"),
        ([], 0, "finished"),
    ],
)
def test_there_is_always_one_object(
    more: list[str], code: int, state: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "small.yaml").write_text(json.dumps(SMALL))
    arguments = ["train", str(tmp_path / "small.yaml"), "--out", str(tmp_path / "run"), "--json", *more]
    assert command(*arguments) == code
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert found["state"] == state
    if code:
        assert found["exit_code"] == code
        assert found["why"]
    # Whatever it is, a folder that is there or the same mistake.
    assert command(*[argument for argument in arguments if argument != "--json"]) == 2
    assert capsys.readouterr().out == ""


def test_a_stop_is_one_object_too(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(json.dumps(SMALL | {"learning": {"epochs": 1000, "minibatch": 20}}))
    arguments = ["train", str(tmp_path / "small.yaml"), "--out", str(tmp_path / "run"), "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "dyadnet", *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and not lines(tmp_path / "run"):
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    found = json.loads(out.splitlines()[-1])
    assert process.returncode == found["exit_code"] == 75
    assert found["state"] == read_status(tmp_path / "run").state == "stopped"


def test_the_status_of_a_folder_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DivergedError):
        dn.train(settings(**AWAY), tmp_path / "run")
    assert command("status", str(tmp_path / "run")) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"{tmp_path / 'run'} ran away: diverging in block")
    assert shown.strip().endswith("0 of 1 epochs")
    assert command("status", str(tmp_path / "run"), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["state"], found["epochs"], found["of"]) == ("diverged", 0, 1)


def test_a_folder_that_is_not_there_is_said_not_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    for run, why in (
        ("runs/nowhere", "there is no such folder"),
        (str(tmp_path / "nowhere"), "there is no such folder"),
        (str(tmp_path / "empty"), "no run is in this folder"),
        (".", "no run is in this folder"),
    ):
        told = complaint(capsys, "status", run)
        assert told == f"dyadnet: {run}: {why}; runs on the cluster are listed by: dyadnet status"


ALONE = """
import sys
from ray._private import services
from dyadnet.cli.main import main

# Ray looks through all processes of the machine for a cluster, and other tests have some.
services._find_address_from_flag = lambda flag: set()
main(sys.argv[1:])
"""


@pytest.mark.parametrize(
    ("run", "why"), [("nowhere", "there is no such folder"), ("empty", "no run is in this folder")]
)
def test_a_name_may_be_a_folders_or_a_runs_on_a_cluster(run: str, why: str, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    (tmp_path / "empty").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", ALONE, "status", run],
        cwd=tmp_path,
        # No cluster is remembered here.
        env=environment | {"RAY_TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    no_cluster = "and no cluster here could have a run of this name"
    assert done.stderr == f"dyadnet: {run}: {why}, {no_cluster}\n"


def test_of_a_run_on_a_cluster_of_its_own_the_folder_tells(tmp_path: Path) -> None:
    dn.train(settings(), tmp_path / "run")
    config = tmp_path / "run" / CONFIG
    config.write_text(config.read_text().replace("engine: local", "engine: ray"))
    status = tmp_path / "run" / "status.json"
    status.write_text(json.dumps(json.loads(status.read_text()) | {"state": "running"}))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", ALONE, "status", str(tmp_path / "run")],
        env=environment | {"RAY_TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{tmp_path / 'run'} is still going on; 2 of 2 epochs\n"


def test_a_status_is_written_through_no_link(tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        dn.train(settings(), tmp_path / "run", stopping(3))
    (tmp_path / "run" / "status.json").unlink()
    (tmp_path / "run" / "status.json").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(dn.RunFolderError, match=r"status\.json: it is a symbolic link"):
        dn.resume(tmp_path / "run")
    assert not (tmp_path / "elsewhere").exists()
    assert (tmp_path / "run" / CONFIG).exists()
