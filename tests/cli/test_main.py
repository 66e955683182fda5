"""The command line: exit codes, one-line errors, and nothing half written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from dyadnet.cli.main import main

QUICK = ["--engine", "local", "--epochs", "1", "--set", "data.limit_train=200", "--set", "data.limit_test=50"]


def run(*arguments: str) -> int:
    """Exit code of the command line."""
    try:
        main(arguments)
    except SystemExit as stopped:
        return stopped.code if isinstance(stopped.code, int) else 0
    return 0


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a mistake ends in."""
    assert run(*arguments) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    assert "Traceback" not in lines[0]
    return lines[0]


@pytest.mark.pictures
def test_train_prints_one_json_object_last(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("train", *QUICK, "--out", str(tmp_path / "run"), "--json") == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out.splitlines()[-1])
    assert {"test_accuracy", "train_loss", "weights_sha256", "seconds"} <= set(result)
    assert "epoch" in captured.err
    files = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"config.yaml", "metrics.jsonl", "machinery.jsonl", "curves.png", "checkpoints"} <= files


def test_the_resolved_configuration_repeats_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hashes = []
    for name, first in (("one", []), ("two", [str(tmp_path / "one" / "config.yaml")])):
        flags = [] if first else [*QUICK, "--model", "hm", "--hidden", "30,20", "--blocks", "2", "--lanes", "2"]
        assert run("train", *first, *flags, "--out", str(tmp_path / name), "--json") == 0
        hashes.append(json.loads(capsys.readouterr().out.splitlines()[-1])["weights_sha256"])
    assert hashes[0] == hashes[1]


def test_evaluate_and_doctor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("train", *QUICK, "--out", str(tmp_path / "run"), "--json") == 0
    trained = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert run("evaluate", str(tmp_path / "run"), "--json") == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == trained["test_accuracy"]
    assert run("doctor", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["data"]["digits"] == "bundled"
    assert found["versions"]["numpy"] == np.__version__


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "dynamics.tolerence=1"], ["dynamics.tolerence", "unknown key"]),
        (["--lam", "1.5"], ["--lam", "1.5", "from 0 to 1"]),
        (["--lam", "nan"], ["--lam", "nan", "from 0 to 1"]),
        (["--model", "sshm", "--lam", "0.5"], ["--model or --lam"]),
        (["--model", "rbm"], ["--model", "rbm", "hm, ffm, sshm, asymmetric"]),
        (["--set", "network.layered.lam=skew"], ["network.layered.lam", "skew", "'asymmetric'"]),
        (["--set", "network.layered.feedback_gain=1"], ["network.layered.feedback_gain", "1.0", "lam: asymmetric"]),
        (["--model", "asymmetric", "--set", "learning.lam=0.4"], ["learning.lam", "0.4", "by projection"]),
        (["--model", "asymmetric", "--baseline", "backprop"], ["baseline", "backprop", "h1 -> h2 -> h1"]),
        (["--model", "asymmetric", "--set", "dynamics.phases=in-turn"], ["dynamics.phases", "in-turn", "λ = 0 or 1"]),
        (["--data", "cifar"], ["data.name", "cifar", "digits"]),
        (["--hidden", "10,x"], ["--hidden", "10,x"]),
        (["--hidden", "0"], ["hidden", "0"]),
        (["--epochs", "0"], ["learning.epochs", "0"]),
        (["--lanes", "33"], ["dynamics.lanes", "33", "minibatch"]),
        (["--blocks", "101"], ["blocks", "101", "100 neurons"]),
        (["--engine", "quantum"], ["engine", "quantum", "local"]),
        (["--set", "dynamics.step=nan"], ["dynamics.step"]),
        (["--set", "dynamics.delay=0"], ["dynamics.delay", "0"]),
        (["--set", "dynamics.delay={kind: uniform, low: 3, high: 2}"], ["dynamics.delay", "low (3)"]),
        (["--set", "dynamics.clock={kind: bernoulli, p: 0}"], ["dynamics.clock.p", "0"]),
        (["--set", "dynamics.clock={kind: periodic, period: 3, phase: 3}"], ["dynamics.clock", "period (3)"]),
        (["--set", "dynamics.clocks={h9: every-tick}"], ["dynamics.clocks", "h9", "h1"]),
        (["--set", "learning.beta=0"], ["learning.beta", "above 0"]),
        (["--set", "learning.lam={kind: linear, start: 0.5, end: 1.5}"], ["learning.lam", "1.5"]),
        (["--set", "learning.optimiser.kind=lion"], ["learning.optimiser", "lion"]),
        (["--set", "learning.learning_rate=-1"], ["learning.learning_rate", "-1"]),
        (
            ["--set", "network.layered.loss=cross-entropy", "--set", "network.layered.output_activation=tanh"],
            ["linear"],
        ),
        (["--set", "network.layered.activation=swish"], ["activation", "swish", "tempered-hard-sigmoid"]),
        (["--set", "network.layered.inputs=63"], ["network.inputs", "63", "64 features"]),
        (["--set", "network.layered.outputs=9"], ["9", "10 classes"]),
        (["--set", "network.layered.lam=[0, 0, 0]"], ["lam", "2 projections"]),
        (["--set", "probe.neurons={h1: [100]}"], ["probe.neurons.h1", "100", "99"]),
        (
            ["--set", "imperfections.channel.loss=1.2"],
            ["imperfections.channel.loss", "1.2", "less than or equal to 1"],
        ),
        (["--set", "imperfections.device.weights.bits=0"], ["imperfections.device.weights.bits", "0"]),
        (["--set", "imperfections.channels={h1->h3: {loss: 0.1}}"], ["imperfections.channels", "h1->h3", "h1->h2"]),
        (["--set", "imperfections.devices={h9: {gain: 0.1}}"], ["imperfections.devices", "h9", "h1"]),
        (["--set", "imperfections.chanel.loss=0.1"], ["imperfections.chanel", "unknown key"]),
        (["--set", "nonsense"], ["--set", "key.path=value"]),
        (["--set", "data.limit_train=5000"], ["data.limit_train", "5000", "1437"]),
        (["--seed", "-1"], ["seed", "-1"]),
        (["missing.yaml"], ["missing.yaml", "cannot be read"]),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else None,
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    arguments: list[str],
    words: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    line = complaint(capsys, "train", *arguments, "--out", str(tmp_path / "run"))
    assert all(word in line for word in words), line
    assert not (tmp_path / "run").exists()


