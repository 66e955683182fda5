"""A user's own data: taken where nothing else can be meant, warned of where it is not what it seems, else one line."""

from __future__ import annotations

import contextlib
import gzip
import resource
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dyadnet import data
from dyadnet.checkpoint.continuing import continued
from dyadnet.config import DataSpec
from dyadnet.config.start import starting_point
from dyadnet.data import idx, npz
from dyadnet.errors import ConfigError, DataError
from dyadnet.files.arrays import ArraysError, read
from dyadnet.study.definition import read_study
from dyadnet.training.api import train
from tests.checkpoint.runs import Watching, settings
from tests.cli.test_main import complaint
from tests.data.test_data import idx_bytes

X = np.random.default_rng(0).random((40, 6))
Y = np.arange(40) % 4


def saved(folder: Path, **arrays: Any) -> Path:
    """An ``.npz`` file."""
    np.savez(folder / "own.npz", **arrays)
    return folder / "own.npz"


@pytest.mark.parametrize(
    "names",
    [
        ("x_train", "y_train", "x_test", "y_test"),
        ("X_train", "y_train", "X_test", "y_test"),
        ("X", "y", "X_test", "y_test"),
        ("train_images", "train_labels", "test_images", "test_labels"),
    ],
)
def test_other_programs_names_are_known(names: tuple[str, ...], tmp_path: Path) -> None:
    path = saved(tmp_path, **dict(zip(names, (X[:30], Y[:30], X[30:], Y[30:]), strict=True)), val_images=X)
    found = npz.load(path)
    assert np.array_equal(found.train.images, X[:30])
    assert np.array_equal(found.test.labels, Y[30:])


@pytest.mark.parametrize("labels", [Y[:, None], Y.astype(np.uint8)[:, None], Y.astype(">i8"), Y > 1])
def test_labels_in_a_column_of_any_whole_type_are_taken(labels: NDArray[Any], tmp_path: Path) -> None:
    found = npz.load(saved(tmp_path, x=X, y=labels, x_test=X, y_test=labels))
    assert np.array_equal(found.train.labels, labels.reshape(-1).astype(int))


@pytest.mark.parametrize(
    "test", [X.astype(np.float32), (10 * X).astype(np.int64), X.astype(np.float16), X.astype(">f8")]
)
def test_floats_of_two_sizes_go_together(test: NDArray[Any], tmp_path: Path) -> None:
    found = npz.load(saved(tmp_path, x=X, y=Y, x_test=test, y_test=Y))
    assert found.train.images.dtype == found.test.images.dtype == np.float64


def test_arrays_that_nobody_asks_for_are_not_read(tmp_path: Path) -> None:
    path = saved(tmp_path, x=X, y=Y, meta=np.array({"by": "me"}, dtype=object), words=np.array(["a"]))
    assert npz.load(path).classes == 4


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"x": X, "y": np.array(list("abcd"), dtype=object)[Y]}, "array 'y' holds objects"),
        ({"x": X, "y": Y, "x_train": X, "y_train": Y}, "could be x, y or x_train, y_train"),
        ({"x_train": X, "labels": Y}, "no array 'y_train' in it, only labels, x_train"),
        ({"a": X}, "no array 'x' in it, only a"),
        ({"x": X, "y": np.where(Y < 4, 2**63 + 5, 0).astype(np.uint64)}, "label 9223372036854775813 in row 0"),
        ({"x": X, "y": np.where(np.arange(40) == 9, 99_999, Y)}, "label 99999 in row 9; .* must be below 1000"),
        ({"x": X, "y": np.where(np.arange(40) == 9, -1, Y)}, "label -1 in row 9; labels start at 0"),
        (
            {"x": X, "y": Y, "x_test": (9 * X).astype(np.uint8), "y_test": Y},
            "x_test holds uint8, x float64; only bytes",
        ),
        ({"x": X.astype(complex), "y": Y}, "x holds complex128; expected numbers"),
        ({"x": X, "y": Y.astype("M8[s]")}, "y has shape .* expected classes"),
        ({"x": X[:1], "y": Y[:1]}, "0 samples to train on"),
    ],
)
def test_what_else_is_wrong_is_said(arrays: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=complaint):
        npz.load(saved(tmp_path, **arrays))


