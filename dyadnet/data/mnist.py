"""MNIST and related sets in IDX files, from a folder or downloaded."""

from __future__ import annotations

import re
import urllib.error
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dyadnet.data import idx
from dyadnet.data.dataset import Dataset, Split
from dyadnet.data.packed import REMEDY, md5
from dyadnet.data.places import ENVIRONMENT, asked, cache, fetch, folders
from dyadnet.errors import DataError

SCALE = 1.0 / 255.0
SIDE = 28
"""Height and width of the images, in pixels."""

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
FILES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)
QMNIST = tuple(
    f"qmnist-{part}-{kind}" for part in ("train", "test") for kind in ("images-idx3-ubyte", "labels-idx2-int")
)
COLUMNS = 8
"""Number of values that QMNIST stores per image; the class is the first."""


@dataclass(frozen=True)
class ImageSet:
    """A published image set.

    Attributes
    ----------
    checksums
        MD5 sums by file name.
    mirrors
        URLs from which its files can be downloaded; empty if they are published only as one archive.
    files
        Names of the files with training images, training labels, test images and test labels.
    classes
        Number of classes. Labels start at `first`.
    transposed
        Whether images are stored column by column.
    places
        Folders in which the set may be, besides one of its own name.
    strict
        Whether the checksums cover the content, or all published forms of it. If so, other content belongs to another
        set and is refused. If not, a file with another checksum is reported and used.
    """

    name: str
    checksums: dict[str, frozenset[str]]
    mirrors: tuple[str, ...]
    files: tuple[str, ...] = FILES
    classes: int = 10
    first: int = 0
    transposed: bool = False
    strict: bool = True
    places: tuple[str, ...] = field(default=())


def _emnist(split: str, classes: int, first: int = 0) -> ImageSet:
    files = tuple(
        f"emnist-{split}-{part}-{kind}"
        for part in ("train", "test")
        for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")
    )
    places = "emnist", "emnist/gzip", "gzip"
    return ImageSet(f"emnist-{split}", {}, (), files, classes, first, transposed=True, strict=False, places=places)


IMAGE_SETS = {
    one.name: one
    for one in (
        ImageSet(
            "mnist",
            {
                TRAIN_IMAGES: frozenset({"6bbc9ace898e44ae57da46a324031adb"}),
                TRAIN_LABELS: frozenset({"a25bea736e30d166cdddb491f175f624"}),
                TEST_IMAGES: frozenset({"2646ac647ad5339dbf082846283269ea"}),
                TEST_LABELS: frozenset({"27ae3e4e09519cfbb04c329615203637"}),
            },
            ("https://ossci-datasets.s3.amazonaws.com/mnist/",),
        ),
        # The second checksum of each file belongs to a redistribution with another order of images within each part.
        ImageSet(
            "fashion-mnist",
            {
                TRAIN_IMAGES: frozenset({"8d4fb7e6c68d591d4c3dfef9ec88bf0d", "248cb561b5b9e88f808dec53f25e429b"}),
                TRAIN_LABELS: frozenset({"25c81989df183df01b3e8a0aad5dffbe", "3dc8a3fb4f65c7ea8fd55c9c59602cbc"}),
                TEST_IMAGES: frozenset({"bef4ecab320f06d8554ea6380940ec79", "6a9c5123ede51163a28afca3d8236634"}),
                TEST_LABELS: frozenset({"bb300cfdad3c16e7a12a480ee83cd310", "59eacad9a205d7c5814b71a8c2c6d6bb"}),
            },
            ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        ),
        # The checksums below are of the .gz files only.
        ImageSet(
            "kmnist",
            {
                TRAIN_IMAGES: frozenset({"bdb82020997e1d708af4cf47b453dcf7"}),
                TRAIN_LABELS: frozenset({"e144d726b3acfaa3e44228e80efcd344"}),
                TEST_IMAGES: frozenset({"5c965bf0a639b31b8f53240b1b52f4d7"}),
                TEST_LABELS: frozenset({"7320c461ea6c1c855c0b718fb2a4b134"}),
            },
            ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
            strict=False,
        ),
        ImageSet(
            "qmnist",
            {
                QMNIST[0]: frozenset({"ed72d4157d28c017586c42bc6afe6370"}),
                QMNIST[1]: frozenset({"0058f8dd561b90ffdd0f734c6a30e5e4"}),
                QMNIST[2]: frozenset({"1394631089c404de565df7b7aeaf9412"}),
                QMNIST[3]: frozenset({"5b5b05890a5e13444e108efe57b788aa"}),
            },
            ("https://raw.githubusercontent.com/facebookresearch/qmnist/master/",),
            QMNIST,
            strict=False,
        ),
        _emnist("balanced", 47),
        _emnist("letters", 26, 1),
        _emnist("digits", 10),
        _emnist("mnist", 10),
        _emnist("byclass", 62),
        _emnist("bymerge", 47),
    )
}


