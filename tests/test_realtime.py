"""Delays in milliseconds: their laws, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dyadnet.dynamics import FreeRunning
from dyadnet.errors import ConfigError


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
    generator = np.random.default_rng(0)
    draws = np.array([delay.sample(generator) for _ in range(20_000)])
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
