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
    """Synthetic bytes with the statistics of handwritten digits: a fifth of the pixels lit, blurred in space."""
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
    """A chain of one model, with dynamics of choice."""
    network = layered(inputs, hidden, CLASSES, lam=MODELS[model], gain=gain, input_gain=1.4)
    return RunConfig.read(
        {"network": network, "dynamics": dynamics or {}, "learning": {"minibatch": minibatch}}, "bench"
    )


def machine() -> dict[str, Any]:
    """What was measured on."""
    return {"cores": os.cpu_count(), "processor": platform.processor() or platform.machine(), "numpy": np.__version__}


def sizes(text: str) -> tuple[int, list[int]]:
    """Inputs and hidden sizes of ``784-500-500-500-10``; the output size must be 10.

    Raises
    ------
    ConfigError
        If it is not written so.
    """
    try:
        inputs, *hidden, outputs = (int(part) for part in text.split("-"))
    except ValueError:
        raise ConfigError("--network", text, "sizes with dashes, such as 784-500-500-500-10") from None
    if outputs != CLASSES or not hidden or min(inputs, *hidden) < 1:
        raise ConfigError("--network", text, f"at least one hidden layer, positive sizes, and {CLASSES} outputs")
    return inputs, hidden


def numbers(flag: str, text: str) -> list[int]:
    """Positive whole numbers of ``4,16,64``.

    Raises
    ------
    ConfigError
        If it is not written so, naming the flag.
    """
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or min(found) < 1:
        raise ConfigError(flag, text, "positive whole numbers with commas between")
    return found


def known(flag: str, model: str) -> str:
    """A model's name.

    Raises
    ------
    ConfigError
        If there is no such model, naming the flag.
    """
    if model not in MODELS:
        raise ConfigError(flag, model, f"one of {', '.join(MODELS)}")
    return model
