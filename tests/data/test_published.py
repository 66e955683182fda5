"""Published image sets: read as they are published, as a part, or packed; refused in one line if they are none."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dyadnet import data
from dyadnet.config import RunConfig
from dyadnet.config.presets import preset
from dyadnet.config.start import starting_point
from dyadnet.data import cifar, idx, mnist
from dyadnet.errors import DataError
from tests.cli.test_main import complaint
from tests.data.test_data import idx_bytes

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(60)
RECORD = {"cifar-10": 3073, "cifar-100": 3074}
CROSSED = np.random.default_rng(3).integers(0, 256, (12, 28, 28))
"""Images that are not the same when they are turned."""


def records(count: int, name: str = "cifar-10", seed: int = 0, **labels: int) -> bytes:
    """A file of records; a label may be given by its column, of the second image."""
    found = np.random.default_rng(seed).integers(0, 256, (count, RECORD[name]), dtype=np.uint8)
    for column, classes in enumerate(cifar.CIFAR_SETS[name].labels):
        found[:, column] = (np.arange(count) + seed) % classes
    for place, label in labels.items():
        found[1, int(place[1:])] = label
    return found.tobytes()


def archive(path: Path, files: dict[str, bytes], folder: str = "cifar-10-batches-bin") -> Path:
    """An archive as CIFAR's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as out:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            out.addfile(member, io.BytesIO(content))
    return path


BATCHES = {f"data_batch_{number}.bin": records(3, seed=number) for number in range(1, 6)}
BATCHES |= {"test_batch.bin": records(4, seed=9), "batches.meta.txt": b"airplane\n"}


def test_batches_are_read_plain_packed_or_in_the_archive(tmp_path: Path) -> None:
    plain, packed, tarred = (tmp_path / place for place in ("plain", "packed", "tarred"))
    (plain / "cifar-10-batches-bin").mkdir(parents=True)
    (packed / "cifar-10").mkdir(parents=True)
    for name, content in BATCHES.items():
        (plain / "cifar-10-batches-bin" / name).write_bytes(content)
        (packed / "cifar-10" / f"{name}.gz").write_bytes(gzip.compress(content))
    archive(tarred / "cifar-10" / "cifar-10-binary.tar.gz", BATCHES)
    found = [data.load("cifar-10", place) for place in (plain, packed, tarred)]
    for one in found:
        assert (one.shape, one.classes, one.scale, one.features) == ((3, 32, 32), 10, 1 / 255, 3072)
        assert one.train.labels.tolist() == [1, 2, 3, 2, 3, 4, 3, 4, 5, 4, 5, 6, 5, 6, 7]
        assert one.test.labels.tolist() == [9, 0, 1, 2]
        # The label goes, and channels stay in their order.
        assert one.train.images[1].tobytes() == BATCHES["data_batch_1.bin"][3073 + 1 : 2 * 3073]
        assert np.array_equal(one.train.images, found[0].train.images)
        assert len(one.notes) == 1
    assert "15 of 50,000 images to train on and 4 of 10,000 images to test on; no checksums" in found[1].notes[0]
    assert "not the published archive (its MD5 is" in found[2].notes[0]


def test_the_published_archive_needs_no_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path / "cifar-10-binary.tar.gz", BATCHES)
    sum_ = hashlib.md5(path.read_bytes()).hexdigest()
    known = replace(cifar.CIFAR_SETS["cifar-10"], checksum=sum_, images=(15, 4))
    monkeypatch.setitem(cifar.CIFAR_SETS, "cifar-10", known)
    assert data.load("cifar-10", tmp_path).notes == ()
    assert data.available(tmp_path)["cifar-10"] == str(path)


def test_a_part_is_used_and_named(tmp_path: Path) -> None:
    for name in ("data_batch_2.bin", "data_batch_4.bin", "test_batch.bin"):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(BATCHES[name]))
    found = data.load("cifar-10", tmp_path)
    assert found.train.labels.tolist() == [2, 3, 4, 4, 5, 6]
    (note,) = found.notes
    assert note.startswith(f"cifar-10: {tmp_path}: 6 of 50,000 images to train on and 4 of 10,000 images to test on")
    assert "in 2 of 5 batches" in note


def test_a_folder_of_batches_is_told_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "test_batch.bin").write_bytes(BATCHES["test_batch.bin"])
    with pytest.raises(DataError, match=f"it holds cifar-10, which has a name: --data cifar-10 --data-dir {tmp_path}"):
        data.load(str(tmp_path))


