"""Joining clusters: the local engine's bits on two hosts, and one line for every way in which joining fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import dyadnet as dn
from dyadnet.config import RunConfig
from tests.actors.clusters import (
    DYADNET,
    HOSTS,
    TOKEN,
    Cluster,
    clean_environment,
    free_port,
    one_node,
    started,
    two_hosts,
    why_no_namespaces,
)
from tests.actors.coordination.test_lockstep import settings_of

REASON = why_no_namespaces()


@pytest.fixture(scope="module")
def node() -> Iterator[Cluster]:
    """A one-node cluster that asks for a token."""
    with one_node() as cluster:
        yield cluster


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """A short run in a file."""
    values = settings_of(learning__epochs=2)
    del values["engine"], values["cluster"], values["probe"]
    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump(RunConfig.read(values).model_dump(mode="json") | {"engine": "ray"}))
    return path


def complaint(finished: subprocess.CompletedProcess[str]) -> str:
    """The one line that a mistake ends in."""
    assert finished.returncode == 2, finished.stderr
    lines = finished.stderr.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def local_hash(settings: Path, out: Path) -> str:
    """Of the same run on the local engine."""
    values = yaml.safe_load(settings.read_text()) | {"engine": "local"}
    return dn.train(RunConfig.read(values), out, report=False).weights_sha256


def test_training_on_a_running_cluster_with_shipped_code(node: Cluster, settings: Path, tmp_path: Path) -> None:
    arguments = ["train", str(settings), "--address", node.address, "--actors", "2", "--ship-code", "--json"]
    done = node.dyadnet(*arguments, "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])["weights_sha256"]
    assert found == local_hash(settings, tmp_path / "local")
    placement = json.loads((tmp_path / "run" / "machinery.jsonl").read_text().splitlines()[0])["actors"]
    # Where the row of three is cut depends on what they cost here.
    assert "+".join(placement) == "h1+h2+out"
    assert len(placement) == 2
    for place in placement.values():
        assert place["nice"] == os.nice(0)
        assert place["code"].startswith(node.environment["RAY_TMPDIR"])


def test_ways_not_to_get_in(node: Cluster, settings: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = ["train", str(settings), "--out", str(out), "--address"]
    # A home of its own: there may be a token in ours.
    nothing = {"RAY_TMPDIR": str(tmp_path), "HOME": str(tmp_path)}
    wrong = {"RAY_TMPDIR": str(tmp_path), "RAY_AUTH_TOKEN": "another-token-altogether-9876543210"}
    assert "'127.0.0.1:1' is not legal; no cluster answers" in complaint(node.dyadnet(*arguments, "127.0.0.1:1"))
    assert "write HOST:PORT" in complaint(node.dyadnet(*arguments, "nowhere"))
    assert "asks for a token, and we have none" in complaint(node.dyadnet(*arguments, node.address, **nothing))
    assert "our token is not the cluster's" in complaint(node.dyadnet(*arguments, node.address, **wrong))
    spread = [*arguments, node.address, "--placement", "strict-spread"]
    assert "3 actors need as many nodes, the cluster has 1" in complaint(node.dyadnet(*spread))
    assert not out.exists()


def test_a_token_at_home_is_not_used_where_none_is_asked_for(settings: Path, tmp_path: Path) -> None:
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text(TOKEN)
    port = free_port()
    head = ["start", "--head", f"--port={port}", "--num-cpus=2", "--include-dashboard=false"]
    with started(head, port, {"RAY_AUTH_MODE": "disabled"}) as cluster:
        arguments = ["train", str(settings), "--address", cluster.address, "--json", "--out"]
        ours = {"RAY_TMPDIR": str(tmp_path), "HOME": str(tmp_path)}
        done = cluster.dyadnet(*arguments, str(tmp_path / "run"), **ours)
        assert done.returncode == 0, done.stderr
        assert not (tmp_path / "run" / "events.jsonl").exists()
        demanding = cluster.dyadnet(*arguments, str(tmp_path / "other"), **ours, RAY_AUTH_MODE="token")
        assert "takes no token, but RAY_AUTH_MODE demands one; to join it, set" in complaint(demanding)


def test_another_version_of_ray(node: Cluster, settings: Path, tmp_path: Path) -> None:
    arguments = ["train", str(settings), "--out", str(tmp_path / "run"), "--address", node.address]
    program = f"import ray; ray.__version__ = '9.9.9'; from dyadnet.cli.main import main; main({arguments!r})"
    finished = subprocess.run(
        [sys.executable, "-c", program], env=node.environment, capture_output=True, text=True, timeout=120, check=False
    )
    line = complaint(finished)
    assert "other versions than this machine" in line
    assert "9.9.9" in line
    assert TOKEN not in line


@pytest.mark.skipif(bool(REASON), reason=REASON)
# That two hosts give the local engine's bits by both transports is a fast test of test_jobs.py, too.
@pytest.mark.slow
@pytest.mark.parametrize("ways", [["fast", "ray"], ["insecure", "bench"]])
def test_two_hosts_give_the_local_engines_bits(ways: list[str], settings: Path, tmp_path: Path) -> None:
    flags = {"fast": (), "ray": ("--transport", "ray"), "insecure": ("--insecure-transport",)}
    with two_hosts() as cluster:
        expected = local_hash(settings, tmp_path / "local")
        arguments = ["train", str(settings), "--address", cluster.address, "--placement", "spread", "--json"]
        for name in flags.keys() & set(ways):
            done = cluster.dyadnet(*arguments, *flags[name], "--out", str(tmp_path / name))
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout.splitlines()[-1])["weights_sha256"] == expected
            placement = json.loads((tmp_path / name / "machinery.jsonl").read_text().splitlines()[0])["actors"]
            assert {place["address"] for place in placement.values()} == set(HOSTS)
            records = [(tmp_path / folder / "metrics.jsonl").read_text() for folder in (name, "local")]
            assert records[0] == records[1]
        if "bench" in ways:
            apart = ("--address", cluster.address, "--apart", "--sizes", "16", "--repetitions", "1", "--json")
            measured = cluster.dyadnet("bench", "messages", *apart)
            assert measured.returncode == 0, measured.stderr
            (row,) = json.loads(measured.stdout.splitlines()[-1])["rows"]
            assert min(row[name][rate] for name in ("streamed", "one_at_a_time") for rate in row[name]) > 0


@pytest.mark.slow
@pytest.mark.skipif(bool(REASON), reason=REASON)
def test_a_host_that_is_cut_off_is_done_without(settings: Path, tmp_path: Path) -> None:
    values = yaml.safe_load(settings.read_text())
    values |= {"checkpoint": {"every_minibatches": 2}, "recovery": {"heartbeat": 3.0}}
    values["learning"]["epochs"] = 4
    values["cluster"]["slow"] = {"h1": 20}
    settings.write_text(yaml.safe_dump(values))
    out = tmp_path / "run"
    with two_hosts() as cluster:
        arguments = ["train", str(settings), "--address", cluster.address, "--placement", "spread", "--json"]
        run = subprocess.Popen(
            [*cluster.inside, DYADNET, *arguments, "--out", str(out)],
            env=clean_environment() | cluster.environment,
            cwd=cluster.environment["RAY_TMPDIR"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 120
        record = out / "metrics.jsonl"
        while not (record.exists() and record.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.05)
        cut = subprocess.run([*cluster.inside, "ip", "link", "set", "dy0", "down"], capture_output=True, check=False)
        assert cut.returncode == 0, cut.stderr
        told, errors = run.communicate(timeout=200)
        assert run.returncode == 0, errors
        found = json.loads(told.splitlines()[-1])["weights_sha256"]
        values["cluster"] = {}
        del values["recovery"]
        settings.write_text(yaml.safe_dump(values))
        assert found == local_hash(settings, tmp_path / "local")
    events = [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]
    assert [event["what"] for event in events] == ["node"]
    assert "hangs: no sign of life for 3 s" in events[0]["why"]
    assert record.read_text() == (tmp_path / "local" / "metrics.jsonl").read_text()
