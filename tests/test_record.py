"""What a run writes is there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from dyadnet.errors import RunFolderError
from dyadnet.record import whole


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
