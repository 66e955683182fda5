"""A run that is left to its cluster goes on, whatever happens to its coordinator, and can be come back to."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from dyadnet.config import RunConfig
from tests.actors.cluster.test_connection import complaint, local_hash
from tests.actors.clusters import DYADNET, Cluster, clean_environment, heed_ctrl_c, one_node
from tests.actors.coordination.test_lockstep import settings_of


@pytest.fixture(scope="module")
def node() -> Iterator[Cluster]:
    """A one-node cluster that asks for a token."""
    with one_node() as cluster:
        yield cluster


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """A run that takes some seconds on actors, in a file."""
    values = settings_of(learning__epochs=20)
    for name in ("engine", "cluster", "probe"):
        del values[name]
    values["checkpoint"] = {"every_minibatches": 10}
    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump(RunConfig.read(values).model_dump(mode="json") | {"engine": "ray"}))
    return path


def coordinators(cluster: Cluster) -> list[int]:
    """Process numbers of the cluster's coordinators."""
    marker = f"RAY_TMPDIR={cluster.environment['RAY_TMPDIR']}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            ours = (entry / "cmdline").read_bytes().startswith(b"ray::CoordinatorActor")
            if ours and marker in (entry / "environ").read_bytes():
                found.append(int(entry.name))
    return found


def test_it_goes_on_without_its_driver_and_after_its_coordinators_death(
    node: Cluster, settings: Path, tmp_path: Path
) -> None:
    out = tmp_path / "left"
    slow = ("--slow", "h1=100")
    left = node.dyadnet("train", str(settings), "--address", node.address, "--detach", *slow, "--out", str(out))
    assert left.returncode == 0, left.stderr
    assert "the run continues on its cluster; come back with: dyadnet attach left" in left.stderr

    command = [DYADNET, "attach", "left", "--address", node.address]
    environment = clean_environment() | node.environment
    attached = subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, text=True, cwd=tmp_path, preexec_fn=heed_ctrl_c
    )
    assert attached.stderr is not None
    said = iter(attached.stderr.readline, "")
    # It shows what is going on once it has come back.
    assert any(line.startswith("epoch ") for line in said)
    os.kill(attached.pid, signal.SIGINT)
    errors = "".join(said)
    attached.wait(60)
    assert attached.returncode == 0, errors
    assert "left; the run goes on: dyadnet attach left" in errors

    (coordinator,) = coordinators(node)
    os.kill(coordinator, signal.SIGKILL)
    ended = node.dyadnet("attach", str(out), "--address", node.address, "--json")
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout.splitlines()[-1])["weights_sha256"]
    assert found == local_hash(settings, tmp_path / "local")
    assert (out / "metrics.jsonl").read_text() == (tmp_path / "local" / "metrics.jsonl").read_text()
    events = [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]
    assert [event["what"] for event in events] == ["coordinator"]
    assert (out / "curves.png").exists()

    again = node.dyadnet("attach", str(out), "--address", node.address, "--json")
    assert json.loads(again.stdout.splitlines()[-1])["weights_sha256"] == found
    assert coordinators(node) == []


def test_its_folder_is_its_coordinators_and_it_can_be_stopped_and_resumed(
    node: Cluster, settings: Path, tmp_path: Path
) -> None:
    out = tmp_path / "halted"
    arguments = ("train", str(settings), "--address", node.address, "--detach", "--slow", "h1=100", "--out", str(out))
    assert node.dyadnet(*arguments).returncode == 0
    (coordinator,) = coordinators(node)
    kept = f"checkpoint.folder={out / 'checkpoints'}"
    for second in (
        ("resume", str(out), "--engine", "local", "--address", "own"),
        ("resume", str(out), "--address", node.address, "--detach"),
        ("train", str(settings), "--engine", "local", "--set", kept, "--out", str(tmp_path / "second")),
    ):
        told = complaint(node.dyadnet(*second))
        assert f"process {coordinator} on " in told
        assert "is using it; wait for its end or stop it" in told
    assert not (tmp_path / "second").exists()

    stopped = node.dyadnet("attach", "halted", "--address", node.address, "--stop")
    assert stopped.returncode == 75, stopped.stderr
    assert f"go on with: dyadnet resume {out}" in stopped.stderr
    left = node.dyadnet("resume", str(out), "--address", node.address, "--detach")
    assert left.returncode == 0, left.stderr
    assert "the run continues on its cluster; come back with: dyadnet attach halted" in left.stderr
    again = node.dyadnet("attach", str(out), "--address", node.address, "--stop")
    assert again.returncode == 75, again.stderr
    resumed = node.dyadnet("resume", str(out), "--engine", "local", "--address", "own", "--json")
    assert resumed.returncode == 0, resumed.stderr
    found = json.loads(resumed.stdout.splitlines()[-1])["weights_sha256"]
    assert found == local_hash(settings, tmp_path / "local")
    assert (out / "metrics.jsonl").read_text() == (tmp_path / "local" / "metrics.jsonl").read_text()
    assert not (out / "ending.json").exists()


def test_what_cannot_be_left_or_come_back_to(node: Cluster, settings: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    alone = node.dyadnet("train", str(settings), "--detach", "--out", str(out))
    assert "cluster.detach: True is not legal; only on a running cluster" in complaint(alone)
    assert not out.exists()
    crowded = ("--set", "cluster.cpus_per_actor=1000")
    arguments = ("train", str(settings), "--address", node.address, "--detach", "--out", str(out), *crowded)
    assert "cluster.cpus_per_actor: 1000.0 is not legal" in complaint(node.dyadnet(*arguments))
    assert not out.exists()
    assert "no run" in complaint(node.dyadnet("attach", "nothing", "--address", node.address))
