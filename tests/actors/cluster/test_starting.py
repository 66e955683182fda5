"""What keeps Ray from starting or joining is named for what it is, within seconds."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from ray.exceptions import OutOfMemoryError, RayActorError, RayTaskError

from dyadnet.errors import ConfigError, UsageError
from dyadnet_actors.cluster.starting import LONGEST, MOST, PROBE, folder, knock, refused
from dyadnet_actors.protocol.failures import NotMadeError, cause_of, check_made

LONG = "x" * 70
TRAIN = [sys.executable, "-m", "dyadnet", "train", "--epochs", "1", "--actors", "1", "--set", "data.limit_train=60"]


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_TMPDIR", "TMPDIR", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)


def test_a_jobs_folder_with_a_long_name_is_not_for_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert folder() == {}
    monkeypatch.setenv("TMPDIR", str(tmp_path / LONG))
    assert folder() == {"RAY_TMPDIR": "/tmp"}
    monkeypatch.setenv("TMPDIR", "/tmp")
    assert folder() == {}
    monkeypatch.setenv("RAY_TMPDIR", f"/{'x' * (MOST - len(LONGEST))}")
    with pytest.raises(UsageError, match=r"^RAY_TMPDIR: '/x+' is too long for Ray's sockets; name a folder of at most"):
        folder()


@pytest.mark.parametrize("variable", ["RAY_TMPDIR", "TMPDIR"])
@pytest.mark.parametrize("place", ["/proc/nope", "/dev/null/x"])
def test_a_folder_that_cannot_be_written_is_named(variable: str, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, place)
    with pytest.raises(UsageError, match=rf"^{variable}: '{place}' cannot be written, .* another folder by RAY_TMPDIR"):
        folder()


@pytest.mark.slow
def test_training_works_below_a_folder_with_a_long_name(tmp_path: Path) -> None:
    (tmp_path / LONG).mkdir()
    environment = os.environ | {"TMPDIR": str(tmp_path / LONG)}
    done = subprocess.run(
        [*TRAIN, "--out", str(tmp_path / "run")], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("address", ["127.0.0.1:1", "[::1]:1", "nowhere.invalid:6379", "127.0.0.1:99999"])
def test_a_dead_address_in_the_environment_is_named_within_seconds(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    connect, patience = socket.create_connection, []

    def connected(address: tuple[str, int], timeout: float) -> socket.socket:
        patience.append(timeout)
        return connect(address, timeout)

    monkeypatch.setattr(socket, "create_connection", connected)
    with pytest.raises(ConfigError, match=r"^RAY_ADDRESS: .* no cluster answers there .*; unset it, or start one with"):
        knock("auto")
    assert patience == [PROBE]


def test_a_cluster_that_is_remembered_and_over_is_named_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    knock("auto")
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text("127.0.0.1:1\n")
    with pytest.raises(ConfigError, match=r"^cluster\.address: '127\.0\.0\.1:1' .* start one with: ray start --head"):
        knock("auto")


def test_what_listens_is_let_be(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as there:
        address = f"127.0.0.1:{there.getsockname()[1]}"
        knock(address)
        monkeypatch.setenv("RAY_ADDRESS", address)
        knock("auto")


@pytest.mark.parametrize("problem", ["No space left on device", "a token could not be made", "version mismatch"])
def test_what_keeps_a_cluster_of_our_own_from_starting_is_no_fault_of_an_address(problem: str) -> None:
    told = str(refused(None, f"{problem}\n  in detail", ""))
    assert told == f"Ray did not start here: {problem} in detail; to do without it: --engine local"


@pytest.mark.parametrize("shortage", ["No space left on device", "Cannot allocate memory", "Too many open files"])
def test_what_this_machine_lacks_is_no_fault_of_the_clusters_address(shortage: str) -> None:
    found = refused("10.0.0.1:6379", f"[Errno 1] {shortage}", "")
    assert not isinstance(found, ConfigError)
    assert str(found) == f"Ray could not join the cluster at 10.0.0.1:6379 from this machine: [Errno 1] {shortage}"
    assert isinstance(refused("10.0.0.1:6379", "no such host", ""), ConfigError)


@pytest.mark.parametrize(
    ("problem", "line"),
    [
        (
            OutOfMemoryError("\x1b[36mMemory on the node was 13 of 16 GB\x1b[39m.\n\nTop 10\n..."),
            "Memory on the node was",
        ),
        (RayActorError(), "The actor "),
        (RuntimeError("\n\n"), "RuntimeError"),
        (ValueError("x" * 1000), "x" * 300),
    ],
)
def test_an_error_of_rays_is_one_line_without_colours(problem: Exception, line: str) -> None:
    told = cause_of(problem)
    assert told.startswith(line)
    assert "\n" not in told
    assert "\x1b" not in told
    assert len(told) <= 300


def test_a_machine_that_is_short_of_memory_is_said_to_be(tmp_path: Path) -> None:
    environment = os.environ | {"RAY_memory_usage_threshold": "0.01"}
    done = subprocess.run(
        [*TRAIN, "--out", str(tmp_path / "run")], env=environment, capture_output=True, text=True, timeout=180
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert "Memory on the node" in last
    assert not (tmp_path / "run").exists()


OWN = """
import actors
import dyadnet as dn

