"""Data sets: what is read, and what is refused before anything is allocated."""

from __future__ import annotations

import gzip
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dyadnet import data
from dyadnet.data import idx, mnist, npz
from dyadnet.errors import ConfigError, DataError


def idx_bytes(array: np.ndarray[Any, Any]) -> bytes:
    """An array as an IDX file holds it."""
    header = bytes((0, 0, 8, array.ndim)) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return header + array.astype(np.uint8).tobytes()


SMALL = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=6))


@settings(max_examples=60, deadline=None)
@given(array=SMALL)
def test_any_idx_array_comes_back(array: np.ndarray[Any, Any]) -> None:
    assert np.array_equal(idx.parse(idx_bytes(array), 3, "file"), array)


@settings(max_examples=120, deadline=None)
@given(array=SMALL, cut=st.floats(0, 1, exclude_max=True), compress=st.booleans())
def test_any_truncation_is_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, array: np.ndarray[Any, Any], cut: float, compress: bool
) -> None:
    content = gzip.compress(idx_bytes(array)) if compress else idx_bytes(array)
    path = tmp_path_factory.mktemp("idx") / "images"
    path.write_bytes(content[: int(cut * len(content))])
    with pytest.raises(DataError, match="images: "):
        idx.read(path, 3)


def test_a_header_that_claims_gigabytes_allocates_nothing() -> None:
    content = bytes((0, 0, 8, 3)) + b"\xff" * 12 + b"\0" * 10
    with pytest.raises(DataError, match="truncated, 26 bytes"):
        idx.parse(content, 3, "file")


def test_a_wrong_checksum_is_named(tmp_path: Path) -> None:
    path = tmp_path / "labels"
    path.write_bytes(idx_bytes(np.arange(5)))
    with pytest.raises(DataError, match=r"labels: MD5 of its content is \w+, expected one of beef"):
        idx.read(path, 1, {"beef"})


def test_bundled_digits_are_split_once_and_for_all() -> None:
    digits = data.load("digits")
    assert digits.train.images.shape == (1437, 64)
    assert digits.test.images.shape == (360, 64)
    assert digits.train.images.dtype == np.uint8
    assert digits.train.images.max() == 16
    assert set(np.unique(digits.test.labels)) == set(range(10))
    inputs = data.minibatch(digits.train, np.arange(7), np.dtype(np.float32), digits.scale)
    assert inputs.dtype == np.float32
    assert inputs.max() <= 1.0


def test_validation_rows_are_the_last_tenth_of_a_seeded_permutation() -> None:
    train, validation = data.validation_split(1000, seed=3)
    again = data.validation_split(1000, seed=3)
    other = data.validation_split(1000, seed=4)
    assert len(validation) == 100
    assert sorted(np.concatenate((train, validation))) == list(range(1000))
    assert np.array_equal(validation, again[1])
    assert not np.array_equal(validation, other[1])


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_image_sets_are_read_where_they_are(name: str) -> None:
    folder = mnist.find(name)
    if folder is None:
        pytest.skip(f"{name} is not on this machine (DYADNET_DATA)")
    found = data.load(name)
    assert found.train.images.shape == (60000, 784)
    assert found.test.images.shape == (10000, 784)
    assert found.train.images.dtype == np.uint8
    assert np.bincount(found.test.labels).min() > 800


def test_a_folder_without_the_set_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"--data-dir {tmp_path}: mnist is not here"):
        data.load("mnist", tmp_path)


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server on this machine, and the folder that it serves."""
    folder = tmp_path / "mirror"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(folder))

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/", folder
    server.shutdown()
    server.server_close()


def small_set(folder: Path, damage: bool = False) -> mnist.ImageSet:
    """A tiny image set in a mirror's folder, with its true checksums."""
    checksums = {}
    for file in mnist.FILES:
        array = np.arange(4 * 9).reshape(4, 3, 3) if "images" in file else np.arange(4) % 3
        content = idx_bytes(array)
        checksums[file] = frozenset({__import__("hashlib").md5(content).hexdigest()})
        (folder / f"{file}.gz").write_bytes(gzip.compress(content[:-1] if damage else content))
    return mnist.ImageSet("tiny", checksums, ())


