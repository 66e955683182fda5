"""What a run writes is there whole or not at all."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dyadnet.errors import RunFolderError
from dyadnet.files.jsonl import RecordError
from dyadnet.runs.folder import CONFIG, EVENTS, METRICS, RunFolder, read_config, read_metrics, whole
from tests.checkpoint.runs import settings


def half(path: Path) -> None:
    with whole(path) as fresh:
        fresh.write_text("half of the n")
        raise ZeroDivisionError


def test_a_file_is_replaced_only_once_all_of_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "found.json"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError):
        half(path)
    assert path.read_text() == "old"
    with whole(path) as fresh:
        fresh.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "found.json"
    with pytest.raises(RunFolderError, match=r"missing/found\.json: it cannot be written"), whole(path) as fresh:
        fresh.write_text("new")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match=r"--out .*file/run: it cannot be written \(Not a directory\)"):
        RunFolder(tmp_path / "file" / "run", settings())


@pytest.mark.parametrize("name", ["file/found.json", "file/deeper/found.json"])
def test_a_file_in_place_of_a_folder_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match=r"found\.json: .*file.* is not a folder"), whole(tmp_path / name) as fresh:
        fresh.parent.mkdir(parents=True)


def test_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 300)
    with pytest.raises(RunFolderError, match=r"--out .*n: it cannot be written \(File name too long\)"):
        RunFolder(path, settings())
    with pytest.raises(RunFolderError, match=r"n: it cannot be written \(File name too long\)"), whole(path) as fresh:
        fresh.write_text("new")


@pytest.mark.parametrize("text", ["[" * 100_000, "seed: 1\nseed: 2", "seed: !!bool x", "seed: !!timestamp x"])
def test_a_configuration_that_yaml_chokes_on_is_damaged(text: str, tmp_path: Path) -> None:
    (tmp_path / CONFIG).write_text(text)
    with pytest.raises(RunFolderError, match="damaged, not YAML"):
        read_config(tmp_path)


def test_a_line_nested_without_end_is_damaged(tmp_path: Path) -> None:
    (tmp_path / METRICS).write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(RunFolderError, match="a line is not JSON"):
        read_metrics(tmp_path)


def test_a_file_that_cannot_be_read_is_not_called_missing(tmp_path: Path) -> None:
    for read, name in ((read_config, CONFIG), (read_metrics, METRICS)):
        with pytest.raises(RunFolderError, match=f"no run here .{name} is missing"):
            read(tmp_path)
        (tmp_path / name).mkdir()
        with pytest.raises(RunFolderError, match=f"no run here .{name} cannot be read: Is a directory"):
            read(tmp_path)


def with_weights(folder: RunFolder, size: int) -> None:
    folder.save("best", {"size": size}, {"h1": {"input": np.ones((size, 10))}})


def with_probes(folder: RunFolder, size: int) -> None:
    folder.probes(7, {"h1": {"A": np.random.default_rng(size).normal(size=(size, 10))}})


def with_events(folder: RunFolder, size: int) -> None:
    folder.event({"kind": "fault", "fault": "k" * size})


@pytest.mark.parametrize(
    ("write", "name"),
    [(with_weights, "checkpoints/best"), (with_probes, "probes/00000007.npz"), (with_events, EVENTS)],
)
def test_what_a_full_disk_does_not_take_leaves_what_was_there(
    write: Callable[[RunFolder, int], None], name: str, tmp_path: Path
) -> None:
    with RunFolder(tmp_path / "run", settings()) as folder:
        write(folder, 10)
        before = {path: path.read_bytes() for path in sorted((tmp_path / "run").rglob("*")) if path.is_file()}
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limit[1]))
        try:
            with pytest.raises(RecordError, match=rf"{name}: it cannot be written \(File too large\); free"):
                write(folder, 4000)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        after = {path: path.read_bytes() for path in sorted((tmp_path / "run").rglob("*")) if path.is_file()}
        assert after == before


def test_an_event_that_was_cut_off_is_as_if_it_had_never_been(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", settings()) as folder:
        assert folder.events() == []
        folder.event({"kind": "fault", "fault": "kill"})
        with (tmp_path / "run" / EVENTS).open("a") as file:
            file.write('{"kind": "fau')
        assert folder.fired() == ["kill"]
        folder.event({"kind": "fault", "fault": "hang"})
        assert folder.fired() == ["kill", "hang"]
