"""Data sets: bundled digits, MNIST and Fashion-MNIST in IDX format, and a user's own ``.npz``."""

from __future__ import annotations

from pathlib import Path

from dyadnet.data import digits, mnist, npz
from dyadnet.data.dataset import Dataset, DataShape, Split, minibatch, one_hot, validation_split
from dyadnet.errors import ConfigError, UsageError

__all__ = [
    "DataShape",
    "Dataset",
    "Split",
    "available",
    "input_scale",
    "load",
    "minibatch",
    "one_hot",
    "validation_split",
]


def load(name: str, data_dir: Path | None = None) -> Dataset:
    """A data set by name, or from an ``.npz`` file.

    Raises
    ------
    ConfigError
        If there is no set of that name.
    DataError
        If it cannot be found or read.
    """
    if name == "digits":
        return digits.load()
    if name in mnist.IMAGE_SETS:
        return mnist.load(name, data_dir)
    if name.endswith(".npz"):
        return npz.load(Path(name))
    raise ConfigError("data.name", name, f"one of digits, {', '.join(mnist.IMAGE_SETS)}, or a file ending in .npz")


def input_scale(name: str) -> float | None:
    """What raw values of a set are multiplied by to become network inputs; None if its file is not there to tell."""
    if name in mnist.IMAGE_SETS:
        return mnist.SCALE
    try:
        return load(name).scale
    except UsageError:
        return None


def available(data_dir: Path | None = None) -> dict[str, str]:
    """Where each set is found, without downloading anything."""
    found = {"digits": "bundled"}
    for name in mnist.IMAGE_SETS:
        folder = mnist.find(name, data_dir)
        found[name] = str(folder) if folder else f"not found (--data-dir, {mnist.ENVIRONMENT} or {mnist.cache()})"
    return found
