"""A user's own data is found from any folder, and where it was moved to, by every command that needs it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from dyadnet.cli.main import main
from dyadnet.config import RunConfig
from dyadnet.data import load
from dyadnet.errors import DataError
from dyadnet.runs.folder import read_config
from dyadnet.study.definition import read_study
from dyadnet.study.folder import StudyFolder
from dyadnet.study.plan import plan

TRAIN = ["train", "--data", "mine.npz", "--engine", "local", "--epochs", "1", "--hidden", "5", "--out", "run"]


def written(folder: Path) -> Path:
    generator = np.random.default_rng(0)
    y = generator.integers(0, 2, 60)
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "mine.npz", x=generator.normal(size=(60, 5)) + y[:, None], y=y)
    return folder / "mine.npz"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the run is and was trained, with its data; somewhere else is where commands are given."""
    written(tmp_path / "home")
    monkeypatch.chdir(tmp_path / "home")
    assert run(*TRAIN) == 0
    (tmp_path / "else").mkdir()
    monkeypatch.chdir(tmp_path / "else")
    return tmp_path / "home"


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)


def commands(home: Path) -> list[list[str]]:
    folder = str(home / "run")
    return [
        ["evaluate", folder],
        ["analyse", folder, "--samples", "3"],
        ["train", f"{folder}/config.yaml", "--out", "again"],
        # Last, because a run that has been told goes on knowing.
        ["resume", folder],
    ]


def test_data_is_found_from_another_folder(home: Path) -> None:
    assert read_config(home / "run").data.name == str(home / "mine.npz")
    for command in commands(home):
        assert run(*command) == 0, command


def test_every_command_says_how_to_name_where_data_has_gone(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "mine.npz").rename(home.parent / "mine.npz")
    for command in commands(home):
        capsys.readouterr()
        assert run(*command) == 2, command
        (told,) = capsys.readouterr().err.strip().splitlines()
        assert told.endswith("mine.npz: not found; if it is elsewhere now, name its folder by --data-dir")
        assert run(*command, "--data-dir", str(home.parent)) == 0, command


def test_a_run_that_was_moved_with_its_data_is_told_the_same_way(home: Path) -> None:
    home.rename(home.parent / "moved")
    for command in commands(home.parent / "moved"):
        assert run(*command, "--data-dir", "../moved") == 0, command


def test_a_new_run_finds_it_in_the_folder_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    assert run(*TRAIN, "--data-dir", "data") == 0
    settings = {"data": {"name": "mine.npz", "dir": "data"}, "engine": "local", "learning": {"epochs": 1}}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(settings))
    assert run("train", "c.yaml", "--hidden", "5", "--out", "other") == 0


def test_what_is_at_its_path_is_what_was_meant(tmp_path: Path) -> None:
    first, second = written(tmp_path / "a"), written(tmp_path / "b")
    with np.load(second) as stored:
        arrays = dict(stored)
    np.savez(second, **arrays | {"x": arrays["x"][:, :3]})
    assert load(str(first), tmp_path / "b").features == 5
    assert load(str(tmp_path / "nowhere" / "mine.npz"), tmp_path / "b").features == 3
    with pytest.raises(DataError, match=r"nowhere/mine\.npz: not found"):
        load(str(tmp_path / "nowhere" / "mine.npz"), tmp_path)


@pytest.mark.parametrize("name", ["digits", "mnist"])
def test_names_of_sets_are_no_paths(name: str) -> None:
    values = {"network": {"layered": {"inputs": 64, "hidden": [4], "outputs": 10}}, "data": {"name": name}}
    assert RunConfig.read(values).data.name == name


def test_a_studys_data_is_beside_its_file_and_may_be_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "studies")
    definition = {
        "name": "s",
        "base": {"data": "mine.npz", "set": {"network": {"layered": {"hidden": [4]}}}},
        "axes": [{"key": "dynamics.delay", "grid": [1, 2]}],
        "epochs": 1,
    }
    (tmp_path / "studies" / "s.yaml").write_text(json.dumps(definition))
    monkeypatch.chdir(tmp_path)
    study = read_study(Path("studies/s.yaml"))
    assert study.base.data == str(tmp_path / "studies" / "mine.npz")
    StudyFolder(tmp_path / "out", study, plan(study)).close()
    (tmp_path / "studies").rename(tmp_path / "moved")
    study = read_study(Path("moved/s.yaml"))
    StudyFolder(tmp_path / "out", study, plan(study)).close()
    held = read_study(tmp_path / "out" / "study.yaml")
    assert plan(held, tmp_path / "moved")[0].config.data.name.endswith("mine.npz")
    (tmp_path / "moved" / "mine.npz").rename(tmp_path / "mine.npz")
    assert read_study(Path("moved/s.yaml")).base.data == str(tmp_path / "mine.npz")
