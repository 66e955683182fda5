"""Delays in milliseconds: their laws, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dyadnet.config import RunConfig
from dyadnet.config.dynamics import FreeRunning
from dyadnet.engines.group import Group
from dyadnet.errors import ConfigError
from dyadnet.numerics.kernels import compiled
from dyadnet.program.real_time import messages
from dyadnet.program.tables import C_KEY_DELAY
from dyadnet.program.views import state, tables


@compiled
def _delay(t, s, channel, number):  # type: ignore[no-untyped-def]
    return messages._delay(tables(t), state(s), channel, number, C_KEY_DELAY)


def drawn(law: Any, count: int) -> list[float]:
    """Milliseconds that messages of one channel take."""
    network = {"layered": {"inputs": 4, "hidden": [2], "outputs": 2}}
    config = RunConfig.read({"network": network, "engine": "ray", "dynamics": {"mode": {"kind": "free", "delay": law}}})
    group = Group(config, None, lambda work, items: [work(item) for item in items], 1)
    t, _, s, _ = group.lane(0).views
    return [1e-6 * _delay(t, s, 0, number) for number in range(1, count + 1)]


@pytest.mark.parametrize(
    ("law", "mean", "deviation", "largest"),
    [
        (7.5, 7.5, 0.0, 7.5),
        ({"kind": "uniform", "low": 2, "high": 5}, 3.5, 3 / np.sqrt(12), 5.0),
        ({"kind": "exponential", "mean": 4.0, "maximum": 1000}, 4.0, 4.0, 1000.0),
        ({"kind": "exponential", "mean": 4.0, "maximum": 0.001}, 0.001, 0.0, 0.001),
    ],
)
def test_laws_have_their_mean_and_variance(law: Any, mean: float, deviation: float, largest: float) -> None:
    delay = FreeRunning.read({"delay": law}).delay
    assert delay is not None
    assert delay.largest == largest
    draws = np.array(drawn(law, 20_000))
    assert 0 <= draws.min() <= draws.max() <= largest
    assert draws.mean() == pytest.approx(mean, abs=0.01 + 4 * deviation / np.sqrt(20_000))
    assert draws.std() == pytest.approx(deviation, abs=0.01, rel=0.05)


@pytest.mark.parametrize(
    ("law", "complaint"),
    [
        (-1, r"delay: -1"),
        ({"kind": "uniform", "low": 3, "high": 2}, "at least low"),
        ({"kind": "uniform", "low": -3, "high": 2}, r"delay\.low: -3"),
        ({"kind": "geometric", "p": 0.5}, "delay"),
        ({"kind": "exponential", "mean": 0, "maximum": 3}, r"delay\.mean: 0"),
    ],
)
def test_what_cannot_be_is_refused(law: Any, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        FreeRunning.read({"delay": law})
