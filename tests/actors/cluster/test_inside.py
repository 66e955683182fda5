"""Inside other people's Ray: jobs join the cluster that they were submitted to, and a session stays as it was."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dyadnet.config import ClusterSpec
from dyadnet_actors.cluster.connection import JOB, THREADS, _placed, _runtime, lost_with_the_job
from dyadnet_actors.cluster.starting import latest_kept
from tests.actors.clusters import RAY, TOKEN, Address, Cluster, clean_environment, running, started

ROOT = Path(__file__).parents[3]
QUICK = ("--hidden=10", "--set=data.limit_train=60", "--set=data.limit_test=20", "--epochs=1", "--no-report", "--json")
BOARD, METRICS = 8285, 8086


def recipe(page: str, beginning: str) -> str:
    """The one line of a page of deploy/ that begins so."""
    (line,) = re.findall(rf"^ *({re.escape(beginning)}.*)$", (ROOT / "deploy" / page).read_text(), re.MULTILINE)
    return str(line)


@pytest.fixture(scope="module")
def laptop() -> Iterator[Cluster]:
    """A cluster started as deploy/README.md says for a laptop, but for its ports."""
    variables = dict(
        word.split("=") for word in recipe("README.md", "export RAY_AUTH_MODE=token RAY_worker_niceness").split()[1:]
    )
    words = recipe("README.md", "ray start --head").split()[1:]
    ports = {"port": 6396, "dashboard-port": BOARD, "metrics-export-port": METRICS}
    own = [word for word in words if word.removeprefix("--").partition("=")[0] not in ports]
    assert len(own) == len(words) - len(ports)
    own += [f"--{name}={port}" for name, port in ports.items()]
    with started([*own, "--num-cpus=2"], ports["port"], variables) as cluster:
        yield cluster


def submitted(cluster: Cluster, folder: Path, environment: dict[str, str], *arguments: str) -> str:
    """What a job prints that brings a folder along."""
    options = ["--address", f"http://127.0.0.1:{BOARD}", "--working-dir", str(folder)]
    options += ["--runtime-env-json", json.dumps({"env_vars": environment})]
    train = [sys.executable, "-m", "dyadnet", "train", "small.yaml", *QUICK, *arguments]
    done = subprocess.run(
        [RAY, "job", "submit", *options, "--", *train],
        env=clean_environment() | cluster.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_what_a_laptops_recipe_starts_listens_on_the_loopback_interface(laptop: Cluster) -> None:
    found: list[tuple[Address, int]] = []
    deadline = time.monotonic() + 120
    # What serves metrics comes up last.
    while not {6396, BOARD, METRICS} <= {port for _, port in found}:
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
        found = list(running(laptop))
    for address, port in found:
        plain = getattr(address, "ipv4_mapped", None) or address
        assert plain.is_loopback, f"{address}:{port}"


@pytest.mark.slow
def test_a_job_joins_the_cluster_that_it_was_submitted_to(laptop: Cluster, tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text("data: digits\n")
    sessions = Path(laptop.environment["RAY_TMPDIR"]) / "ray"
    before = sorted(path.name for path in sessions.glob("session_2*"))
    out = tmp_path / "kept"
    told = submitted(laptop, tmp_path, {"OMP_NUM_THREADS": "2", "OF_THEIRS": "1"}, "--out", str(out))
    assert "test accuracy" in told
    assert "the job's copy" not in told
    # No cluster of its own came up beside it.
    assert sorted(path.name for path in sessions.glob("session_2*")) == before
    assert json.loads((out / "status.json").read_text())["state"] == "finished"
    told = submitted(laptop, tmp_path, {}, "--out", "runs/lost")
    assert (
        "warning: runs/lost is in the job's copy of its folder, which Ray removes after the job; name another by --out"
        in told
    )


@pytest.mark.slow
def test_a_cluster_of_our_own_leaves_a_users_where_rays_tools_look(laptop: Cluster, tmp_path: Path) -> None:
    latest = Path(laptop.environment["RAY_TMPDIR"]) / "ray" / "session_latest"
    before = latest.readlink()
    done = laptop.dyadnet("train", *QUICK, "--out", str(tmp_path / "run"), **laptop.environment)
    assert done.returncode == 0, done.stderr
    assert latest.readlink() == before
    assert "no run is on this cluster" in laptop.dyadnet("status").stdout


PROGRAM = """
import sys
import time
import ray
import dyadnet as dn

