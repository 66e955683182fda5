"""A run's folder that is renamed or removed while it goes on: one place, one line, and the same bits from there."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dyadnet.errors import DyadnetError
from dyadnet.files.jsonl import RecordError
from dyadnet.files.store import store
from dyadnet.training.api import resume, train
from tests.checkpoint.runs import Watching, outcome, settings, uninterrupted


def renamed(run: Path) -> None:
    run.rename(run.with_name("moved"))


def replaced(run: Path) -> None:
    renamed(run)
    run.mkdir()


def copied(run: Path) -> None:
    renamed(run)
    shutil.copytree(run.with_name("moved"), run)


@pytest.mark.parametrize("change", [renamed, replaced, copied])
@pytest.mark.parametrize("every", [1, 100])
@pytest.mark.parametrize("at", [3, 7, 12])
def test_a_folder_that_is_renamed_is_one_place(
    change: Callable[[Path], None], every: int, at: int, tmp_path: Path
) -> None:
    config = settings(record={"every": every}, checkpoint={"every_minibatches": 2})
    expected = uninterrupted(config, tmp_path / "never")
    run, moved = tmp_path / "run", tmp_path / "moved"
    with pytest.raises(RecordError, match=r"run: it was renamed or removed while the run went on; go on from where"):
        train(config, run, Watching(at, lambda: change(run)))
    if change is renamed:
        assert not run.exists()
    if change is replaced:
        assert list(run.iterdir()) == []
    assert outcome(resume(moved), moved) == expected


def test_a_folder_that_is_removed_does_not_come_back(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(RecordError, match="renamed or removed"):
        train(settings(), run, Watching(4, lambda: shutil.rmtree(run)))
    assert list(tmp_path.iterdir()) == []


def test_checkpoints_elsewhere_that_are_renamed_do_not_come_back_either(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    config = settings(checkpoint={"folder": str(kept), "every_minibatches": 3})
    watching = Watching(5, lambda: renamed(kept))
    train(config, tmp_path / "run", watching)
    assert all("(its folder was renamed or removed); look at the folder" in told for told in watching.warnings)
    assert watching.warnings
    assert not kept.exists()


def test_a_store_makes_its_folder_once(tmp_path: Path) -> None:
    place = store(str(tmp_path / "a" / "b"))
    place.write("one", b"1")
    (tmp_path / "a" / "b").rename(tmp_path / "c")
    for write in (place.write, place.create):
        with pytest.raises(DyadnetError, match="its folder was renamed or removed"):
            write("two", b"2")
    assert list((tmp_path / "a").iterdir()) == []