def network(**changes: Any) -> dict[str, Any]:
    """A small legal description, changed."""
    values: dict[str, Any] = {
        "inputs": 64,
        "populations": [{"name": "a", "size": 5}, {"name": "out", "size": 10}],
        "projections": [{"pre": "input", "post": "a"}, {"pre": "a", "post": "out", "lam": 0.0}],
    }
    return values | changes


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"projections": [{"pre": "a", "post": "out", "lam": 0.0}]}, ["no input projection"]),
        ({"projections": [{"pre": "input", "post": "a"}]}, ["network.output", "no path"]),
        ({"projections": [{"pre": "input", "post": "a"}, {"pre": "out", "post": "a", "lam": 0.5}]}, ["no path"]),
        (
            {"projections": network()["projections"] + [{"pre": "a", "post": "out", "lam": 1.0}]},
            ["a->out", "at most one"],
        ),
        ({"projections": network()["projections"] + [{"pre": "a", "post": "x", "lam": 1.0}]}, ["post", "'x'"]),
        ({"projections": [{"pre": "input", "post": "a", "lam": 0.5}]}, ["forward only"]),
        ({"projections": [{"pre": "input", "post": "a"}, {"pre": "a", "post": "out", "kappa": -3.0}]}, ["lam", "-1.0"]),
        ({"populations": [{"name": "a", "size": 5}, {"name": "a", "size": 10}]}, ["unique"]),
        ({"populations": [{"name": "input", "size": 5}, {"name": "out", "size": 10}]}, ["reserved"]),
        ({"populations": [{"name": "a", "size": 5, "colour": "red"}]}, ["colour", "unknown key"]),
        ({"output": "b"}, ["network.output", "'b'"]),
        ({"loss": "cross-entropy"}, ["linear"]),
    ],
)
def test_a_description_that_makes_no_sense_is_refused(
    changes: dict[str, Any], words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump({"network": network(**changes)}))
    line = complaint(capsys, "train", str(file), "--out", str(tmp_path / "run"))
    assert all(word in line for word in words), line
    assert not (tmp_path / "run").exists()


def test_a_folder_that_holds_another_run_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert run("train", *QUICK, "--out", str(out)) == 0
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    capsys.readouterr()
    assert "holds another run" in complaint(capsys, "train", *QUICK, "--out", str(out))
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_damaged_data_and_folders_without_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 not really")
    assert "not a readable .npz" in complaint(capsys, "train", "--data", str(tmp_path / "bad.npz"))
    assert "no run here" in complaint(capsys, "evaluate", str(tmp_path))
    assert "not YAML" in _from_yaml(tmp_path, capsys, "a: [")
    assert "mapping" in _from_yaml(tmp_path, capsys, "- 1")


def _from_yaml(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> str:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    return complaint(capsys, "train", str(file))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize("command", ["doctor --json", "study list", "study list --json", "bench --help"])
def test_what_cannot_be_printed_is_one_line(command: str) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-c", "from dyadnet.cli.main import main; main()", *command.split()],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("dyadnet: standard output: it cannot be written (No space left")
    assert "Exception ignored" not in ended.stderr


def test_own_data_gets_a_network_of_its_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draws = np.random.default_rng(0)
    y = np.arange(300) % 3
    np.savez(tmp_path / "own.npz", x=np.eye(3)[y] + 0.1 * draws.random((300, 3)), y=y)
    arguments = [
        "--data",
        str(tmp_path / "own.npz"),
        "--model",
        "ffm",
        "--engine",
        "local",
        "--out",
        str(tmp_path / "run"),
        "--json",
    ]
    assert run("train", *arguments) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["test_accuracy"] > 0.9


def test_benchmarks_print_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    chain = ["--network", "20-16-16-10", "--json"]
    assert run("bench", "settling", *chain, "--minibatch", "4", "--cap", "400") == 0
    rows = json.loads(capsys.readouterr().out.splitlines()[-1])["rows"]
    assert {(row["model"], row["delay"]) for row in rows} >= {("sshm", 1), ("hm", 10)}
    flags = ("--samples", "600", "--repetitions", "1", "--scrape", "0.1", "--json")
    assert run("bench", "metrics", *flags) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["scrapes"] > 0
    assert set(found["clocks"]) == {"wall", "process"}
    for clock in found["clocks"].values():
        assert clock["ratio"] == clock["on_s"] / clock["off_s"] > 0
