"""Jobs from another machine, on two hosts that ask for a token: logs, metrics, status, top, and an end."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.actors.cluster.test_connection import complaint
from tests.actors.clusters import DYADNET, HOSTS, OUTSIDE, RAY, Cluster, clean_environment, two_hosts, why_no_namespaces

REASON = why_no_namespaces()
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)
JOBS = f"http://{OUTSIDE[0]}:8265"
PORT = "9300"
PATIENCE = 120.0
SMALL = (
    "--hidden=16,14",
    *(f"--set={setting}" for setting in ("data.limit_train=60", "data.limit_test=20", "dynamics.sweeps=10")),
)
"""Few relaxations of few sweeps: a letter from host to host takes its time."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Two hosts whose head takes jobs, and a third machine."""
    with two_hosts(jobs=True) as found:
        yield found


def outside(cluster: Cluster, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command on the machine that is no node."""
    environment = clean_environment() | cluster.environment
    return subprocess.run(
        [*cluster.outside, *command],
        env=environment,
        cwd=cluster.environment["RAY_TMPDIR"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def submitted(cluster: Cluster, *arguments: str, wait: bool = True, name: str) -> str:
    """What ``ray job submit`` prints."""
    options = [f"--submission-id={name}", *([] if wait else ["--no-wait"])]
    train = [DYADNET, "train", *SMALL, "--address", "auto", "--placement", "spread", "--actors", "2", *arguments]
    finished = outside(cluster, RAY, "job", "submit", "--address", JOBS, *options, "--", *train)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout + finished.stderr


def until(found: Callable[[], bool]) -> None:
    """Wait for something that has to come."""
    deadline = time.monotonic() + PATIENCE
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.3)


def page(cluster: Cluster) -> str:
    """The metrics, as the other machine reads them; empty while nobody serves any."""
    address = f"http://{OUTSIDE[0]}:{PORT}/metrics"
    program = f"import urllib.request; print(urllib.request.urlopen({address!r}, timeout=5).read().decode())"
    finished = outside(cluster, sys.executable, "-c", program)
    return finished.stdout if finished.returncode == 0 else ""


def our_actors(cluster: Cluster) -> list[str]:
    """Titles of the processes of dyadnet's actors on this cluster."""
    marker = f"RAY_TMPDIR={cluster.environment['RAY_TMPDIR']}".encode()
    titles = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            title = (entry / "cmdline").read_bytes().split(b"\0")[0].decode()
            if (
                title.startswith(("ray::BlockActor", "ray::CoordinatorActor"))
                and marker in (entry / "environ").read_bytes()
            ):
                titles.append(title)
    return titles


def test_a_submitted_job_streams_its_log_and_trains_to_the_local_bits(cluster: Cluster, tmp_path: Path) -> None:
    short = ["--epochs=1", "--json"]
    printed = submitted(cluster, *short, "--out", str(tmp_path / "job"), name="short")
    assert "epoch   1" in printed
    assert "test accuracy" in printed
    summary = next(json.loads(line) for line in printed.splitlines() if line.startswith("{"))
    alone = cluster.dyadnet("train", *SMALL, "--engine", "local", *short, "--out", str(tmp_path / "local"))
    assert summary["weights_sha256"] == json.loads(alone.stdout.splitlines()[-1])["weights_sha256"]
    placement = json.loads((tmp_path / "job" / "machinery.jsonl").read_text().splitlines()[0])["actors"]
    assert {place["address"] for place in placement.values()} == set(HOSTS)
    records = [(tmp_path / run / "metrics.jsonl").read_bytes() for run in ("job", "local")]
    assert records[0] == records[1]
    until(lambda: our_actors(cluster) == [])

    # By Ray's transport, without a job.
    apart = [*SMALL, "--address", cluster.address, "--placement", "spread", "--actors", "2", *short]
    done = cluster.dyadnet("train", *apart, "--transport", "ray", "--out", str(tmp_path / "ray"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "ray" / "metrics.jsonl").read_bytes() == records[1]
    placement = json.loads((tmp_path / "ray" / "machinery.jsonl").read_text().splitlines()[0])["actors"]
    assert {place["address"] for place in placement.values()} == set(HOSTS)


def test_a_range_of_ports_without_room_is_named(cluster: Cluster, tmp_path: Path) -> None:
    few = [*SMALL, "--address", cluster.address, "--placement", "spread", "--set", "cluster.ports=[20000, 20000]"]
    taken = cluster.dyadnet("train", *few, "--out", str(tmp_path / "taken"))
    assert "cluster.ports: '20000-20000' is not legal; every one of these ports" in complaint(taken)


def test_a_running_job_can_be_watched_and_stopping_it_ends_every_actor(cluster: Cluster, tmp_path: Path) -> None:
    metrics = ("--metrics-port", PORT, "--metrics-host", "0.0.0.0")
    submitted(cluster, "--epochs=10000", *metrics, "--out", str(tmp_path / "watched"), wait=False, name="long")
    until(lambda: 'state="training"} 1.0' in page(cluster))

    runs = json.loads(cluster.dyadnet("status", "--json").stdout)["runs"]
    assert [run["run"] for run in runs] == ["watched"]
    assert runs[0]["state"] in ("training", "evaluating")
    assert {place["address"] for place in runs[0]["places"].values()} == set(HOSTS)
    told = cluster.dyadnet("status", "watch", "--address", cluster.address, "--json")
    assert told.returncode == 0, told.stderr
    assert set(json.loads(told.stdout)["actors"]) == set(runs[0]["places"])
    drawn = cluster.dyadnet("top", "--once")
    assert drawn.returncode == 0, drawn.stderr
    assert all(word in drawn.stdout for word in ("watched", "residual", "saturated", "updates/s", "waiting"))
    unknown = cluster.dyadnet("top", "another")
    assert unknown.returncode == 2
    assert unknown.stderr == "dyadnet: no run 'another' on this cluster; there is: watched\n"

    assert len(our_actors(cluster)) == 1 + len(runs[0]["places"])
    stopped = outside(cluster, RAY, "job", "stop", "--address", JOBS, "long")
    assert stopped.returncode == 0, stopped.stderr
    until(lambda: our_actors(cluster) == [])
    assert page(cluster) == ""
    assert "dyadnet: stopped" in outside(cluster, RAY, "job", "logs", "--address", JOBS, "long").stdout
    assert "no run is on this cluster" in cluster.dyadnet("status").stdout


def test_without_the_token_no_job_is_taken(cluster: Cluster) -> None:
    environment = clean_environment() | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": "not-the-token-of-this-cluster-0123",
    }
    command = [*cluster.outside, RAY, "job", "submit", "--address", JOBS, "--", "true"]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert finished.returncode != 0
    assert "token" in (finished.stdout + finished.stderr).lower()
