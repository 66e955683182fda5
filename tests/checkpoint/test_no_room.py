"""A full disk while something begins: it leaves the folder as it was, and the same command works once there is room."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from dyadnet.checkpoint.lock import LOCK, TAKING
from dyadnet.errors import DyadnetError, RunFolderError, StoppedError, UsageError
from dyadnet.files.store import store
from dyadnet.runs.folder import RunFolder
from dyadnet.study.folder import StudyFolder
from dyadnet.study.plan import plan
from dyadnet.training.api import resume, train
from tests.checkpoint.runs import outcome, room_for, settings, stopping, uninterrupted
from tests.study.definitions import tiny


def tree(folder: Path) -> dict[str, bytes | None]:
    """All that is in a folder."""
    return {str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes() for path in folder.rglob("*")}


@pytest.mark.parametrize("size", [0, 700, 3000, 12_000])
@pytest.mark.parametrize("elsewhere", [False, True])
def test_what_cannot_begin_leaves_nothing(size: int, elsewhere: bool, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    config = settings(checkpoint={"folder": str(tmp_path / "kept")} if elsewhere else {})
    before = tree(tmp_path)
    with room_for(size), pytest.raises(DyadnetError, match=r"it cannot be written \(File too large\)"):
        train(config, tmp_path / "of" / "mine" / "run")
    assert tree(tmp_path) == before
    train(config, tmp_path / "of" / "mine" / "run")


def test_a_run_without_checkpoints_leaves_nothing_either(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o750)
    config = settings(checkpoint=False, record={"every": 1})
    with room_for(0), pytest.raises(DyadnetError, match="it cannot be written"):
        train(config, tmp_path / "run")
    assert tree(tmp_path) == {"run": None}
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o750


def test_what_has_begun_without_checkpoints_is_never_sent_to_resume(tmp_path: Path) -> None:
    config = settings(checkpoint=False, record={"every": 1})
    with room_for(3000), pytest.raises(DyadnetError, match=r"free space there, and begin again$"):
        train(config, tmp_path / "run")
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes().endswith(b"}\n")


def test_a_trace_that_cannot_begin_leaves_nothing(tmp_path: Path) -> None:
    config = settings(dynamics={"mode": {"kind": "free"}}, engine="ray", record={"trace": str(tmp_path / "no" / "t")})
    with pytest.raises(UsageError, match=r"record\.trace: .* it cannot be written there"):
        RunFolder(tmp_path / "run", config)
    assert tree(tmp_path) == {}


@pytest.fixture(scope="module")
def over() -> bytes:
    """The lock of a process of this machine that is over."""
    code = "import json; from dyadnet.checkpoint.lock import holder; print(json.dumps(holder()))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout


@pytest.mark.parametrize("size", [0, 130, 800])
@pytest.mark.parametrize("crashed", [False, True])
def test_a_run_that_cannot_go_on_yet_goes_on_later(size: int, crashed: bool, over: bytes, tmp_path: Path) -> None:
    expected = uninterrupted(settings(), tmp_path / "never")
    run = tmp_path / "run"
    with pytest.raises(StoppedError):
        train(settings(), run, stopping(9))
    if crashed:
        (run / "checkpoints" / LOCK).write_bytes(over)
    before = tree(run)
    with room_for(size), pytest.raises(DyadnetError, match=r"it cannot be written \(File too large\)"):
        resume(run, {"checkpoint": {"keep": 5, "folder": None}})
    after = tree(run)
    # Records are cut to where the checkpoint left them, and a lock that nobody held may be gone.
    gone = {f"checkpoints/{LOCK}"}
    assert after.keys() | gone == before.keys() | gone
    assert after["config.yaml"] == before["config.yaml"]
    assert outcome(resume(run), run) == expected


def test_an_exclusive_file_is_whole_or_not_there(tmp_path: Path) -> None:
    place = store(str(tmp_path))
    with room_for(3), pytest.raises(DyadnetError, match="free space there"):
        place.create(TAKING, b"longer")
    assert place.names() == []
    assert place.create(TAKING, b"longer")
    with room_for(3):
        assert not place.create(TAKING, b"another")
    assert place.read(TAKING) == b"longer"


def test_it_is_so_where_no_file_can_have_two_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refused)
    test_an_exclusive_file_is_whole_or_not_there(tmp_path)
    assert list(tree(tmp_path)) == [TAKING]


@pytest.mark.parametrize("there", [False, True])
def test_a_study_that_cannot_begin_leaves_nothing(there: bool, tmp_path: Path) -> None:
    study = tiny()
    out = tmp_path / "deep" / "study"
    if there:
        out.mkdir(parents=True)
    before = tree(tmp_path)
    with room_for(10), pytest.raises(DyadnetError, match=r"it cannot be written \(File too large\)"):
        StudyFolder(out, study, plan(study, None))
    assert tree(tmp_path) == before
    StudyFolder(out, study, plan(study, None)).close()


def test_files_of_others_are_never_taken_away(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    with room_for(0), pytest.raises(RunFolderError, match="it holds other files"):
        train(settings(), tmp_path)
    assert tree(tmp_path) == {"mine": b"precious"}
