"""Data sets: the bundled digits, MNIST and related sets, CIFAR, and users' own data in ``.npz`` or IDX files."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from dyadnet.data import cifar, digits, folder, mnist, npz
from dyadnet.data.dataset import Dataset, DataShape, Numbers, Split, image_target, minibatch, one_hot, validation_split
from dyadnet.data.denoising import denoising
from dyadnet.data.images import AugmentSpec
from dyadnet.data.memory import MEMORY, Data, MemorySpec, as_dataset
from dyadnet.errors import ConfigError, DataError, UsageError
from dyadnet.registry import Registry

__all__ = [
    "KNOWN",
    "KNOWN_IMAGES",
    "MEMORY",
    "SETS",
    "AugmentSpec",
    "Data",
    "DataShape",
    "Dataset",
    "Loader",
    "MemorySpec",
    "Numbers",
    "Split",
    "as_dataset",
    "available",
    "denoising",
    "image_target",
    "input_scale",
    "is_folder",
    "is_own",
    "load",
    "minibatch",
    "one_hot",
    "validation_split",
]


Loader = Callable[[Path | None], Data]
"""Function from the data folder that the user names, if any, to samples in any form that `as_dataset` accepts."""


def _problem(name: str, thing: Any) -> str | None:
    """Return what is wrong with a data set that is to be registered, or None."""
    if not callable(thing):
        return "it has to be a function load(data_dir) that returns (X, y), (X, y, X_test, y_test), pairs or a Dataset"
    if name == MEMORY or name.endswith(".npz") or Path(name).name != name:
        return "this name is taken for a path or for data in memory; choose another"
    return None


SETS: Registry[Loader] = Registry(
    "data",
    {
        "digits": lambda data_dir: digits.load(),
        **{name: partial(mnist.load, name) for name in mnist.IMAGE_SETS},
        **{name: partial(cifar.load, name) for name in cifar.CIFAR_SETS},
    },
    _problem,
)
"""Loaders of all data sets that have a name."""
KNOWN = tuple(SETS.built_in)
KNOWN_IMAGES: dict[str, tuple[int, int]] = {
    **{name: (mnist.SIDE**2, images.classes) for name, images in mnist.IMAGE_SETS.items()},
    **{name: (cifar.PIXELS, images.labels[-1]) for name, images in cifar.CIFAR_SETS.items()},
}
"""Number of features and classes of the published image sets, known without reading them."""


def load(name: str, data_dir: Path | None = None, dtype: str = "float64") -> Dataset:
    """Load a data set by name, or from an ``.npz`` file or a folder of IDX files.

    Parameters
    ----------
    data_dir
        Folder with image sets. A user's own file or folder that is no longer at its path is also looked up here.
    dtype
        Type in which the run computes.

    Raises
    ------
    ConfigError
        If there is no set of that name.
    DataError
        If the data cannot be found or read.
    """
    if name in SETS:
        return _named(name, SETS[name](data_dir), dtype)
    if name == MEMORY:
        raise DataError(
            "data.name: memory: these data were given in memory by a Python program, which has to give them again: "
            "dyadnet.resume(run, data=...) or dyadnet.evaluate(run, data=...)"
        )
    if name.endswith(".npz"):
        return npz.load(_place(name, data_dir), dtype)
    if is_own(name) and is_folder(place := _place(name, data_dir)):
        return folder.load(place)
    legal = f"one of {', '.join(SETS)}, a file ending in .npz, or a folder of IDX files"
    if Path(name).is_absolute():
        legal += "; if it is elsewhere now, name the folder it is in by --data-dir"
    else:
        legal += "; one of your own is registered by dyadnet.register first"
    raise ConfigError("data.name", name, legal)


def _named(name: str, found: Data, dtype: str) -> Dataset:
    """Convert the return value of a loader to a named data set, with the same checks as for data in memory."""
    try:
        loaded = replace(as_dataset(found, dtype), name=name)
    except DataError as problem:
        raise DataError(f"data set {name!r}: {str(problem).removeprefix('data: ')}") from None
    if loaded.names:
        # A run records class names only for data in memory.
        some = ", ".join(map(repr, loaded.names[:3]))
        raise DataError(f"data set {name!r}: its labels are {some}, …; expected whole numbers from 0 on, all of them")
    return loaded


def is_own(name: str) -> bool:
    """Whether a name is the path of a user's own data, and not the name of a known set."""
    return name != MEMORY and name not in SETS


def is_folder(path: str | Path) -> bool:
    """Whether a folder exists at this path. Paths that the system cannot look up count as absent."""
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):
        return False


def _place(name: str, data_dir: Path | None) -> Path:
    """Return the present path of a user's own data."""
    path = Path(name)
    with suppress(OSError, ValueError):
        if data_dir is not None and not path.exists() and (data_dir / path.name).exists():
            return data_dir / path.name
    return path


def input_scale(name: str, memory: MemorySpec | None = None) -> float | None:
    """Return the factor from a set's raw values to network inputs, or None if the set's file cannot be read.

    Parameters
    ----------
    memory
        Record of a set that was given in memory.
    """
    if memory is not None:
        return 1.0 / 255.0 if memory.dtype == "uint8" else 1.0
    if name in KNOWN_IMAGES:
        return mnist.SCALE
    try:
        return load(name).scale
    except UsageError:
        return None


def available(data_dir: Path | None = None) -> dict[str, str]:
    """Return where each set is found, without downloading anything."""
    found = {"digits": "bundled"}
    for name in KNOWN_IMAGES:
        place = (cifar if name in cifar.CIFAR_SETS else mnist).find(name, data_dir)
        found[name] = str(place) if place else "not found"
    for name in SETS:
        if name not in SETS.built_in:
            found[name] = f"registered by {getattr(SETS[name], '__module__', 'a program')}"
    return found