@ray.remote
class Mine:
    def value(self):
        return 7

def look():
    context = ray.get_runtime_context()
    actors = sorted(one["name"] for one in ray.util.list_named_actors(all_namespaces=True))
    groups = [one for one in ray.util.placement_group_table().values() if one["state"] != "REMOVED"]
    return context.get_job_id(), context.namespace, context.runtime_env, actors, groups, ray.cluster_resources()

if __name__ == "__main__":
    ray.init(num_cpus=2, namespace="theirs", include_dashboard=False, log_to_driver=False)
    mine = Mine.options(name="mine", lifetime="detached").remote()
    stored = ray.put("something")
    before = look()
    network, data, learning = dn.layered(64, [5], 10), dn.DataSpec(limit_train=60), dn.Learning(epochs=1)
    dn.train(dn.RunConfig(network=network, data=data, learning=learning), sys.argv[1], report=False)
    deadline = time.monotonic() + 60
    # What is given back is known in a moment.
    while look() != before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert look() == before, (look(), before)
    assert ray.get(mine.value.remote()) == 7 and ray.get(stored) == "something"
    print("as it was")
"""


def test_a_programs_own_session_is_used_and_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "program.py"), str(tmp_path / "run")],
        # Without a token Ray leaves one in the home folder, and without the other its workers starve on a busy machine.
        env=clean_environment() | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN, "RAY_worker_niceness": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "as it was\n", done.stderr


def test_only_a_job_that_names_no_cluster_joins_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(JOB, raising=False)
    assert _placed(ClusterSpec()).address is None
    monkeypatch.setenv(JOB, json.dumps({"runtime_env": {}, "metadata": {}}))
    assert _placed(ClusterSpec()).address == "auto"
    assert _placed(ClusterSpec(address="10.0.0.1:6379")).address == "10.0.0.1:6379"


@pytest.mark.parametrize("told", ["{}", "no JSON", json.dumps({"runtime_env": None}), json.dumps([1])])
def test_what_a_job_says_of_its_environment_comes_first(told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    joined = ClusterSpec(address="auto")
    monkeypatch.setenv(JOB, json.dumps({"runtime_env": {"env_vars": {"OMP_NUM_THREADS": "3"}, "py_modules": ["a"]}}))
    assert _runtime(joined) == {"env_vars": THREADS | {"OMP_NUM_THREADS": "3"}}
    shipped = _runtime(joined.model_copy(update={"ship_code": True}))["py_modules"]
    assert shipped[0] == "a"
    assert [Path(path).name for path in shipped[1:]] == ["dyadnet", "dyadnet_actors"]
    monkeypatch.setenv(JOB, told)
    assert _runtime(joined) == {"env_vars": THREADS}
    assert _runtime(ClusterSpec()) == {}


def test_a_folder_that_goes_with_the_job_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "session_1" / "runtime_resources" / "working_dir_files" / "_ray_pkg_1"
    copy.mkdir(parents=True)
    monkeypatch.chdir(copy)
    monkeypatch.delenv(JOB, raising=False)
    assert not lost_with_the_job(Path("runs/a"))
    monkeypatch.setenv(JOB, "{}")
    assert lost_with_the_job(Path("runs/a"))
    assert not lost_with_the_job(tmp_path / "runs" / "a")


@pytest.mark.parametrize("users", [True, False])
def test_the_link_to_the_latest_session(users: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    folder = tmp_path / "ray"
    folder.mkdir()
    latest = folder / "session_latest"
    latest.symlink_to(folder / "theirs")
    if users:
        (folder / "ray_current_cluster").write_text("127.0.0.1:6379")
    with latest_kept():
        latest.unlink()
        latest.symlink_to(folder / "ours")
    assert latest.readlink().name == ("theirs" if users else "ours")
    there = sorted(path.name for path in folder.iterdir())
    assert there == [*(["ray_current_cluster"] if users else []), "session_latest"]
