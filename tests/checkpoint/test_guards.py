"""Full disks, closed folders, two runs on one folder, numbers that run away: one line each, nothing half written."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from dyadnet.checkpoint.lock import LOCK, TAKING, holder, locked, stale
from dyadnet.config import RunConfig
from dyadnet.data import load
from dyadnet.dynamics.request import Phase, Relaxation
from dyadnet.engines.local import LocalEngine
from dyadnet.errors import ConfigError, DivergedError, RunFolderError, StoppedError
from dyadnet.files.jsonl import Lines, RecordError
from dyadnet.files.store import store
from dyadnet.schema import Spec
from dyadnet.training.api import resume, train
from tests.checkpoint.runs import Watching, checkpoints, outcome, room_for, settings, uninterrupted


def test_training_goes_on_where_the_disk_is_full(tmp_path: Path) -> None:
    config = settings(checkpoint={"every_minibatches": 1})
    expected = uninterrupted(config, tmp_path / "never")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    run = tmp_path / "run"

    class Filling(Watching):
        def minibatch(self, epoch: int, index: int, loss: float, accuracy: float, sweeps: float) -> None:
            super().minibatch(epoch, index, loss, accuracy, sweeps)
            if self.count in (3, 5):
                # Less than the block h1 takes; then there is room again.
                resource.setrlimit(resource.RLIMIT_FSIZE, (12_000 if self.count == 3 else limit[0], limit[1]))

    watching = Filling()
    try:
        summary = train(config, run, watching)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert outcome(summary, run) == expected
    first, second = watching.warnings
    assert "it cannot be written (File too large); free space there, or name another folder" in first
    assert first.endswith("training goes on, and the last one is of minibatch 2")
    assert second.endswith("training goes on, and the last one is of minibatch 2")
    assert not list(run.rglob(".*"))
    assert all((run / "checkpoints" / name / "manifest.json").exists() for name in checkpoints(run))


def test_a_full_disk_at_the_start_ends_the_run_before_it_begins(tmp_path: Path) -> None:
    with room_for(12_000), pytest.raises(ConfigError, match=r"checkpoint\.folder: .*File too large.*free space there"):
        train(settings(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_stopping_on_a_full_disk_says_what_is_left(tmp_path: Path) -> None:
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill_and_stop() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, limit[1]))
        os.kill(os.getpid(), 15)

    try:
        with pytest.raises(Exception, match=r"stopped, but no checkpoint: .*the last one is of minibatch 4") as caught:
            train(settings(checkpoint={"every_minibatches": 4}), tmp_path / "run", Watching(6, fill_and_stop))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert not isinstance(caught.value, StoppedError)
    assert getattr(caught.value, "exit_code", None) == 1


def test_a_record_has_whole_lines_only(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "record.jsonl")
    lines.append({"n": 1})
    with room_for(lines.length + 4), pytest.raises(RecordError, match=r"record\.jsonl: it cannot be written"):
        lines.append({"n": 2})
    assert (tmp_path / "record.jsonl").read_text() == '{"n": 1}\n'
    lines.append({"n": 3})
    lines.close()
    assert (tmp_path / "record.jsonl").read_text() == '{"n": 1}\n{"n": 3}\n'


def test_a_folder_that_cannot_be_written_is_named_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"checkpoint\.folder: .*it cannot be written \(Not a directory\)"):
        train(settings(checkpoint={"folder": str(tmp_path / "file" / "kept")}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser writes anywhere")
def test_a_closed_folder_is_named_before_training(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(ConfigError, match="make the folder writable"):
        train(settings(checkpoint={"folder": str(tmp_path / "closed")}), tmp_path / "run")


def test_a_mistake_that_is_found_late_takes_nothing_away(tmp_path: Path) -> None:
    def mistaken() -> None:
        raise ConfigError("cluster.actors", 3, "so many do not fit")

    expected = uninterrupted(settings(), tmp_path / "never")
    with pytest.raises(ConfigError, match="so many do not fit"):
        train(settings(), tmp_path / "run", Watching(5, mistaken))
    assert outcome(resume(tmp_path / "run"), tmp_path / "run") == expected


@pytest.mark.pictures
def test_what_was_trained_is_there_without_its_pictures(tmp_path: Path) -> None:
    watching = Watching(3, (tmp_path / "run" / "curves.png").mkdir)
    summary = train(settings(), tmp_path / "run", watching)
    assert summary.best_epoch >= 1
    (told,) = watching.warnings
    assert told.startswith("no pictures and no report: ")
    assert "curves.png: it cannot be written (Is a directory)" in told
    assert told.endswith(f"once they can be written: dyadnet report {tmp_path / 'run'}")


def test_no_password_is_written_down(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="without a user or password in it"):
        settings(checkpoint={"folder": "sftp://me:secret@host/kept"})
    with pytest.raises(ConfigError, match="a URL that fsspec knows; nowhere is not"):
        train(settings(checkpoint={"folder": "nowhere://kept"}), tmp_path / "run")


def test_two_runs_never_share_a_folder(tmp_path: Path) -> None:
    refused: list[str] = []

    def go_on_too() -> None:
        with pytest.raises(RunFolderError) as caught:
            resume(tmp_path / "run")
        refused.append(str(caught.value))

    train(settings(), tmp_path / "run", Watching(3, go_on_too))
    (told,) = refused
    assert f"process {os.getpid()} on " in told
    assert told.endswith(f"remove {tmp_path / 'run' / 'checkpoints' / LOCK}")
    assert not (tmp_path / "run" / "checkpoints" / LOCK).exists()


@pytest.fixture(scope="module")
def over() -> bytes:
    """The lock of a process of this machine that is over."""
    code = "import json; from dyadnet.checkpoint.lock import holder; print(json.dumps(holder()))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout


@pytest.mark.parametrize("folder", ["{tmp}/kept", "memory://{tmp}/kept"])
def test_the_lock_of_a_process_that_is_over_is_taken_over(folder: str, over: bytes, tmp_path: Path) -> None:
    place = store(folder.format(tmp=tmp_path))
    place.write(LOCK, over)
    told: list[str] = []
    with locked(place, told.append):
        assert json.loads(place.read(LOCK))["pid"] == os.getpid()
    assert told == [f"the lock of process {json.loads(over)['pid']}, which is over, is taken over"]
    assert place.names() == []


@pytest.mark.parametrize("folder", ["{tmp}/kept", "memory://{tmp}/kept"])
@pytest.mark.parametrize("content", [b"[7]", b'{"pid": 7}', json.dumps(holder() | {"host": "elsewhere"}).encode()])
def test_a_lock_of_another_machine_or_of_another_kind_is_left(folder: str, content: bytes, tmp_path: Path) -> None:
    place = store(folder.format(tmp=tmp_path))
    place.write(LOCK, content)
    with pytest.raises(RunFolderError, match=r"is using it; wait .* if it is over already remove .*/kept/run\.lock$"):
        locked(place).__enter__()
    assert place.read(LOCK) == content


@pytest.mark.parametrize("folder", ["{tmp}/kept", "memory://{tmp}/kept"])
@pytest.mark.parametrize("content", [b"", b"{", json.dumps(holder()).encode()[:-9]], ids=["empty", "begun", "cut off"])
def test_a_lock_that_was_not_written_to_its_end_holds_nobody(folder: str, content: bytes, tmp_path: Path) -> None:
    place = store(folder.format(tmp=tmp_path))
    place.write(LOCK, content)
    told: list[str] = []
    with locked(place, told.append):
        assert json.loads(place.read(LOCK))["pid"] == os.getpid()
    assert told == ["a lock that names nobody is taken over"]
    assert place.names() == []


def test_only_what_is_certainly_over_is_stale() -> None:
    mine = holder()
    assert not stale(mine)
    assert stale(mine | {"began": "1"})
    assert stale(mine | {"boot": "another"})
    assert not stale(mine | {"host": "another", "pid": 1})
    assert not stale({"token": None})
    assert stale({})


@pytest.mark.parametrize("stands", [False, True])
def test_of_many_at_once_one_gets_the_lock(stands: bool, over: bytes, tmp_path: Path) -> None:
    place, gate, got = store(str(tmp_path)), threading.Barrier(8), []
    if stands:
        place.write(LOCK, over)

    def attempt() -> None:
        gate.wait()
        try:
            with locked(place):
                got.append(1)
                gate.wait()
        except RunFolderError:
            gate.wait()

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [1]
    assert place.names() == []


def test_who_died_while_taking_a_lock_over_is_told_of(over: bytes, tmp_path: Path) -> None:
    place = store(str(tmp_path))
    place.write(LOCK, over)
    place.write(TAKING, over)
    with pytest.raises(RunFolderError, match=r"a run died while it began here; remove .*/run\.lock\.taking$"):
        locked(place).__enter__()
    assert place.names() == [LOCK, TAKING]


def damaged(engine: LocalEngine, block: str, key: str, value: float) -> None:
    """Put one number into a row of a parameter."""
    parameters = {name: {key: a.copy() for key, a in found.items()} for name, found in engine.parameters().items()}
    parameters[block][key][3] = value
    engine.load(parameters)


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize(
    ("block", "key", "value"),
    [("h1", "bias", np.inf), ("h2", "h1", np.nan), ("h2", "h1", 1e38), ("out", "h2", -np.inf)],
)
def test_a_block_whose_pre_activations_are_not_finite_ends_the_relaxation(
    block: str, key: str, value: float, fixed: bool
) -> None:
    config = settings()
    engine = LocalEngine(config, load("digits"))
    try:
        damaged(engine, block, key, value)
        phase = Phase("dyadic", 0.1, 8, fixed=fixed)
        couplings = tuple(p.coupling for p in config.network.recurrent)
        with (
            np.errstate(all="ignore"),
            pytest.raises(DivergedError, match=r"diverging in block \w+ at tick \d+: A or D"),
        ):
            engine.relax(Relaxation(1, "train", np.arange(20), (phase,), couplings, 0.5))
        dyads = engine.group.all_lanes(block)[0]
        assert not (np.isfinite(dyads.A).all() and np.isfinite(dyads.D).all())
    finally:
        engine.close()


def test_weights_that_ran_away_are_never_kept(tmp_path: Path) -> None:
    engine = LocalEngine(settings(), load("digits"))
    try:
        damaged(engine, "h2", "h1", np.nan)
        with pytest.raises(
            DivergedError, match=r"block h2 .*parameter 'h1' is no longer finite after the update; try a"
        ):
            engine.save(store(str(tmp_path / "kept")), "00000001-0123abcd")
        assert not list(tmp_path.rglob("h2*"))
    finally:
        engine.close()


def test_a_switch_is_enough() -> None:
    assert isinstance(settings(), Spec)
    assert not settings(checkpoint=False).checkpoint.enabled
    assert RunConfig.read(settings().model_dump(mode="json")).checkpoint == settings().checkpoint
