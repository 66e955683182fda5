"""A run's folder from somebody else: its files are what they seem, and nothing is written through a link."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dyadnet.checkpoint import position
from dyadnet.checkpoint.manifest import decoded
from dyadnet.errors import RunFolderError, StoppedError
from dyadnet.files import access as files
from dyadnet.runs.folder import ENDING, read_config, read_metrics
from dyadnet.study.definition import Study
from dyadnet.study.folder import StudyFolder
from dyadnet.study.plan import plan
from dyadnet.training.api import train
from dyadnet_actors.cluster.detached import read_ending
from tests.checkpoint.runs import checkpoints, settings, stopping
from tests.cli.test_main import complaint, run

KEPT = "precious\n"


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped in its second epoch."""
    out = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.raises(StoppedError):
        train(settings(), out, stopping(10))
    return out


@pytest.fixture
def copy(stopped: Path, tmp_path: Path) -> Path:
    """The same to change."""
    return Path(shutil.copytree(stopped, tmp_path / "run"))


@pytest.mark.parametrize(
    "name", ["metrics.jsonl", "machinery.jsonl", "events.jsonl", "checkpoints", "probes", "ending.json"]
)
def test_nothing_is_written_through_a_link(name: str, copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outside = copy.parent / "outside"
    if name in ("checkpoints", "probes"):
        (shutil.move(copy / name, outside) if (copy / name).exists() else outside.mkdir())
    else:
        outside.write_text((copy / name).read_text() if (copy / name).exists() else KEPT)
        (copy / name).unlink(missing_ok=True)
    (copy / name).symlink_to(outside)
    before = {path: path.stat().st_mtime_ns for path in [outside, *outside.rglob("*")]}
    line = complaint(capsys, "resume", str(copy), "--engine", "local")
    assert f"{name}: it is a symbolic link" in line
    assert {path: path.stat().st_mtime_ns for path in [outside, *outside.rglob("*")]} == before


@pytest.mark.parametrize("name", ["metrics.jsonl", "machinery.jsonl", "status.json"])
def test_a_backup_of_hard_links_keeps_what_it_has(name: str, copy: Path) -> None:
    backup = copy.parent / "backup"
    backup.hardlink_to(copy / name)
    before = backup.read_bytes()
    assert run("resume", str(copy), "--engine", "local") == 0
    assert backup.read_bytes() == before
    assert backup.stat().st_nlink == 1


def test_a_whole_folder_in_a_backup_of_hard_links_keeps_what_it_has(copy: Path) -> None:
    backup = copy.parent / "backup"
    shutil.copytree(copy, backup, copy_function=os.link)
    before = {path: path.read_bytes() for path in backup.rglob("*") if path.is_file()}
    assert run("resume", str(copy), "--engine", "local") == 0
    assert {path: path.read_bytes() for path in backup.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("name", [".lock", "trials", "ongoing"])
def test_a_study_writes_through_no_link_either(name: str, tmp_path: Path) -> None:
    values = {"name": "s", "axes": [{"key": "learning.beta", "grid": [0.1]}]}
    study = Study.read(values)
    out = tmp_path / "study"
    StudyFolder(out, study, plan(study)).close()
    outside = tmp_path / "outside"
    (outside.write_text(KEPT) if name == ".lock" else outside.mkdir())
    (shutil.rmtree(out / name, ignore_errors=True) if name != ".lock" else (out / name).unlink())
    (out / name).symlink_to(outside)
    with pytest.raises(RunFolderError, match=f"{name}: it is a symbolic link"):
        StudyFolder(out, study, plan(study))
    assert outside.is_dir() or outside.read_text() == KEPT


def test_a_study_in_a_backup_of_hard_links_is_gone_on_with_and_the_backup_stays(tmp_path: Path) -> None:
    study = Study.read({"name": "s", "axes": [{"key": "learning.beta", "grid": [0.1]}]})
    out = tmp_path / "study"
    StudyFolder(out, study, plan(study)).close()
    (out / ".lock").write_text(KEPT)
    shutil.copytree(out, tmp_path / "backup", copy_function=os.link)
    StudyFolder(out, study, plan(study)).close()
    assert (tmp_path / "backup" / ".lock").read_text() == KEPT


@pytest.mark.parametrize("value", [10**400, -(10**400), float("inf"), float("nan"), True, "1", None, [1]])
def test_what_no_float_can_hold_is_no_number(value: object) -> None:
    assert not files.is_finite(value)
    with pytest.raises(ValueError, match="is no number"):
        position.finite(value)


def test_a_number_of_an_ending_that_no_float_can_hold_is_none(tmp_path: Path) -> None:
    summary = {"out": "run", "test_accuracy": 0.5, "best_epoch": 1, "seconds": 1.0}
    (tmp_path / ENDING).write_text(json.dumps({"summary": summary, "exit_code": 0}))
    assert read_ending(tmp_path) is not None
    for name in ("test_accuracy", "best_epoch", "seconds"):
        (tmp_path / ENDING).write_text(json.dumps({"summary": summary | {name: 10**400}, "exit_code": 0}))
        assert read_ending(tmp_path) is None


def test_a_file_that_gets_another_name_while_it_is_opened_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(KEPT)
    (tmp_path / "other").hardlink_to(path)
    monkeypatch.setattr(files, "_part", lambda path: None)
    for fresh in (True, False):
        with pytest.raises(
            RunFolderError, match=r"metrics\.jsonl: it has another name, too \(a hard link\); put a copy"
        ):
            files.written(path, fresh=fresh)
    assert path.read_text() == KEPT


@pytest.mark.parametrize(
    "line", ["[1]", "1", "null", '{"no": "kind"}', '{"kind": 3}', "[" * 9000, '{"kind": "failure"}']
)
def test_an_event_that_is_none_is_one_line(line: str, copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copy / "events.jsonl").write_text(line + "\n")
    code = run("resume", str(copy), "--engine", "local")
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert code == 0 if "failure" in line else "events.jsonl: damaged" in said


def test_devices_and_pipes_are_no_files(copy: Path) -> None:
    (copy / "metrics.jsonl").unlink()
    os.mkfifo(copy / "metrics.jsonl")
    with pytest.raises(RunFolderError, match=r"metrics\.jsonl cannot be read: it is a pipe or a device"):
        read_metrics(copy)
    (copy / "config.yaml").unlink()
    (copy / "config.yaml").symlink_to("/dev/zero")
    with pytest.raises(RunFolderError, match=r"config\.yaml cannot be read: it is a pipe or a device"):
        read_config(copy)


@pytest.mark.parametrize(
    "text", ["[1]", "{}", "1", '{"summary": 3}', '{"summary": {"out": "x"}}', '{"why": 3, "exit_code": 1}', "[" * 9000]
)
def test_an_ending_that_is_none_counts_as_not_there(text: str, tmp_path: Path) -> None:
    (tmp_path / ENDING).write_text(text)
    assert read_ending(tmp_path) is None
    (tmp_path / ENDING).write_text('{"why": "it was stopped", "exit_code": 1}')
    assert read_ending(tmp_path) == {"why": "it was stopped", "exit_code": 1}


def changed(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change a manifest of weights."""
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("couplings", 5),
        ("couplings", ["a", "b"]),
        ("couplings", [float("nan"), 0]),
        ("couplings", [0.0]),
        ("weights_sha256", 5),
        ("epoch", "x"),
        ("test_accuracy", None),
    ],
)
def test_a_manifest_of_weights_that_cannot_be_true_is_refused(
    field: str, value: object, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed(copy / "checkpoints" / "best" / "manifest.json", lambda values: values.update({field: value}))
    line = complaint(capsys, "evaluate", str(copy))
    assert "damaged" in line or "another network" in line


@pytest.mark.parametrize("kind", ["a single array", "no zip", "another network's", "objects", "nothing"])
def test_weights_that_are_something_else_are_one_line(
    kind: str, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = copy / "checkpoints" / "best" / "h1.npz"
    if kind == "a single array":
        np.save(path.with_suffix(".npy"), np.zeros(3))
        path.with_suffix(".npy").replace(path)
    elif kind == "another network's":
        np.savez(path, input=np.zeros((2, 3), np.float32))
    elif kind == "objects":
        np.savez(path, input=np.array([{}], dtype=object))
    else:
        path.write_bytes(b"" if kind == "nothing" else b"h1")
    for command in ("evaluate", "export"):
        assert path.stem in complaint(capsys, command, str(copy))


def test_a_tally_of_another_network_is_refused(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in checkpoints(copy):
        path = copy / "checkpoints" / name / "manifest.json"
        found = decoded(name, path.read_bytes())
        if found.position.tally is not None:
            position = found.position
            assert isinstance(position.tally, dict)
            position.tally["blocks"] = {"h9": {}}
            path.write_bytes(found.encoded())
    assert "the sums of its epoch" in complaint(capsys, "resume", str(copy), "--engine", "local")
