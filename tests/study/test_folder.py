"""A study's folder: what is kept, and whose it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from dyadnet.errors import ConfigError, RunFolderError
from dyadnet.study import Result, Study, StudyFolder, plan, read_study
from tests.study.definitions import tiny

RESULT = Result("ok", "", {"test_accuracy": 0.5})


def opened(path: Path, study: Study) -> StudyFolder:
    """The folder of a study."""
    return StudyFolder(path, study, plan(study))


def contents(path: Path) -> dict[str, bytes]:
    """Every file."""
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_what_has_ended_is_there_again(tmp_path: Path) -> None:
    trials = plan(tiny())
    folder = opened(tmp_path, tiny())
    diverged = Result("diverged", "at once", {"epochs": 0})
    folder.save(trials[0], RESULT)
    folder.save(trials[3], diverged)
    folder.close()
    again = opened(tmp_path, read_study(tmp_path / "study.yaml"))
    assert again.finished() == {0: RESULT, 3: diverged}
    assert not [name for name in contents(tmp_path) if Path(name).name.startswith(".") and name != ".lock"]


def test_a_damaged_result_counts_as_not_there(tmp_path: Path) -> None:
    folder = opened(tmp_path, tiny())
    for trial in plan(tiny())[:2]:
        folder.save(trial, RESULT)
    for text in ('{"trial": 0, "status', "[" * 100_000):
        (tmp_path / "trials" / "00000.json").write_text(text)
        assert set(folder.finished()) == {1}


@pytest.mark.parametrize(
    "result",
    [
        Result("okay", "", {"test_accuracy": 0.5, "curves": {}}),  # type: ignore[arg-type]
        Result("ok", "", {"curves": {}}),
        Result("ok", "", {"test_accuracy": 0.5}),
    ],
)
def test_a_result_that_does_not_say_what_it_should_counts_as_not_there(result: Result, tmp_path: Path) -> None:
    study = tiny(keep=["curves"])
    folder = opened(tmp_path, study)
    folder.save(plan(study)[0], result)
    folder.save(plan(study)[1], Result("failed", "no memory", {}))
    assert set(folder.finished()) == {1}


@pytest.mark.parametrize("name", ["x" * 300, "file/x"])
def test_a_folder_that_cannot_be_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="cannot be written"):
        opened(tmp_path / name, tiny())
    assert list(contents(tmp_path)) == ["file"]


def test_what_a_trial_goes_on_from_is_not_discarded(tmp_path: Path) -> None:
    folder = opened(tmp_path / "out", tiny())
    place = folder.place(plan(tiny())[0])
    (place / "checkpoints").mkdir()
    folder.discard()
    assert place.exists()
    folder = opened(tmp_path / "none", tiny())
    folder.place(plan(tiny())[0])
    folder.discard()
    assert not (tmp_path / "none").exists()


def test_a_result_of_another_trial_is_refused(tmp_path: Path) -> None:
    folder = opened(tmp_path, tiny())
    folder.save(plan(tiny())[0], RESULT)
    (tmp_path / "trials" / "00000.json").rename(tmp_path / "trials" / "00001.json")
    with pytest.raises(RunFolderError, match="another trial"):
        folder.finished()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"epochs": 2}, "epochs"),
        ({"seeds": 3}, "seeds"),
        ({"models": ["ffm"]}, "models"),
        ({"axes": [{"key": "dynamics.delay", "grid": [1, 4], "name": "delay"}, tiny().axes[1]]}, "axes.0.grid.1"),
        ({"variants": {"a": {}}}, "variants.a"),
        ({"base": {"data": "digits"}}, "base.set"),
    ],
)
def test_another_definition_is_refused_and_nothing_is_lost(
    changes: dict[str, object], field: str, tmp_path: Path
) -> None:
    folder = opened(tmp_path, tiny())
    folder.save(plan(tiny())[0], RESULT)
    folder.close()
    before = contents(tmp_path)
    with pytest.raises(ConfigError) as caught:
        opened(tmp_path, tiny(**changes))
    assert caught.value.field.startswith(field)
    assert "another definition" in str(caught.value)
    assert contents(tmp_path) == before


def test_titles_and_metrics_may_change(tmp_path: Path) -> None:
    opened(tmp_path, tiny()).close()
    folder = opened(tmp_path, tiny(title="Better", metrics=["gap"]))
    assert folder.study.metrics == ["gap"]


def test_a_base_of_another_content_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("learning: {minibatch: 7}")
    study = tiny(base={"config": str(tmp_path / "run.yaml")})
    opened(tmp_path / "out", study).close()
    opened(tmp_path / "out", read_study(tmp_path / "out" / "study.yaml")).close()
    (tmp_path / "run.yaml").write_text("learning: {minibatch: 8}")
    with pytest.raises(ConfigError, match="content has changed"):
        opened(tmp_path / "out", study)


def test_folders_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunFolderError, match="other files"):
        opened(tmp_path, tiny())
    with pytest.raises(RunFolderError, match="a file"):
        opened(tmp_path / "notes.txt", tiny())
    assert contents(tmp_path) == {"notes.txt": b"mine"}


def test_one_process_at_a_time(tmp_path: Path) -> None:
    first = opened(tmp_path, tiny())
    with pytest.raises(RunFolderError, match="another process"):
        opened(tmp_path, tiny())
    first.close()
    opened(tmp_path, tiny()).close()
