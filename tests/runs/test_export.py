"""Exported weights are a run's, to the last bit, and a file that says so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dyadnet as dn
from dyadnet.cli import main as cli
from dyadnet.config import RunConfig
from dyadnet.engines.local import LocalEngine
from dyadnet.network.topology import Topology
from dyadnet.runs import weights
from dyadnet.runs.export import export, read
from dyadnet.runs.export.layout import joined, split
from dyadnet.training.api import load_data
from dyadnet.training.coordinator import Coordinator
from dyadnet.training.evaluation import evaluate
from tests.telemetry.runs import settings

GRAPH = {
    "inputs": 64,
    "populations": [
        {"name": "a", "size": 9, "blocks": 2},
        {"name": "b", "size": 8, "blocks": 3},
        {"name": "out", "size": 10},
    ],
    "projections": [
        {"pre": "input", "post": "a"},
        {"pre": "a", "post": "b", "lam": 0.5},
        {"pre": "b", "post": "b", "lam": 0.5, "gain": 0.3},
        {"pre": "b", "post": "out", "lam": 0.2},
        {"pre": "input", "post": "out"},
    ],
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run of a network with a loop, populations in several blocks, and two input projections."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    dn.train(RunConfig.read(settings() | {"network": GRAPH, "metrics": {}}), folder)
    return folder


@pytest.mark.parametrize("kind", ["npz", "safetensors"])
@pytest.mark.parametrize("name", ["best", "last"])
def test_what_is_read_back_is_what_was_trained(run: Path, tmp_path: Path, kind: str, name: str) -> None:
    if kind == "safetensors":
        pytest.importorskip("safetensors", reason="safetensors is not installed")
    path = tmp_path / "deep" / f"weights.{kind}"
    export(run, path, name, kind)
    found = read(path)
    manifest = weights.read_manifest(run / "checkpoints" / name)
    dataset = load_data(found.config)
    engine = LocalEngine(found.config, dataset)
    try:
        engine.load(found.parameters())
        assert engine.weights_sha256() == found.manifest["weights_sha256"] == manifest["weights_sha256"]
        accuracy = Coordinator(found.config, dataset.sizes, engine).evaluate("test", found.couplings).accuracy
    finally:
        engine.close()
    assert accuracy == evaluate(run, name)["accuracy"]
    assert found.network == found.config.network
    assert found.manifest["input_scale"] == 1 / 16


def test_any_reader_of_npz_finds_whole_projections(run: Path, tmp_path: Path) -> None:
    export(run, tmp_path / "weights.npz")
    with np.load(tmp_path / "weights.npz", allow_pickle=False) as stored:
        shapes = {key: stored[key].shape for key in stored.files if key != "manifest"}
        manifest = json.loads(str(stored["manifest"]))
    assert shapes == {
        "weights/input->a": (9, 64), "weights/a->b": (8, 9), "weights/b->b": (8, 8), "weights/b->out": (10, 8),
        "weights/input->out": (10, 64), "bias/a": (9,), "bias/b": (8,), "bias/out": (10,),
    }  # fmt: skip
    assert np.allclose(manifest["couplings"], [0.0, 0.0, -0.6])


@given(st.integers(1, 4), st.integers(1, 4), st.booleans())
def test_splitting_undoes_joining_for_any_blocks(first: int, second: int, double: bool) -> None:
    network = dn.layered(5, [7, 6], 3)
    blocks = (first, second, 1)
    populations = [dn.Population(p.name, p.size, blocks=n) for p, n in zip(network.populations, blocks, strict=True)]
    topology = Topology(dn.Network(5, tuple(populations), network.projections))
    whole = joined(split(_random(double), topology), topology)
    assert all(
        np.array_equal(whole[key], array) and whole[key].dtype == array.dtype for key, array in _random(double).items()
    )


def _random(double: bool) -> dict[str, Any]:
    generator = np.random.default_rng(0)
    shapes = {
        "weights/input->h1": (7, 5), "weights/h1->h2": (6, 7), "weights/h2->out": (3, 6),
        "bias/h1": (7,), "bias/h2": (6,), "bias/out": (3,),
    }  # fmt: skip
    return {key: generator.normal(size=shape).astype("f8" if double else "f4") for key, shape in shapes.items()}


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a command ends with."""
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def test_the_command_writes_where_it_is_told(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["export", str(run), "--out", str(tmp_path / "w.npz"), "--weights", "last", "--json"])
    assert ended.value.code == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["weights_sha256"] == read(tmp_path / "w.npz").manifest["weights_sha256"]
    assert found["arrays"]["weights/a->b"] == [8, 9]


