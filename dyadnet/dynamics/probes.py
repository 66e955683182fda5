"""Probes: the compartments of chosen neurons, tick by tick."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

SERIES = ("plus", "minus", "mean", "difference")
"""Recorded series of each neuron: pre-activations a⁺ and a⁻, mean m and difference d."""


class Probe:
    """Records chosen neurons of one block, for chosen samples of one lane, at every firing.

    Parameters
    ----------
    neurons
        Indices within the block.
    samples
        Rows within the lane.
    """

    def __init__(self, neurons: Sequence[int], samples: Sequence[int]) -> None:
        self.neurons = np.asarray(neurons, dtype=np.int64)
        self.samples = np.asarray(samples, dtype=np.int64)
        self._ticks: list[int] = []
        self._values: list[NDArray[Any]] = []

    def note(self, tick: int, A: NDArray[Any], D: NDArray[Any], m: NDArray[Any], d: NDArray[Any]) -> None:
        """Record the state after the firing at a tick. Arrays have shape (batch, n)."""
        chosen = np.ix_(self.samples[self.samples < A.shape[0]], self.neurons)
        plus, minus = A[chosen] + D[chosen], A[chosen] - D[chosen]
        self._ticks.append(tick)
        self._values.append(np.stack((plus, minus, m[chosen], d[chosen])))

    def take(self) -> dict[str, NDArray[Any]]:
        """Return what was recorded, and start a new recording.

        Returns
        -------
        dict
            ``ticks`` of shape (firings,), and each of `SERIES` of shape (firings, samples, neurons).
        """
        ticks = np.asarray(self._ticks, dtype=np.int64)
        empty = np.zeros((0, 4, len(self.samples), len(self.neurons)), dtype=np.float32)
        values = np.stack(self._values) if self._values else empty
        self._ticks, self._values = [], []
        return {"ticks": ticks, **{name: values[:, index] for index, name in enumerate(SERIES)}}
