"""Networks, data and configurations that the benchmarks share."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from typing import Any

import numpy as np

from dyadnet.config import RunConfig
from dyadnet.data import Dataset, Split
from dyadnet.errors import ConfigError
from dyadnet.network.description import MODELS, layered

CLASSES = 10


def images(inputs: int, samples: int, seed: int = 0) -> Dataset:
    """Create synthetic bytes with statistics similar to handwritten digits: a fifth of the pixels are nonzero."""
    generator = np.random.Generator(np.random.Philox(seed))
    pixels = generator.random((samples, inputs))
    pixels = np.where(pixels > 0.81, 255 * generator.random((samples, inputs)), 0).astype(np.uint8)
    labels = generator.integers(0, CLASSES, samples)
    split = Split(pixels, labels)
    return Dataset("synthetic", split, split, 1.0 / 255.0, CLASSES)


def configuration(
    model: str,
    inputs: int,
    hidden: Sequence[int],
    *,
    gain: float = 1.4,
    minibatch: int = 128,
    dynamics: dict[str, Any] | None = None,
) -> RunConfig:
    """Return the configuration of a chain of one model, with the given dynamics settings."""
    network = layered(inputs, hidden, CLASSES, lam=MODELS[model], gain=gain, input_gain=1.4)
    return RunConfig.read(
        {"network": network, "dynamics": dynamics or {}, "learning": {"minibatch": minibatch}}, "bench"
    )


def machine() -> dict[str, Any]:
    """Describe this machine: cores, processor and NumPy version."""
    return {"cores": os.cpu_count(), "processor": platform.processor() or platform.machine(), "numpy": np.__version__}


def sizes(text: str) -> tuple[int, list[int]]:
    """Parse input and hidden sizes from a text such as ``784-500-500-500-10``; the output size must be 10.

    Raises
    ------
    ConfigError
        If the text does not have this form.
    """
    try:
        inputs, *hidden, outputs = (int(part) for part in text.split("-"))
    except ValueError:
        raise ConfigError("--network", text, "sizes with dashes, such as 784-500-500-500-10") from None
    if outputs != CLASSES or not hidden or min(inputs, *hidden) < 1:
        raise ConfigError("--network", text, f"at least one hidden layer, positive sizes, and {CLASSES} outputs")
    return inputs, hidden


def numbers(flag: str, text: str) -> list[int]:
    """Parse positive whole numbers from a text such as ``4,16,64``.

    Raises
    ------
    ConfigError
        If the text does not have this form; the error names the flag.
    """
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or min(found) < 1:
        raise ConfigError(flag, text, "positive whole numbers with commas between")
    return found


def known(flag: str, model: str) -> str:
    """Check and return a model's name.

    Raises
    ------
    ConfigError
        If there is no such model; the error names the flag.
    """
    if model not in MODELS:
        raise ConfigError(flag, model, f"one of {', '.join(MODELS)}")
    return model