def test_what_the_runs_type_cannot_hold_is_named_with_its_row(tmp_path: Path) -> None:
    x = X.copy()
    x[7, 2] = 1e39
    path = saved(tmp_path, x=x, y=Y)
    with pytest.raises(DataError, match=r"x holds values beyond 3\.4e\+38 \(float32\), the first in row 7; .*float64"):
        data.load(str(path), None, "float32")
    assert data.load(str(path), None, "float64").features == 6
    with pytest.raises(DataError, match="x holds values beyond"):
        npz.load(saved(tmp_path, x=x.astype(np.longdouble), y=Y))


@pytest.mark.parametrize(
    ("labels", "note"),
    [
        (Y + 1, "y has no sample of class 0, though labels go up to 4: 5 outputs"),
        (
            np.where(np.arange(40) == 9, 255, Y),
            "no sample of 251 classes (4, 5, 6, 7, 8, …), though .* 255: 256 outputs",
        ),
        (np.where(Y == 1, 2, Y), "no sample of class 1"),
    ],
)
def test_classes_without_samples_are_noted(labels: NDArray[Any], note: str, tmp_path: Path) -> None:
    (found,) = npz.load(saved(tmp_path, x=X, y=labels, x_test=X[:1], y_test=labels[:1])).notes
    head, _, tail = note.partition(" .* ")
    assert head in found
    assert tail in found
    assert npz.load(saved(tmp_path, x=X, y=Y)).notes == ()


def member(path: Path, name: str, content: bytes, method: int = zipfile.ZIP_STORED) -> Path:
    """An ``.npz`` file of one member."""
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr(name, content)
    return path