def test_what_cannot_be_exported_is_one_line_and_leaves_nothing(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "w.npz")
    assert "no run here" in refused(["export", str(tmp_path), "--out", out], capsys)
    assert "--format" in refused(["export", str(run), "--format", "onnx"], capsys)
    assert "--weights" in refused(["export", str(run), "--weights", "first"], capsys)
    assert "ends in .safetensors" in refused(["export", str(run), "--format", "safetensors", "--out", out], capsys)
    assert "a file extension without a name" in refused(["export", str(run), "--out", ".npz"], capsys)
    assert "a file extension without a name" in refused(["export", str(run), "--out", ".safetensors"], capsys)
    (tmp_path / "folder.npz").mkdir()
    assert "this is a folder" in refused(["export", str(run), "--out", str(tmp_path / "folder.npz")], capsys)
    copy = shutil.copytree(run, tmp_path / "copy")
    shutil.rmtree(copy / "checkpoints")
    assert "no weights here" in refused(["export", str(copy), "--out", out], capsys)
    shutil.copytree(run / "checkpoints", copy / "checkpoints")
    with np.load(copy / "checkpoints" / "best" / "out.npz") as stored:
        arrays = {key: stored[key] for key in stored.files}
    np.savez(copy / "checkpoints" / "best" / "out.npz", **{**arrays, "bias": arrays["bias"] + 1})
    assert "they were altered" in refused(["export", str(copy), "--out", out], capsys)
    assert not (tmp_path / "w.npz").exists()


@pytest.mark.parametrize("kind", ["npz", "safetensors"])
def test_where_nothing_can_be_written_is_one_line(
    run: Path, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if kind == "safetensors":
        pytest.importorskip("safetensors", reason="safetensors is not installed")
    (tmp_path / "file").write_text("")
    inside, long = tmp_path / "file" / f"w.{kind}", tmp_path / f"{'w' * 300}.{kind}"
    assert f"{tmp_path / 'file'} is not a folder" in refused(["export", str(run), "--out", str(inside)], capsys)
    assert "File name too long" in refused(["export", str(run), "--out", str(long)], capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    """A run that a test may damage."""
    return Path(shutil.copytree(run, tmp_path / "copy"))


def test_weights_of_another_network_are_not_exported(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    block = copy / "checkpoints" / "best" / "out.npz"
    with np.load(block) as stored:
        arrays = {key: stored[key] for key in stored.files}
    strange = np.full(arrays["bias"].shape, "x")
    for other in ({"bias": np.zeros(3, np.float32)}, {"bias": strange}, {}):
        np.savez(block, **({key: array for key, array in arrays.items() if key != "bias"} | other))
        line = refused(["export", str(copy)], capsys)
        assert "block out: parameter 'bias' should be float32 (10,), found" in line
        assert "weights of another network" in line
    np.savez(copy / "checkpoints" / "best" / "a.0.npz")
    assert "block a.0: parameter 'input'" in refused(["export", str(copy)], capsys)
    assert not (copy / "weights.npz").exists()


@pytest.mark.parametrize("key", weights.TOLD)
def test_a_manifest_that_says_too_little_is_refused(copy: Path, key: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = copy / "checkpoints" / "best" / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest[key]
    path.write_text(json.dumps(manifest))
    assert f"manifest.json: damaged, {key} missing" in refused(["export", str(copy)], capsys)
    assert not (copy / "weights.npz").exists()


def test_a_manifest_that_cannot_be_read_is_named(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = copy / "checkpoints" / "best" / "manifest.json"
    path.write_text("[" * 100_000)
    assert "manifest.json: damaged" in refused(["export", str(copy)], capsys)
    path.unlink()
    path.mkdir()
    assert "manifest.json: it cannot be read (Is a directory)" in refused(["export", str(copy)], capsys)


@pytest.mark.parametrize("kind", ["npz", "safetensors"])
def test_a_damaged_file_is_refused(run: Path, tmp_path: Path, kind: str) -> None:
    if kind == "safetensors":
        pytest.importorskip("safetensors", reason="safetensors is not installed")
    path = tmp_path / f"weights.{kind}"
    export(run, path, kind=kind)
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"not weights", _flipped(whole)):
        path.write_bytes(damaged)
        with pytest.raises(dn.RunFolderError):
            read(path)
    with pytest.raises(dn.RunFolderError, match="no such file"):
        read(tmp_path / f"none.{kind}")


def _flipped(whole: bytes) -> bytes:
    """One bit of a weight changed; the middle of either file lies within its largest array."""
    middle = len(whole) // 2
    return whole[:middle] + bytes([whole[middle] ^ 64]) + whole[middle + 1 :]


def test_files_of_others_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(dn.RunFolderError, match="not weights that dyadnet exported"):
        read(tmp_path / "other.npz")
    with pytest.raises(dn.ConfigError, match="ends in"):
        read(tmp_path / "other.pt")
