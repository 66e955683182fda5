"""CIFAR-10 and CIFAR-100 in their binary version: batch files, plain or gzipped, or the published archive.

A record is one label (CIFAR-100: a coarse label, then the fine label, which is used) and 3·32·32 bytes, channel by
channel. The pickled Python version is never read, because unpickling a file can execute arbitrary code.
"""

from __future__ import annotations

import tarfile
import urllib.error
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dyadnet.data.dataset import Dataset, Split
from dyadnet.data.mnist import SCALE, check_labels
from dyadnet.data.packed import REMEDY, foreign, md5, opened
from dyadnet.data.places import ENVIRONMENT, asked, cache, fetch, folders
from dyadnet.errors import DataError
from dyadnet.files.access import regular

SHAPE = (3, 32, 32)
PIXELS = 3 * 32 * 32
_MOST = 1 << 30
"""Upper limit of a file of records, in bytes. Real files are far smaller."""
_PICKLED = ("data_batch_1", "train", "cifar-10-batches-py", "cifar-100-python", "{}-python.tar.gz")
"""File and folder names of the pickled Python version."""

Contents = dict[str, bytes]
"""Content of files of records, by file name."""


@dataclass(frozen=True)
class CifarSet:
    """A published CIFAR set.

    Attributes
    ----------
    train, test
        Names of its files of records.
    images
        Number of training images and of test images.
    labels
        Number of classes of each label in a record. The last label is used.
    folder
        Name of the folder in the archive.
    checksum
        MD5 of the archive.
    """

    name: str
    train: tuple[str, ...]
    test: str
    images: tuple[int, int]
    labels: tuple[int, ...]
    folder: str
    checksum: str

    @property
    def archive(self) -> str:
        """File name of the archive."""
        return f"{self.name}-binary.tar.gz"

    @property
    def record(self) -> int:
        """Size of a record in bytes."""
        return len(self.labels) + PIXELS


CIFAR_SETS = {
    one.name: one
    for one in (
        CifarSet(
            "cifar-10",
            tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
            "test_batch.bin",
            (50_000, 10_000),
            (10,),
            "cifar-10-batches-bin",
            "c32a1d4ab5d03f1284b67883e8d87530",
        ),
        CifarSet(
            "cifar-100",
            ("train.bin",),
            "test.bin",
            (50_000, 10_000),
            (20, 100),
            "cifar-100-binary",
            "03b5dce01913d631647c71ecec9e9cb8",
        ),
    )
}
MIRROR = "https://www.cs.toronto.edu/~kriz/"


def load(name: str, data_dir: Path | None = None, mirror: str = MIRROR) -> Dataset:
    """Load a set from `data_dir`, else from ``$DYADNET_DATA``, else from the cache, else download it into the cache.

    An incomplete set is used, too, if it has the test file and at least one training file. A note then states its
    size.

    Raises
    ------
    DataError
        If the set is not in the named folder, is pickled, damaged or of another kind, or cannot be downloaded.
    """
    images = CIFAR_SETS[name]
    place = find(name, data_dir)
    if place is None:
        _refuse_pickled(images, data_dir)
        named = asked(data_dir)
        if named is not None:
            where, root = named
            legal = f"{images.test}[.gz] and {images.train[0]}[.gz], or {images.archive}, in it or in {name}/"
            raise DataError(f"{where} {root}: {name} is not here; expected {legal}")
        place = _download(images, mirror)
    contents, note = _archived(images, place) if place.is_file() else _batches(images, place)
    train = [_records(images, place / file, contents[file]) for file in images.train if file in contents]
    test = _records(images, place / images.test, contents[images.test])
    pixels, labels = (np.concatenate(parts) for parts in zip(*train, strict=True))
    found = len(labels), len(test[1])
    if found != images.images or note:
        sizes = " and ".join(
            f"{count:,} of {all_:,} images to {what} on"
            for count, all_, what in zip(found, images.images, ("train", "test"), strict=True)
        )
        files = "" if len(train) == len(images.train) else f", in {len(train)} of {len(images.train)} batches"
        note = f"{name}: {place}: {sizes}{files}{note}"
    notes = (note,) if note else ()
    return Dataset(name, Split(pixels, labels), Split(*test), SCALE, images.labels[-1], notes, shape=SHAPE)


def find(name: str, data_dir: Path | None = None) -> Path | None:
    """Return the folder with files of records, or the path of the archive, or None if neither exists."""
    images = CIFAR_SETS[name]
    for folder in folders(data_dir, name, f"{name}/{images.folder}", images.folder):
        if any(_path(folder, file) for file in (*images.train, images.test)):
            return folder
        if (folder / images.archive).is_file():
            return folder / images.archive
    return None


