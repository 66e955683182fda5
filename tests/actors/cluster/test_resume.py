"""A run goes on with another number of actors, on another engine, in another process: to the same bits."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from dyadnet.checkpoint.resume_point import ResumePoint
from dyadnet.data import load
from dyadnet.engines.local import LocalEngine
from dyadnet.errors import ConfigError, StoppedError
from dyadnet.files.store import store
from dyadnet.runs.folder import RunFolder
from dyadnet.runs.observer import Unobserved
from dyadnet.runs.watcher import Silent
from dyadnet.training.api import load_data, resume, train
from dyadnet.training.checkpoint_writer import CheckpointWriter
from dyadnet.training.coordinator import Coordinator
from dyadnet_actors.coordination.engine import ActorEngine
from tests.actors.clusters import DYADNET, clean_environment, heed_ctrl_c
from tests.actors.threads import threaded
from tests.checkpoint.runs import outcome, settings, stopping, uninterrupted

EPOCH = 7


@pytest.mark.parametrize("values", [{}, {"dynamics": {"initial": "previous", "lanes": 2}, "learning": {"lam": 0.6}}])
def test_hosts_write_and_read_what_one_process_does(values: dict[str, object], tmp_path: Path) -> None:
    config = settings(cluster={"actors": 2}, **values)
    dataset = load_data(config)
    local, hosts = LocalEngine(config, dataset), threaded(config, dataset)
    first, second = store(str(tmp_path / "first")), store(str(tmp_path / "second"))

    def keeper(place: object, name: str, **start: object) -> CheckpointWriter:
        beginning = ResumePoint(place, "nonce-1", **start)  # type: ignore[arg-type]
        return CheckpointWriter(config, beginning, RunFolder(tmp_path / name, config), Silent(), Unobserved())

    try:
        first.write("nonce-1", b"nonce-1")
        one = keeper(first, "one")
        Coordinator(config, dataset.sizes, local, keeper=one).run()
        two = keeper(first, "two", start=one.newest)
        two.begin(hosts, one.newest.position)  # type: ignore[union-attr]
        assert hosts.weights_sha256() == local.weights_sha256()
        again = hosts.save(second, "00000014-00000000")
        assert {name: len(second.read(f"00000014-00000000/{file.name}")) for name, file in again.items()} == {
            name: file.bytes
            for name, file in one.newest.files.items()  # type: ignore[union-attr]
        }
    finally:
        local.close()
        hosts.close()


def test_an_actor_that_does_not_see_the_folder_is_named(tmp_path: Path) -> None:
    config = settings(cluster={"actors": 2})
    engine: ActorEngine = threaded(config, load("digits"))
    try:
        with pytest.raises(
            ConfigError, match=r"actor \S+ on \S+ does not see it; name a folder that all machines share"
        ):
            engine.find(store(str(tmp_path / "elsewhere")), "nonce-1")
    finally:
        engine.close()


@pytest.mark.usefixtures("ray_session")
def test_from_one_process_to_actors_and_to_fewer_of_them_and_back(tmp_path: Path) -> None:
    expected = uninterrupted(settings(learning={"epochs": 4}), tmp_path / "never")
    run = tmp_path / "run"
    with pytest.raises(StoppedError):
        train(settings(learning={"epochs": 4}), run, stopping(3))
    with pytest.raises(StoppedError):
        resume(run, {"engine": "ray", "cluster": {"actors": 2}}, stopping(5))
    with pytest.raises(StoppedError):
        resume(run, {"cluster": {"actors": 1}}, stopping(9))
    assert outcome(resume(run, {"engine": "local"}), run) == expected


@pytest.mark.usefixtures("ray_session")
def test_in_free_running_mode_a_run_goes_on_where_it_was(tmp_path: Path) -> None:
    config = settings(
        engine="ray",
        dynamics={"mode": {"kind": "free", "settle": False, "updates": 4}},
        cluster={"actors": 2},
        learning={"epochs": 2},
    )
    run = tmp_path / "run"
    with pytest.raises(StoppedError):
        train(config, run, stopping(4))
    watching = stopping(0)
    summary = resume(run, {}, watching)
    assert summary.best_epoch in (1, 2)
    assert watching.count <= 2 * EPOCH - 4
    lines = (run / "metrics.jsonl").read_text().splitlines()
    assert sum('"kind": "epoch"' in line for line in lines) == 2


def test_sigterm_to_a_run_and_resume_of_it(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(settings(learning={"epochs": 60}).to_yaml())
    expected = uninterrupted(settings(learning={"epochs": 60}), tmp_path / "never")
    run = tmp_path / "run"
    command = [DYADNET, "train", str(tmp_path / "c.yaml"), "--out", str(run)]
    process = subprocess.Popen(
        command, env=clean_environment(), stderr=subprocess.PIPE, text=True, preexec_fn=heed_ctrl_c
    )
    deadline = time.monotonic() + 60
    while not ((run / "metrics.jsonl").exists() and (run / "metrics.jsonl").stat().st_size > 3000):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 75, errors
    assert "Traceback" not in errors
    last = errors.strip().splitlines()[-1]
    assert last.startswith("dyadnet: stopped in epoch ")
    assert last.endswith(f"a checkpoint is written; go on with: dyadnet resume {run}")
    again = subprocess.run(
        [DYADNET, "resume", str(run), "--json"], env=clean_environment(), capture_output=True, text=True, check=True
    )
    assert expected[0] in again.stdout
    assert (run / "metrics.jsonl").read_bytes() == expected[1]


def test_a_second_ctrl_c_ends_at_once(tmp_path: Path) -> None:
    def twice() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)

    watching = stopping(3)
    watching._strike = twice
    with pytest.raises(KeyboardInterrupt):
        train(settings(), tmp_path / "run", watching)
    assert resume(tmp_path / "run").best_epoch >= 1