def header(text: str) -> bytes:
    """The beginning of an array's file."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


HUGE = header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }")


@pytest.mark.parametrize(
    ("content", "method"),
    [
        (HUGE, zipfile.ZIP_STORED),
        (HUGE + bytes(10**6), zipfile.ZIP_DEFLATED),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -8), }") + bytes(64), zipfile.ZIP_STORED),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': " + "(" * 4000), zipfile.ZIP_STORED),
        (header("[" * 9000), zipfile.ZIP_STORED),
        (b"\x93NUMPY\x09\x00", zipfile.ZIP_STORED),
        (b"hello", zipfile.ZIP_STORED),
        (b"", zipfile.ZIP_STORED),
        (HUGE, zipfile.ZIP_BZIP2),
    ],
)
def test_a_member_that_is_no_array_or_says_too_much_is_one_line(content: bytes, method: int, tmp_path: Path) -> None:
    path = member(tmp_path / "own.npz", "x.npy", content, method)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ArraysError, match="array 'x'"):
        read(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def test_no_byte_that_is_changed_or_missing_ends_in_anything_else(tmp_path: Path) -> None:
    whole = saved(tmp_path, x=X[:5], y=Y[:5]).read_bytes()
    draws = np.random.default_rng(0)
    for _ in range(400):
        damaged = bytearray(whole)
        for where in draws.integers(0, len(whole), draws.integers(1, 9)):
            damaged[where] = draws.integers(256)
        (tmp_path / "own.npz").write_bytes(damaged[: draws.integers(len(whole) // 2, len(whole) + 1)])
        with contextlib.suppress(ArraysError):
            read(tmp_path / "own.npz")


def test_files_of_other_kinds_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", X)
    for name, content, words in (
        ("array.npz", (tmp_path / "a.npy").read_bytes(), "a single array"),
        ("text.npz", b"x,y\n1,2\n", "not a readable"),
        ("pickle.npz", b"\x80\x04K\x01.", "not a readable"),
        ("empty.npz", b"", "not a readable"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=words):
            npz.load(tmp_path / name)
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(DataError, match="Is a directory"):
        npz.load(tmp_path / "folder.npz")


def images(folder: Path, names: str = "train-{}", test: str = "t10k-{}", labels: NDArray[Any] = Y % 3) -> Path:
    """An image set of one's own in IDX files."""
    folder.mkdir(exist_ok=True)
    pixels = np.arange(40 * 9).reshape(40, 3, 3)
    for part, rows in ((names, slice(0, 30)), (test, slice(30, 40))):
        (folder / f"{part.format('images')}-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(pixels[rows])))
        (folder / f"{part.format('labels')}-idx1-ubyte").write_bytes(idx_bytes(labels[rows]))
    return folder


@pytest.mark.parametrize(
    ("train", "test"), [("train-{}", "t10k-{}"), ("emnist-letters-train-{}", "emnist-letters-test-{}")]
)
def test_a_folder_of_idx_files_is_a_data_set(train: str, test: str, tmp_path: Path) -> None:
    folder = images(tmp_path / "kmnist", train, test)
    found = data.load(str(folder))
    assert (found.name, found.features, found.classes, found.scale) == ("kmnist", 9, 3, 1 / 255)
    assert (len(found.train.labels), len(found.test.labels)) == (30, 10)
    fitted = starting_point(None, None, None, str(folder))
    assert (fitted["network"]["layered"]["inputs"], fitted["network"]["layered"]["outputs"]) == (9, 3)


def test_a_set_that_is_not_the_published_one_is_told_how_to_be_used(tmp_path: Path) -> None:
    images(tmp_path)
    with pytest.raises(DataError, match=f"MD5 of its content .* --data {tmp_path}"):
        data.load("mnist", tmp_path)


def test_a_folder_that_holds_no_set_or_two_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file.* of images to train on.*train-images-idx3-ubyte\[\.gz\] among them"):
        data.load(str(tmp_path))
    images(tmp_path)
    images(tmp_path, "other-train-{}", "other-t10k-{}")
    with pytest.raises(DataError, match="files of images to train on"):
        data.load(str(tmp_path))
    one = images(tmp_path / "one", labels=np.arange(40))
    with pytest.raises(DataError, match=r"t10k-labels.* holds label 39"):
        data.load(str(one))


@pytest.mark.parametrize("pack", [gzip.compress, bytes])
def test_a_header_that_says_too_much_asks_for_nothing(pack: Any, tmp_path: Path) -> None:
    path = tmp_path / "images"
    path.write_bytes(pack(bytes((0, 0, 8, 3)) + b"\x7f\xff\xff\xff" * 3 + bytes(1000)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match="truncated, 1016 bytes"):
        idx.read(path, 3)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def test_first_rows_of_a_sorted_file_are_warned_of_and_taken(tmp_path: Path) -> None:
    path = saved(tmp_path, x=X, y=np.sort(Y), x_test=X, y_test=np.sort(Y))
    found = npz.load(path).limited(train=12, test=25)
    assert found.notes[0].startswith(
        "data.limit_train: the first 12 samples are of 2 classes, all 40 are of 4; are they sorted?"
    )
    assert found.notes[1].startswith("data.limit_test: the first 25 samples are of 3 classes")
    assert np.array_equal(found.train.images, X[:12])
    assert npz.load(path).limited(test=2).notes == ()
    shuffled = saved(tmp_path, x=X, y=Y)
    assert npz.load(shuffled).limited(train=12).notes == ()


def test_whoever_trains_is_told(tmp_path: Path) -> None:
    path = saved(tmp_path, x=X, y=np.sort(Y), x_test=X, y_test=Y)
    chain = {"layered": {"inputs": 6, "hidden": [4], "outputs": 4}}
    watcher = Watching()
    config = settings(network=chain, data={"name": str(path), "limit_train": 12, "limit_test": None})
    train(config, tmp_path / "run", watcher)
    assert [text for text in watcher.warnings if "are they sorted" in text]


def test_own_data_may_have_moved_whatever_its_kind() -> None:
    for name in ("old/own.npz", "old/kmnist"):
        new = name.replace("old", "new")
        config = settings(data={"name": name})
        assert Path(continued(config, {"data": {"name": new}}).data.name) in (Path(new), Path(new).absolute())


def test_a_folder_is_found_from_anywhere_and_where_it_was_moved_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images(tmp_path / "kana")
    monkeypatch.chdir(tmp_path)
    name = DataSpec(name="kana").name
    assert name == str(tmp_path / "kana")
    (tmp_path / "study.yaml").write_text("{base: {data: kana}, axes: [{key: dynamics.delay, grid: [1]}]}")
    assert read_study(Path("study.yaml")).base.data == name
    (tmp_path / "new").mkdir()
    (tmp_path / "kana").rename(tmp_path / "new" / "kana")
    assert data.load(name, tmp_path / "new").features == 9
    with pytest.raises(ConfigError, match=r"if it is elsewhere now, name the folder it is in by --data-dir"):
        data.load(name)
    assert DataSpec(name="mnistt").name == "mnistt"


def test_a_network_that_no_machine_can_hold_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for hidden, words in (("1000000000", "populations[0].size"), ("5,9000000000000,5", "populations[1].size")):
        line = complaint(capsys, "train", "--hidden", hidden, "--engine", "local", "--out", str(tmp_path / "run"))
        assert words in line
        assert "GiB" in line
    line = complaint(capsys, "train", "--hidden", "1000000", "--blocks", "1000000", "--out", str(tmp_path / "run"))
    assert "populations[0].blocks" in line
    assert not (tmp_path / "run").exists()
