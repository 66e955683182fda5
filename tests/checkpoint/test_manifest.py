"""A manifest says exactly what is there; one that was tampered with is refused."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyadnet.checkpoint.manifest import File, Manifest, decoded
from dyadnet.checkpoint.position import Best, Position
from dyadnet.checkpoint.rhythm import CheckpointRef, CheckpointSchedule, superseded
from dyadnet.config.checkpoints import CheckpointSpec
from dyadnet.errors import CheckpointError
from dyadnet.files.store import checked, store

NAME = "00000012-0123abcd"
numbers = st.floats(allow_nan=False) | st.integers(0, 2**60)
parts = st.fixed_dictionaries({"loss": st.floats(0, 9), "accuracy": st.floats(0, 1)})
lines = st.fixed_dictionaries(
    {
        "epoch": st.integers(1, 99),
        "weights_sha256": st.just("0" * 64),
        "train": parts,
        "validation": parts,
        "test": parts,
    },
    optional={"step": numbers},
)
positions = st.builds(
    Position,
    st.integers(0, 99),
    st.integers(0, 99),
    st.integers(0, 9999),
    st.integers(0, 9999),
    st.floats(0, 9),
    st.integers(0, 9),
    st.lists(st.floats(-1, 1)).map(tuple),
    st.floats(0, 99),
    st.none() | st.dictionaries(st.text(), numbers),
    st.none() | st.builds(Best, lines, st.none() | st.just(NAME)),
    st.none() | lines,
)


def manifest(position: Position, name: str = "h1.npz") -> Manifest:
    """A small one."""
    return Manifest(
        NAME, {"seed": 3}, position, {"h1": File(name, "0" * 64, 7)}, {"metrics.jsonl": 5}, ("kill:…",), 1.5
    )


@given(positions)
def test_it_comes_back_to_the_last_bit(position: Position) -> None:
    found = decoded(NAME, manifest(position).encoded())
    assert found == manifest(position)
    assert found.encoded() == manifest(position).encoded()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("updates", "twelve"),
        ("updates", -1),
        ("updates", True),
        ("epoch", 1.5),
        ("minibatch", 2**70),
        ("radius", None),
        ("at", float("nan")),
        ("estimated", [[]]),
        ("tally", [1]),
        ("best", {"line": {}, "checkpoint": None}),
        ("best", [1]),
        ("last", {"epoch": 1, "weights_sha256": 5}),
        ("none such", 1),
    ],
)
def test_a_position_of_another_kind_is_refused_though_its_hash_is_right(field: str, value: object) -> None:
    body = json.loads(manifest(Position(updates=12)).encoded())["checkpoint"]
    body["position"][field] = value
    sha256 = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    with pytest.raises(CheckpointError, match="its manifest is damaged"):
        decoded(NAME, json.dumps({"format": 1, "sha256": sha256, "checkpoint": body}).encode())


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_any_byte_that_changes_is_noticed_or_means_nothing(where: int, flip: int) -> None:
    data = bytearray(manifest(Position(updates=12)).encoded())
    data[where % len(data)] ^= flip
    with contextlib.suppress(CheckpointError):
        assert decoded(NAME, bytes(data)) == manifest(Position(updates=12))


def test_it_belongs_to_its_folder() -> None:
    with pytest.raises(CheckpointError, match="was altered"):
        decoded("00000013-0123abcd", manifest(Position()).encoded())


@pytest.mark.parametrize(
    "name", ["../h1.npz", "/etc/passwd", "a/b.npz", "..", "", ".hidden", "a\0b", "h1.npz\n", "x" * 300]
)
def test_no_file_outside_its_folder_is_followed(name: str) -> None:
    with pytest.raises(CheckpointError, match="not followed"):
        decoded(NAME, manifest(Position(), name).encoded())


@pytest.mark.parametrize("name", ["../x", "a/../x", "a/b/c", "/x", "a//b", "a\\..\\b"])
def test_no_store_leaves_its_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        checked(name)
    for place in (store(str(tmp_path / "kept")), store("memory://kept")):
        with pytest.raises(CheckpointError):
            place.read(name)
        with pytest.raises(CheckpointError):
            place.write(name, b"")
        with pytest.raises(CheckpointError):
            place.remove(name)


@pytest.mark.parametrize("values", [[], {}, {"format": 2}, {"format": 1, "checkpoint": 3, "sha256": ""}, "x"])
def test_other_things_are_no_manifests(values: Any) -> None:
    with pytest.raises(CheckpointError):
        decoded(NAME, json.dumps(values).encode())
    body = json.dumps(values, sort_keys=True).encode()
    forged = {"format": 1, "sha256": hashlib.sha256(body).hexdigest(), "checkpoint": values}
    with pytest.raises(CheckpointError, match="damaged"):
        decoded(NAME, json.dumps(forged).encode())


@pytest.mark.parametrize("folder", ["{tmp}/deep/kept", "memory://{tmp}/kept"])
def test_a_store_keeps_whole_files(folder: str, tmp_path: Path) -> None:
    place = store(folder.format(tmp=tmp_path))
    assert place.names() == []
    place.write("a/one.npz", b"1")
    place.write("a/one.npz", b"2")
    assert place.create("lock", b"x")
    assert not place.create("lock", b"y")
    assert (place.read("a/one.npz"), place.read("lock"), place.names()) == (b"2", b"x", ["a", "lock"])
    place.remove("a")
    place.remove("gone")
    assert place.names() == ["lock"]
    with pytest.raises(CheckpointError, match="cannot be read"):
        place.read("a/one.npz")


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 50)), max_size=30))
def test_a_checkpoint_is_due_after_so_many_minibatches_or_seconds(steps: list[tuple[int, float]]) -> None:
    rhythm = CheckpointSchedule(CheckpointSpec(every_minibatches=7, every_seconds=60), 0, 0.0)
    updates, now = 0, 0.0
    last = (0, 0.0)
    for minibatches, seconds in steps:
        updates, now = updates + minibatches, now + seconds
        due = rhythm.due(updates, now)
        assert due == (updates - last[0] >= 7 or now - last[1] >= 60)
        if due:
            rhythm.taken(updates, now)
            last = (updates, now)


def test_without_a_rhythm_none_is_due() -> None:
    assert not CheckpointSchedule(CheckpointSpec(every_seconds=None), 0, 0.0).due(10**9, 1e12)


@given(st.lists(st.booleans(), max_size=20), st.integers(1, 5))
def test_what_a_kept_checkpoint_needs_is_kept(improves: list[bool], keep: int) -> None:
    kept: list[CheckpointRef] = []
    best = None
    for index, improved in enumerate(improves):
        best = str(index) if improved else best
        kept.append(CheckpointRef(str(index), best))
        gone = superseded(kept, keep)
        kept = [one for one in kept if one.name not in gone]
        names = {one.name for one in kept}
        assert {str(i) for i in range(max(0, index + 1 - keep), index + 1)} <= names
        assert all(one.best in names for one in kept[-keep:] if one.best is not None)
        assert len(kept) <= 2 * keep