settings = {"data": {"name": "digits", "limit_train": 40, "limit_test": 20}, "learning": {"epochs": 1}}
network = {"layered": {"inputs": 64, "hidden": [6], "outputs": 10}}
run = dn.train(dn.RunConfig.read({**settings, "network": network, "cluster": {"actors": 1}}), "run", report=False)
print(actors.mine, run.weights_sha256)
"""


def test_a_program_may_have_a_module_called_actors(tmp_path: Path) -> None:
    (tmp_path / "actors.py").write_text("mine = 1\n")
    (tmp_path / "own.py").write_text(OWN)
    done = subprocess.run(
        [sys.executable, "own.py"], cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 ")


def test_a_programs_own_module_of_the_engines_name_is_named(tmp_path: Path) -> None:
    (tmp_path / "dyadnet_actors.py").write_text("mine = 1\n")
    program = "import dyadnet_actors; from dyadnet.training.api import engine; engine('ray')"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(
        "dyadnet.errors.ConfigError: engine: 'ray' is not legal; the engine's package dyadnet_actors is hidden"
    )
    assert str(tmp_path / "dyadnet_actors.py") in last


CREATION = (
    "The actor died because of an error raised in its creation task, \x1b[36mray::B.__init__()\x1b[39m (pid=1)\n"
    '  File "b.py", line 5, in __init__\n    raise ValueError("because\\nof this")\n          ^^^^^^^^^^^\n'
)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (CREATION + "ValueError: because\nof this", "ValueError: because of this"),
        (CREATION + "dyadnet.errors.ConfigError: seed: no", "dyadnet.errors.ConfigError: seed: no"),
        (
            "The actor died unexpectedly before finishing this task.\n\tclass_name: B\n\tpid: 1\nThe actor is dead "
            "because its worker process has died. Some common causes include: (1) the process was killed",
            "The actor died unexpectedly before finishing this task. The actor is dead because its worker process "
            "has died.",
        ),
    ],
)
def test_the_cause_of_a_death_is_named(text: str, cause: str) -> None:
    assert cause_of(RayActorError(error_msg=text)) == cause


def test_what_ended_a_task_is_its_cause() -> None:
    problem = RayTaskError("f", "Traceback ...\n\x1b[36mValueError", ValueError("because\nof this"))
    assert cause_of(problem) == "ValueError: because of this"


@pytest.mark.parametrize("end", ["ValueError: x", "ModuleNotFoundError: No module named 'x'"])
def test_an_actor_that_cannot_be_made_is_not_tried_again(end: str) -> None:
    with pytest.raises(NotMadeError, match=f"^the coordinator could not begin: {end}"):
        check_made(RayActorError(error_msg=CREATION + end), "the coordinator")


@pytest.mark.parametrize("text", [CREATION + "ray.exceptions.ObjectLostError: gone", "The actor died unexpectedly"])
def test_an_actor_that_rays_own_trouble_ended_may_be_tried_again(text: str) -> None:
    check_made(RayActorError(error_msg=text), "the coordinator")