def test_the_fine_labels_of_cifar_100_are_used(tmp_path: Path) -> None:
    (tmp_path / "train.bin").write_bytes(records(101, "cifar-100"))
    (tmp_path / "test.bin").write_bytes(records(5, "cifar-100", seed=98))
    found = data.load("cifar-100", tmp_path)
    assert (found.classes, found.shape) == (100, (3, 32, 32))
    assert found.train.labels.tolist() == [*range(100), 0]
    assert found.test.labels.tolist() == [98, 99, 0, 1, 2]
    assert found.train.images[1].tobytes() == records(101, "cifar-100")[3074 + 2 : 2 * 3074]


PICKLE = pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, 1]}, protocol=2)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", r"data_batch_1\.bin: 0 bytes; expected records of 3,073 \(1 label, 3×32×32 pixels\)"),
        (records(3)[:-100], r"data_batch_1\.bin: 9,119 bytes; expected records of 3,073"),
        (records(3, "cifar-100"), r"data_batch_1\.bin: 9,222 bytes; expected records of 3,073"),
        (PNG, r"data_batch_1\.bin: 76 bytes \(a PNG picture\); expected records"),
        (PNG.ljust(3073, b"\0"), r"data_batch_1\.bin: label 137 of image 0, expected 0 to 9; .*\(a PNG picture\)"),
        (PICKLE, r"data_batch_1\.bin: .* bytes \(a Python pickle\); expected records"),
        (b"<html>not found</html>", r"data_batch_1\.bin: 22 bytes \(a web page\)"),
        (records(3, c0=10), r"data_batch_1\.bin: label 10 of image 1, expected 0 to 9"),
        (gzip.compress(records(3))[:-2000], r"data_batch_1\.bin: damaged or truncated gzip, \d+ bytes came of it"),
        (gzip.compress(gzip.compress(records(3))), r"a gzip file, packed twice"),
    ],
)
def test_what_is_no_batch_is_named(content: bytes, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "data_batch_1.bin").write_bytes(content)
    (tmp_path / "test_batch.bin").write_bytes(BATCHES["test_batch.bin"])
    with pytest.raises(DataError, match=complaint) as problem:
        data.load("cifar-10", tmp_path)
    assert "\n" not in str(problem.value)


def test_both_labels_of_cifar_100_are_checked(tmp_path: Path) -> None:
    (tmp_path / "test.bin").write_bytes(records(2, "cifar-100"))
    for labels, words in (({"c0": 20}, "label 20 of image 1, expected 0 to 19"), ({"c1": 100}, "label 100 .* 0 to 99")):
        (tmp_path / "train.bin").write_bytes(records(2, "cifar-100", **labels))
        with pytest.raises(DataError, match=rf"train\.bin: {words}"):
            data.load("cifar-100", tmp_path)


def test_the_pickled_version_is_never_read(tmp_path: Path) -> None:
    for number, (name, place) in enumerate(
        [
            ("cifar-10", "cifar-10-batches-py/data_batch_1"),
            ("cifar-10", "data_batch_1"),
            ("cifar-10", "cifar-10-python.tar.gz"),
            ("cifar-100", "cifar-100-python.tar.gz"),
            ("cifar-100", "cifar-100/train"),
        ]
    ):
        path = tmp_path / str(number) / place
        path.parent.mkdir(parents=True)
        path.write_bytes(PICKLE)
        with pytest.raises(DataError, match=rf"this is the pickled version of {name}; it is never read.*fetch http"):
            data.load(name, tmp_path / str(number))
    renamed = archive(tmp_path / "cifar-10-binary.tar.gz", {"data_batch_1": PICKLE}, "cifar-10-batches-py")
    with pytest.raises(DataError, match=rf"{renamed.name}: this is the pickled version"):
        data.load("cifar-10", tmp_path)


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        (["data_batch_1.bin"], "data_batch_1.bin in it; expected test_batch.bin and at least one of data_batch_1.bin"),
        (["test_batch.bin"], "test_batch.bin in it; expected test_batch.bin and at least one of"),
        ([], "--data-dir .*: cifar-10 is not here; expected test_batch.bin.* or cifar-10-binary.tar.gz"),
    ],
)
def test_what_lacks_is_named(files: list[str], complaint: str, tmp_path: Path) -> None:
    for name in files:
        (tmp_path / name).write_bytes(BATCHES[name])
    with pytest.raises(DataError, match=complaint):
        data.load("cifar-10", tmp_path)


