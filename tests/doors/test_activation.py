"""An activation of one's own, and what every registry refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import dyadnet as dn
from dyadnet.network.activations import ACTIVATIONS, Smooth
from tests.doors.support import alike, registered, trained


@pytest.fixture
def softsign() -> Iterator[str]:
    """An activation of one's own."""
    value = lambda a: a / (1 + np.abs(a))  # noqa: E731
    slope = lambda a: 1 / (1 + np.abs(a)) ** 2  # noqa: E731
    potential = lambda s: -np.abs(s) - np.log1p(-np.abs(s))  # noqa: E731
    difference = lambda D, plus, minus: (plus - minus) / 2  # noqa: E731
    own = Smooth("softsign", 1.0, (-1.0, 1.0), value, slope, potential, difference)
    with registered(ACTIVATIONS, "softsign", own) as name:
        yield name


@pytest.mark.usefixtures("ray_session")
def test_an_activation(softsign: str, tmp_path: Path) -> None:
    network = {"inputs": 64, "hidden": [8], "outputs": 10, "activation": softsign}
    run = alike(tmp_path, network={"layered": network})
    network["activation"] = "tanh"
    assert trained(tmp_path / "other", network={"layered": network}).weights_sha256 != run.weights_sha256


def test_a_name_that_nobody_registered_is_refused() -> None:
    with pytest.raises(dn.ConfigError, match=r"activation: 'softsine' .*dyadnet.register"):
        dn.layered(64, [8], 10, activation="softsine")


def test_what_is_built_in_is_never_replaced() -> None:
    with pytest.raises(dn.UsageError, match="built in"):
        dn.register("activation", "tanh")(ACTIVATIONS["tanh"])
    with pytest.raises(dn.UsageError, match="there is no such kind"):
        dn.register("activations", "mine")