def test_a_download_is_verified_and_kept(tmp_path: Path, mirror: tuple[str, Path]) -> None:
    url, served = mirror
    images = small_set(served)
    mnist.download(images, tmp_path / "cache", (url,))
    assert sorted(p.name for p in (tmp_path / "cache").iterdir()) == sorted(f"{f}.gz" for f in mnist.FILES)


def test_a_damaged_download_leaves_nothing_behind(tmp_path: Path, mirror: tuple[str, Path]) -> None:
    url, served = mirror
    images = small_set(served, damage=True)
    with pytest.raises(DataError, match=r"tiny cannot be downloaded .* put .* --data-dir or DYADNET_DATA"):
        mnist.download(images, tmp_path / "cache", (url,))
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_mirror_that_does_not_answer_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be downloaded"):
        mnist.download(mnist.IMAGE_SETS["mnist"], tmp_path, ("http://127.0.0.1:9/",))


def arrays(**changes: Any) -> dict[str, Any]:
    """A small legal file's arrays, changed."""
    x = np.random.default_rng(0).random((20, 4, 3)).astype(np.float32)
    return {k: v for k, v in ({"x": x, "y": np.arange(20) % 3} | changes).items() if v is not None}


def nan_in_row(row: int) -> np.ndarray[Any, Any]:
    """Samples with one value that is not a number."""
    x = np.zeros((20, 3))
    x[row, 1] = np.nan
    return x


def test_own_data_is_flattened_and_split(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", **arrays())
    found = data.load(str(tmp_path / "own.npz"))
    assert (found.features, found.classes, found.scale) == (12, 3, 1.0)
    assert (len(found.train.labels), len(found.test.labels)) == (16, 4)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"y": None}, "no array 'y'"),
        ({"x": np.zeros(5)}, r"x has shape \(5,\)"),
        ({"x": nan_in_row(7)}, "x holds 1 NaN or infinite values, the first in row 7"),
        ({"y": np.arange(19) % 3}, "x has 20 samples, y 19"),
        ({"y": np.arange(20) - 1}, "label -1"),
        ({"y": np.linspace(0, 1, 20).astype(complex)}, "expected classes .whole numbers, one a sample. or numbers"),
        ({"y": np.array(["no", "yes"] * 10)}, "expected classes .whole numbers, one a sample. or numbers"),
        ({"y": np.zeros((20, 2), int)}, "expected classes .whole numbers, one a sample. or numbers"),
        ({"y": np.where(np.arange(20) == 3, np.nan, 0.5)}, "y holds 1 NaN or infinite values, the first in row 3"),
        ({"y": np.linspace(0, 1, 19)}, "x has 20 samples, y 19"),
        ({"y": np.zeros((20, 0))}, "expected a number, or several, a sample"),
        ({"y": np.zeros(20, int)}, "one class only"),
        ({"x_test": np.zeros((3, 12), np.float32)}, "x_test and y_test go together"),
        ({"x_test": np.zeros((3, 5), np.float32), "y_test": np.zeros(3, int)}, "x_test has 5 features"),
        ({"x_test": np.zeros((3, 12), np.float32), "y_test": np.full(3, 9)}, "y_test holds label 9"),
        ({"x": np.array([["a"] * 3] * 20)}, "expected numbers"),
        ({"x": np.array([[object()] * 3] * 20)}, "array .x. holds objects"),
    ],
)
def test_what_is_wrong_with_own_data_is_said(tmp_path: Path, changes: dict[str, Any], complaint: str) -> None:
    np.savez(tmp_path / "own.npz", **arrays(**changes))
    with pytest.raises(DataError, match=complaint):
        npz.load(tmp_path / "own.npz")


def test_files_that_are_not_npz_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(DataError, match=r"text\.npz: not a readable"):
        npz.load(tmp_path / "text.npz")
    with pytest.raises(DataError, match="not found"):
        npz.load(tmp_path / "nowhere.npz")


@pytest.mark.parametrize("limit", [0, 1438, -3])
def test_limits_beyond_the_data_are_refused(limit: int) -> None:
    with pytest.raises(ConfigError, match=r"data\.limit_train: .* 1 to 1437"):
        data.load("digits").limited(train=limit)


def test_an_unknown_set_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"data\.name: 'cifar' is not legal; one of digits, mnist"):
        data.load("cifar")
