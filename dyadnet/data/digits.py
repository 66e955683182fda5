"""The bundled 8×8 handwritten digits of UCI optdigits; see ``DIGITS.md`` beside the file for their licence."""

from __future__ import annotations

from importlib import resources

import numpy as np

from dyadnet.data.dataset import Dataset, Split

_SPLIT_SEED = 0
_TRAIN = 1437


def load() -> Dataset:
    """Load the 1,797 digits, split 80/20 by a fixed permutation that does not depend on the run's seed."""
    with (resources.files("dyadnet.data") / "digits.npz").open("rb") as file, np.load(file, allow_pickle=False) as data:
        images, labels = data["x"], data["y"].astype(np.int64)
    order = np.random.Generator(np.random.Philox(_SPLIT_SEED)).permutation(len(labels))
    train, test = order[:_TRAIN], order[_TRAIN:]
    parts = Split(images[train], labels[train]), Split(images[test], labels[test])
    return Dataset("digits", *parts, 1.0 / 16.0, 10, shape=(1, 8, 8))
