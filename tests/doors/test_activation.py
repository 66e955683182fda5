"""Doors: what a program adds of its own, in a few lines, works on every engine to the same bits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dyadnet as dn
from dyadnet.network.activations import ACTIVATIONS, Smooth

SMALL: dict[str, Any] = {
    "data": {"name": "digits", "limit_train": 60, "limit_test": 20},
    "learning": {"epochs": 1, "minibatch": 20},
    "dynamics": {"sweeps": 6},
    "seed": 3,
}


def trained(folder: Path, engine: str, **sections: Any) -> dn.Run:
    """A short run."""
    cluster: dict[str, Any] = {"cluster": {"actors": 2}} if engine == "ray" else {}
    return dn.train(dn.RunConfig.read({**SMALL, "engine": engine, **cluster, **sections}), folder / engine)


@pytest.fixture
def softsign() -> Iterator[str]:
    """An activation of one's own."""
    value = lambda a: a / (1 + np.abs(a))  # noqa: E731
    slope = lambda a: 1 / (1 + np.abs(a)) ** 2  # noqa: E731
    potential = lambda s: -np.abs(s) - np.log1p(-np.abs(s))  # noqa: E731
    difference = lambda D, plus, minus: (plus - minus) / 2  # noqa: E731
    dn.register("activation", "softsign")(Smooth("softsign", 1.0, (-1.0, 1.0), value, slope, potential, difference))
    yield "softsign"
    ACTIVATIONS.forget("softsign")


@pytest.mark.usefixtures("ray_session")
def test_an_activation(softsign: str, tmp_path: Path) -> None:
    network = {"inputs": 64, "hidden": [8], "outputs": 10, "activation": softsign}
    runs = [trained(tmp_path, engine, network={"layered": network}) for engine in ("local", "ray")]
    assert runs[0].weights_sha256 == runs[1].weights_sha256
    network["activation"] = "tanh"
    assert trained(tmp_path / "other", "local", network={"layered": network}).weights_sha256 != runs[0].weights_sha256


def test_a_name_that_nobody_registered_is_refused() -> None:
    with pytest.raises(dn.ConfigError, match=r"activation: 'softsine' .*dyadnet.register"):
        dn.layered(64, [8], 10, activation="softsine")


def test_what_is_built_in_is_never_replaced() -> None:
    with pytest.raises(dn.UsageError, match="built in"):
        dn.register("activation", "tanh")(ACTIVATIONS["tanh"])
    with pytest.raises(dn.UsageError, match="there is no such kind"):
        dn.register("activations", "mine")
