"""Users' own image sets in four IDX files that are named like those of MNIST or EMNIST."""

from __future__ import annotations

import re
from pathlib import Path

from dyadnet.data import idx
from dyadnet.data.cifar import CIFAR_SETS, find
from dyadnet.data.dataset import Dataset
from dyadnet.data.own import Part, dataset
from dyadnet.errors import DataError

_NAMES = {"train": "train", "test": "(?:t10k|test)"}


def load(folder: Path) -> Dataset:
    """Load the set in a folder. Any content is accepted.

    Raises
    ------
    DataError
        If a file is missing, damaged, present twice, or does not match the others.
    """
    train, test = (tuple(_read(folder, part, kind) for kind in ("images", "labels")) for part in _NAMES)
    return dataset(str(folder), folder.resolve().name, train[0], train[1], (test[0], test[1]))


def _read(folder: Path, part: str, kind: str) -> Part:
    dimensions = 3 if kind == "images" else 1
    legal = re.compile(rf"(?:.*-)?{_NAMES[part]}-{kind}[-.]idx{dimensions}-ubyte(?:\.gz)?")
    try:
        found = {path.name.removesuffix(".gz"): path for path in sorted(folder.iterdir()) if legal.fullmatch(path.name)}
    except OSError as problem:
        raise DataError(f"{folder}: it cannot be read ({problem.strerror}); check --data") from None
    for name in CIFAR_SETS:
        if not found and find(name, folder) is not None:
            raise DataError(f"{folder}: it holds {name}, which has a name: --data {name} --data-dir {folder}")
    if len(found) != 1:
        what = (
            f"several files of {kind} to {part} on ({', '.join(found)})" if found else f"no file of {kind} to {part} on"
        )
        example = f"{'train' if part == 'train' else 't10k'}-{kind}-idx{dimensions}-ubyte[.gz]"
        raise DataError(f"{folder}: {what}; one set in four IDX files is expected, {example} among them")
    path = next(iter(found.values()))
    return path.name, idx.read(path, dimensions)