def test_an_archive_that_is_cut_off_or_none_is_named(tmp_path: Path) -> None:
    path = archive(tmp_path / "cifar-10-binary.tar.gz", BATCHES)
    whole = path.read_bytes()
    for content, words in (
        (whole[: len(whole) // 2], "damaged or truncated archive"),
        (whole[:20], "damaged or truncated archive"),
        (b"", "damaged or truncated archive, or none"),
        (PNG, "damaged or truncated archive, or none"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=rf"cifar-10-binary\.tar\.gz: {words}"):
            data.load("cifar-10", tmp_path)
    archive(path, {"readme": b"nothing"})
    with pytest.raises(DataError, match=r"no file of records in it; expected test_batch\.bin"):
        data.load("cifar-10", tmp_path)


def test_no_byte_that_is_changed_ends_in_anything_else(tmp_path: Path) -> None:
    whole = archive(tmp_path / "cifar-10-binary.tar.gz", BATCHES).read_bytes()
    draws = np.random.default_rng(0)
    refused = 0
    for _ in range(60):
        damaged = bytearray(whole[: draws.integers(1, len(whole) + 1)])
        for where in draws.integers(0, len(damaged), draws.integers(1, 9)):
            damaged[where] = draws.integers(256)
        (tmp_path / "cifar-10-binary.tar.gz").write_bytes(damaged)
        try:
            data.load("cifar-10", tmp_path)
        except DataError:
            refused += 1
    assert refused > 50


def test_a_download_is_verified_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DYADNET_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = archive(tmp_path / "mirror" / "cifar-10-binary.tar.gz", BATCHES)
    mirror = f"file://{path.parent}/"
    with pytest.raises(DataError, match=r"cannot be downloaded .*its MD5 is .*, expected c32a1d4a"):
        cifar.load("cifar-10", None, mirror)
    known = replace(cifar.CIFAR_SETS["cifar-10"], checksum=hashlib.md5(path.read_bytes()).hexdigest())
    monkeypatch.setitem(cifar.CIFAR_SETS, "cifar-10", known)
    assert len(cifar.load("cifar-10", None, mirror).train.labels) == 15
    path.unlink()
    assert len(cifar.load("cifar-10", None, mirror).train.labels) == 15


def integers(array: NDArray[Any]) -> bytes:
    """An array of 32-bit integers as an IDX file holds it."""
    header = bytes((0, 0, 12, array.ndim)) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return header + array.astype(">i4").tobytes()


def image_set(folder: Path, name: str, labels: NDArray[Any], *, packed: bool = True, **changed: bytes) -> Path:
    """A small set under a published set's names; a file may be given by the letter a to d of its place."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, file in enumerate(mnist.IMAGE_SETS[name].files):
        if "images" in file:
            content = idx_bytes(CROSSED)
        else:
            content = integers(labels) if file.endswith("-int") else idx_bytes(labels)
        content = changed.get("abcd"[number], content)
        (folder / (f"{file}.gz" if packed else file)).write_bytes(gzip.compress(content) if packed else content)
    return folder


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("split", "classes"), [("balanced", 47), ("letters", 26), ("byclass", 62), ("digits", 10)])
def test_emnist_is_turned_and_letters_begin_at_0(split: str, classes: int, packed: bool, tmp_path: Path) -> None:
    first = 1 if split == "letters" else 0
    labels = np.arange(12) % classes + first
    image_set(tmp_path / "emnist", f"emnist-{split}", labels, packed=packed)
    found = data.load(f"emnist-{split}", tmp_path)
    assert (found.classes, found.shape) == (classes, (1, 28, 28))
    assert np.array_equal(found.train.images.reshape(12, 28, 28), CROSSED.transpose(0, 2, 1))
    assert np.array_equal(found.test.labels, labels - first)
    assert "no checksums of its files are known" in found.notes[0]
    beyond = labels.copy()
    beyond[5] = classes + first
    image_set(tmp_path / "other", f"emnist-{split}", beyond)
    with pytest.raises(
        DataError, match=rf"label {classes + first} of image 5, expected {first} to {classes - 1 + first}"
    ):
        data.load(f"emnist-{split}", tmp_path / "other")


def test_the_first_column_of_qmnist_is_the_class(tmp_path: Path) -> None:
    labels = np.arange(12 * 8).reshape(12, 8) + 70_000
    labels[:, 0] = np.arange(12) % 10
    found = data.load("qmnist", image_set(tmp_path / "qmnist", "qmnist", labels).parent)
    assert np.array_equal(found.train.labels, labels[:, 0])
    assert np.array_equal(found.train.images.reshape(12, 28, 28), CROSSED)
    image_set(tmp_path / "narrow", "qmnist", labels[:, :5])
    with pytest.raises(DataError, match="5 numbers an image, expected 8"):
        data.load("qmnist", tmp_path / "narrow")
    image_set(tmp_path / "bytes", "qmnist", labels, b=idx_bytes(labels % 9))
    with pytest.raises(DataError, match=r"starts with 00000802 .*expected 00000c02 \(IDX, 2-d 32-bit integers\)"):
        data.load("qmnist", tmp_path / "bytes")


def test_files_that_are_not_as_published_are_named_and_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = image_set(tmp_path / "kmnist", "kmnist", np.arange(12) % 10)
    (note,) = data.load("kmnist", tmp_path).notes
    assert note.startswith("kmnist: train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images")
    assert "not as published" in note
    sums = {file: frozenset({hashlib.md5((folder / f"{file}.gz").read_bytes()).hexdigest()}) for file in mnist.FILES}
    monkeypatch.setitem(mnist.IMAGE_SETS, "kmnist", replace(mnist.IMAGE_SETS["kmnist"], checksums=sums))
    assert data.load("kmnist", tmp_path).notes == ()


def test_mnist_does_not_pass_for_kmnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image_set(tmp_path, "kmnist", np.arange(12) % 10)
    sums = {mnist.TRAIN_IMAGES: frozenset({hashlib.md5(idx_bytes(CROSSED)).hexdigest()})}
    monkeypatch.setitem(mnist.IMAGE_SETS, "mnist", replace(mnist.IMAGE_SETS["mnist"], checksums=sums))
    with pytest.raises(DataError, match="these are the images of mnist, not of kmnist"):
        data.load("kmnist", tmp_path)


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"a": idx_bytes(CROSSED)[:-9]}, r"train-images.*: truncated, 9415 bytes where its header says 9424"),
        ({"a": b""}, r"train-images.*: starts with nothing, expected 00000803"),
        ({"c": PNG}, r"t10k-images.*: starts with 89504e47 \(a PNG picture\), expected 00000803"),
        ({"b": PICKLE}, r"train-labels.*: starts with .* \(a Python pickle\), expected 00000801"),
        ({"b": idx_bytes(np.arange(11) % 10)}, r"train-images.*: 12 images in it, 11 labels in train-labels"),
        ({"d": idx_bytes(np.full(12, 10))}, r"t10k-labels.*: label 10 of image 0, expected 0 to 9"),
        ({"a": idx_bytes(np.zeros((12, 14, 14)))}, r"train-images.*: its images are 14×14, expected 28×28"),
        ({"a": idx_bytes(np.zeros((0, 28, 28))), "b": idx_bytes(np.zeros(0))}, r"0 images in it, 0 labels"),
    ],
)
def test_what_is_no_idx_set_is_named(changed: dict[str, bytes], complaint: str, tmp_path: Path) -> None:
    image_set(tmp_path, "kmnist", np.arange(12) % 10, packed=True, **changed)
    with pytest.raises(DataError, match=complaint) as problem:
        data.load("kmnist", tmp_path)
    assert "\n" not in str(problem.value)


def test_what_cannot_be_downloaded_file_by_file_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DYADNET_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(
        DataError, match=r"emnist-letters cannot be downloaded \(.*one archive.*put emnist-letters-train"
    ):
        data.load("emnist-letters")


@pytest.mark.parametrize("name", list(data.KNOWN_IMAGES))
def test_presets_have_the_sizes_of_every_published_set(name: str) -> None:
    sizes = data.KNOWN_IMAGES[name]
    config = RunConfig.read(preset(name, "ffm"))
    assert (config.network.inputs, config.network.classes) == sizes
    assert starting_point(None, None, None, name)["data"] == {"name": name}


def test_integers_of_idx_files_come_back() -> None:
    array = np.array([[1, -2, 3], [2**31 - 1, -(2**31), 0]])
    assert np.array_equal(idx.parse(integers(array), 2, "file", idx.INTEGERS), array)


def test_a_damaged_file_ends_a_command_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data_batch_1.bin").write_bytes(records(3)[:-1])
    (tmp_path / "test_batch.bin").write_bytes(records(3))
    where = "--data", "cifar-10", "--data-dir", str(tmp_path), "--engine", "local", "--out", str(tmp_path / "run")
    line = complaint(capsys, "train", *where)
    assert f"{tmp_path / 'data_batch_1.bin'}: 9,218 bytes; expected records of 3,073" in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["cifar-10"])
def test_sets_are_read_where_they_are(name: str) -> None:
    if cifar.find(name) is None:
        pytest.skip(f"{name} is not on this machine (DYADNET_DATA)")
    found = data.load(name)
    assert found.train.images.shape[1] == 3072
    assert np.bincount(found.train.labels).min() > len(found.train.labels) / 15
    # Red, green, then blue: photographs are a little less blue than red.
    mean = found.normalised().normalisation.mean  # type: ignore[union-attr]
    assert mean[0] > mean[1] > mean[2]