def load(name: str, data_dir: Path | None = None, mirrors: Sequence[str] | None = None) -> Dataset:
    """Load an image set from `data_dir`, else from ``$DYADNET_DATA``, else from the cache, else download it into the
    cache.

    Raises
    ------
    DataError
        If the set is not in the named folder, is damaged, or cannot be downloaded.
    """
    images = IMAGE_SETS[name]
    folder = find(name, data_dir)
    if folder is None:
        named = asked(data_dir)
        if named is not None:
            where, root = named
            places = " or ".join(f"{place}/" for place in (name, *images.places[:1]))
            raise DataError(f"{where} {root}: {name} is not here; expected {images.files[0]}[.gz] in it or in {places}")
        folder = cache() / name
        download(images, folder, mirrors or images.mirrors)
    paths = [_path(folder, file) for file in images.files]
    train, test = (_part(images, paths[at : at + 2], images.files[at : at + 2]) for at in (0, 2))
    notes = () if images.strict else _unknown(images, paths)
    return Dataset(name, train, test, SCALE, images.classes, notes, shape=(1, SIDE, SIDE))


def find(name: str, data_dir: Path | None = None) -> Path | None:
    """Return the folder that holds all four files of a set, or None."""
    images = IMAGE_SETS[name]
    for folder in folders(data_dir, name, *images.places):
        if all(_path(folder, file).exists() for file in images.files):
            return folder
    return None


def download(images: ImageSet, folder: Path, mirrors: Sequence[str]) -> None:
    """Download the four files of a set. Each file is stored only if it is complete and verified.

    Raises
    ------
    DataError
        If no mirror delivers the correct files.
    """
    problems: list[str] = []
    for mirror in mirrors:
        try:
            for file in images.files:
                check = partial(_read, file=file, checksums=images.checksums[file])
                fetch(f"{mirror}{file}.gz", folder / f"{file}.gz", check)
        except (OSError, DataError, ValueError) as problem:
            reason = problem.reason if isinstance(problem, urllib.error.URLError) else problem
            problems.append(f"{mirror}: {reason}")
        else:
            return
    reasons = "; ".join(problems) or "its files are published in one archive only, gzip.zip"
    raise DataError(
        f"{images.name} cannot be downloaded ({reasons}); put {', '.join(images.files)} (plain or .gz) into a "
        f"folder and name it by --data-dir or {ENVIRONMENT}"
    )


def _part(images: ImageSet, paths: Sequence[Path], files: Sequence[str]) -> Split:
    sums = images.checksums if images.strict else {}
    pixels, labels = (_read(path, file, sums.get(file, frozenset())) for path, file in zip(paths, files, strict=True))
    pixels_at, labels_at = paths
    if pixels.shape[1:] != (SIDE, SIDE):
        found = f"its images are {pixels.shape[1]}×{pixels.shape[2]}, expected {SIDE}×{SIDE}"
        raise DataError(f"{pixels_at}: {found}; to train on images of another size name their folder: --data")
    if labels.ndim == 2:
        if labels.shape[1] != COLUMNS:
            raise DataError(f"{labels_at}: {labels.shape[1]} numbers an image, expected {COLUMNS}; {REMEDY}")
        labels = labels[:, 0]
    if not len(pixels) or len(pixels) != len(labels):
        found = f"{len(pixels)} images in it, {len(labels)} labels in {labels_at.name}"
        raise DataError(f"{pixels_at}: {found}; expected as many, and at least one; {REMEDY}")
    labels = labels.astype(np.int64) - images.first
    check_labels(labels_at, labels, images.classes, images.first)
    if images.transposed:
        pixels = pixels.transpose(0, 2, 1)
    return Split(np.ascontiguousarray(pixels).reshape(len(pixels), -1), labels)


def check_labels(path: Path, labels: NDArray[np.int64], classes: int, first: int = 0) -> None:
    """Check that labels, counted from 0, lie within the number of classes.

    Raises
    ------
    DataError
        Names the first wrong label, as it stands in the file.
    """
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if wrong.size:
        found = f"label {int(labels[wrong[0]]) + first} of image {int(wrong[0])}"
        raise DataError(f"{path}: {found}, expected {first} to {first + classes - 1}; {REMEDY}")


def _read(path: Path, file: str, checksums: frozenset[str]) -> NDArray[np.integer]:
    """Read an array of the kind that the file's name indicates."""
    dimensions = int(re.search(r"-idx(\d)", file)[1])  # type: ignore[index]
    return idx.read(path, dimensions, checksums, idx.INTEGERS if file.endswith("-int") else idx.BYTES)


def _unknown(images: ImageSet, paths: Sequence[Path]) -> tuple[str, ...]:
    """Return a note about files that may not be the published ones.

    Raises
    ------
    DataError
        If they belong to another set with the same file names.
    """
    sums = {path: md5(path) for path in paths}
    if not images.checksums:
        return (f"{images.name}: no checksums of its files are known; those in {paths[0].parent} are used as they are",)
    known = dict(zip(paths, images.files, strict=True))
    unknown = [path.name for path, found in sums.items() if found not in images.checksums[known[path]]]
    if not unknown:
        return ()
    for other in IMAGE_SETS.values():
        if other.strict and other.files == images.files:
            try:
                _read(paths[0], other.files[0], other.checksums[other.files[0]])
            except DataError:
                continue
            raise DataError(f"{paths[0]}: these are the images of {other.name}, not of {images.name}; check --data")
    return (
        f"{images.name}: {', '.join(unknown)} in {paths[0].parent}: not as published (of another MD5, or unpacked); "
        "used as they are",
    )


def _path(folder: Path, file: str) -> Path:
    dotted = file.replace("-idx", ".idx")
    for name in (f"{file}.gz", file, f"{dotted}.gz", dotted):
        if (folder / name).exists():
            return folder / name
    return folder / f"{file}.gz"