def _path(folder: Path, file: str) -> Path | None:
    return next((path for path in (folder / file, folder / f"{file}.gz") if path.exists()), None)


def _refuse_pickled(images: CifarSet, data_dir: Path | None) -> None:
    for folder in folders(data_dir, images.name):
        for file in _PICKLED:
            path = folder / file.format(images.name)
            if path.exists() and ("batch" in file) <= (images.name == "cifar-10"):
                remedy = f"it is never read, since a pickle can execute anything; fetch {MIRROR}{images.archive}"
                raise DataError(f"{path}: this is the pickled version of {images.name}; {remedy}")


def _download(images: CifarSet, mirror: str) -> Path:
    path = cache() / images.name / images.archive

    def check(part: Path) -> None:
        if (found := md5(part)) != images.checksum:
            raise DataError(f"its MD5 is {found}, expected {images.checksum}")

    try:
        fetch(f"{mirror}{images.archive}", path, check)
    except (OSError, DataError, ValueError) as problem:
        reason = problem.reason if isinstance(problem, urllib.error.URLError) else problem
        raise DataError(
            f"{images.name} cannot be downloaded ({mirror}: {reason}); put {images.archive}, or the files in it, into "
            f"a folder and name it by --data-dir or {ENVIRONMENT}"
        ) from None
    return path


def _batches(images: CifarSet, folder: Path) -> tuple[Contents, str]:
    """Read the files of records in a folder. Return them with a note for the user."""
    paths = {file: path for file in (*images.train, images.test) if (path := _path(folder, file))}
    _need(images, folder, paths)
    contents = {}
    for file, path in paths.items():
        with opened(path) as (opened_file, most):
            contents[file] = _bounded(path, opened_file.read(min(most, _MOST) + 1))
    return contents, "; no checksums of single files are published, they are used as they are"


def _archived(images: CifarSet, path: Path) -> tuple[Contents, str]:
    """Read the files of records in an archive. Return them with a note if the archive is not the published one."""
    contents: Contents = {}
    others = []
    try:
        with regular(path) as file, tarfile.open(fileobj=file, mode="r:*") as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                if name not in (*images.train, images.test):
                    others.append(name)
                elif (found := archive.extractfile(member)) is not None:
                    contents[name] = _bounded(path / name, found.read(_MOST + 1))
    except (tarfile.TarError, EOFError, zlib.error, OSError) as problem:
        got = f"damaged or truncated archive, or none, {len(contents)} files of records came of it ({problem})"
        raise DataError(f"{path}: {got}; {REMEDY}") from None
    if not contents and {"data_batch_1", "train"} & set(others):
        raise DataError(f"{path}: this is the pickled version, which is never read; fetch {MIRROR}{images.archive}")
    _need(images, path, contents)
    found_md5 = md5(path)
    return contents, "" if found_md5 == images.checksum else f"; not the published archive (its MD5 is {found_md5})"


def _need(images: CifarSet, place: Path, there: Iterable[str]) -> None:
    files = list(there)
    if images.test not in files or len(files) < 2:
        found = ", ".join(files) or "no file of records"
        legal = f"{images.test} and {'at least one of ' if len(images.train) > 1 else ''}{', '.join(images.train)}"
        raise DataError(f"{place}: {found} in it; expected {legal}")


def _bounded(path: Path, content: bytes) -> bytes:
    if len(content) > _MOST:
        raise DataError(f"{path}: more than {_MOST:,} bytes, which no file of this set has; {REMEDY}")
    return content


def _records(images: CifarSet, path: Path, content: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Parse a file of records. Return pixels, shape (images, 3·32·32), and labels."""
    size, kinds = images.record, len(images.labels)
    if not content or len(content) % size:
        labels = "1 label" if kinds == 1 else f"{kinds} labels"
        legal = f"records of {size:,} ({labels}, 3×32×32 pixels), so a multiple of that, and at least one"
        raise DataError(f"{path}: {len(content):,} bytes{foreign(content)}; expected {legal}; {REMEDY}")
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, size)
    for column, classes in enumerate(images.labels):
        try:
            check_labels(path, records[:, column].astype(np.int64), classes)
        except DataError as problem:
            raise DataError(f"{problem}{foreign(content)}") from None
    return np.ascontiguousarray(records[:, kinds:]), records[:, kinds - 1].astype(np.int64)
