"""MNIST and Fashion-MNIST, from a folder, or downloaded where the machine can."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dyadnet.data import idx
from dyadnet.data.dataset import Dataset, Split
from dyadnet.errors import DataError

ENVIRONMENT = "DYADNET_DATA"
TIMEOUT = 30.0
SCALE = 1.0 / 255.0
"""Seconds that a server may be silent."""

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
FILES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)


@dataclass(frozen=True)
class ImageSet:
    """A published image set: MD5 sums by file name (of the content, or of the published .gz), and its mirrors."""

    name: str
    checksums: dict[str, frozenset[str]]
    mirrors: tuple[str, ...]


IMAGE_SETS = {
    "mnist": ImageSet(
        "mnist",
        {
            TRAIN_IMAGES: frozenset({"6bbc9ace898e44ae57da46a324031adb"}),
            TRAIN_LABELS: frozenset({"a25bea736e30d166cdddb491f175f624"}),
            TEST_IMAGES: frozenset({"2646ac647ad5339dbf082846283269ea"}),
            TEST_LABELS: frozenset({"27ae3e4e09519cfbb04c329615203637"}),
        },
        ("https://ossci-datasets.s3.amazonaws.com/mnist/",),
    ),
    # The second sum of each file is of a redistribution with the images in another order within each part.
    "fashion-mnist": ImageSet(
        "fashion-mnist",
        {
            TRAIN_IMAGES: frozenset({"8d4fb7e6c68d591d4c3dfef9ec88bf0d", "248cb561b5b9e88f808dec53f25e429b"}),
            TRAIN_LABELS: frozenset({"25c81989df183df01b3e8a0aad5dffbe", "3dc8a3fb4f65c7ea8fd55c9c59602cbc"}),
            TEST_IMAGES: frozenset({"bef4ecab320f06d8554ea6380940ec79", "6a9c5123ede51163a28afca3d8236634"}),
            TEST_LABELS: frozenset({"bb300cfdad3c16e7a12a480ee83cd310", "59eacad9a205d7c5814b71a8c2c6d6bb"}),
        },
        ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
    ),
}


def load(name: str, data_dir: Path | None = None, mirrors: Sequence[str] | None = None) -> Dataset:
    """An image set, found in `data_dir`, else in ``$DYADNET_DATA``, else in the cache, else downloaded into it.

    Raises
    ------
    DataError
        If it is not where it was said to be, is damaged, or cannot be downloaded.
    """
    images = IMAGE_SETS[name]
    folder = find(name, data_dir)
    if folder is None:
        asked = _asked(data_dir)
        if asked is not None:
            where, root = asked
            raise DataError(f"{where} {root}: {name} is not here; expected {TRAIN_IMAGES}[.gz] in it or in {name}/")
        folder = cache() / name
        download(images, folder, mirrors or images.mirrors)

    def part(image_file: str, label_file: str) -> Split:
        pixels = idx.read(_path(folder, image_file), 3, images.checksums[image_file])
        labels = idx.read(_path(folder, label_file), 1, images.checksums[label_file])
        return Split(pixels.reshape(len(pixels), -1), labels.astype(np.int64))

    parts = part(TRAIN_IMAGES, TRAIN_LABELS), part(TEST_IMAGES, TEST_LABELS)
    return Dataset(name, *parts, SCALE, 10, shape=(1, 28, 28))


def find(name: str, data_dir: Path | None = None) -> Path | None:
    """The folder that holds all four files of a set, or None."""
    asked = _asked(data_dir)
    root = cache() if asked is None else asked[1]
    for folder in (root / name, root):
        if all(_path(folder, file).exists() for file in FILES):
            return folder
    return None


def cache() -> Path:
    """Where downloads are kept."""
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "dyadnet"
    except RuntimeError:
        # A user whom the system does not know, as containers have: no home, and nothing in it.
        return Path("/nonexistent/.cache/dyadnet")


def download(images: ImageSet, folder: Path, mirrors: Sequence[str]) -> None:
    """Fetch the four files of a set, each whole and verified or not at all.

    Raises
    ------
    DataError
        If no mirror answers with the right files.
    """
    problems: list[str] = []
    for mirror in mirrors:
        try:
            for file in FILES:
                _fetch(
                    f"{mirror}{file}.gz", folder / f"{file}.gz", images.checksums[file], 3 if "images" in file else 1
                )
        except (OSError, DataError, ValueError) as problem:
            reason = problem.reason if isinstance(problem, urllib.error.URLError) else problem
            problems.append(f"{mirror}: {reason}")
        else:
            return
    raise DataError(
        f"{images.name} cannot be downloaded ({'; '.join(problems)}); put {', '.join(FILES)} (plain or .gz) into a "
        f"folder and name it by --data-dir or {ENVIRONMENT}"
    )


def _fetch(url: str, path: Path, checksums: frozenset[str], dimensions: int) -> None:
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}")
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
            part.write_bytes(answer.read())
        idx.read(part, dimensions, checksums)
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)


def _asked(data_dir: Path | None) -> tuple[str, Path] | None:
    if data_dir is not None:
        return "--data-dir", Path(data_dir)
    root = os.environ.get(ENVIRONMENT)
    return (ENVIRONMENT, Path(root)) if root else None


def _path(folder: Path, file: str) -> Path:
    dotted = file.replace("-idx", ".idx")
    for name in (f"{file}.gz", file, f"{dotted}.gz", dotted):
        if (folder / name).exists():
            return folder / name
    return folder / f"{file}.gz"
