"""The device imperfections of one block: parameter spreads that are fixed for the run, and noise.

Fixed draws are made for a whole population or projection. So they do not depend on the division into blocks.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.imperfections.device import Device, WeightPrecision
from dyadnet.network.activations import Activation
from dyadnet.network.description import Projection
from dyadnet.network.topology import BlockSlice
from dyadnet.numerics.quantization import quantised
from dyadnet.numerics.rng import Stream

Array = NDArray[Any]

AUTO_RANGE = 8.0
"""Default range of quantised weights, in standard deviations of the projection's initial weights."""


class DeviceModel:
    """The device of one block.

    Parameters
    ----------
    device
        Imperfections of the device.
    seed
        Seed of the run.
    spec
        The block.
    dtype
        Type of the block's numbers.

    Attributes
    ----------
    device
        Imperfections of the device.
    rates
        Speed factor exp(σξ) of each neuron; None if all are equal.
    gain, threshold
        g and t of each neuron in f(g(a − t)), shape (n,); None if all are 1, or 0.
    """

    def __init__(self, device: Device, seed: int, spec: BlockSlice, dtype: np.dtype[Any]) -> None:
        self.device = device

        def spread(purpose: str, sigma: float) -> NDArray[np.float64] | None:
            if sigma == 0:
                return None
            whole = Stream(seed, purpose, spec.population.name).at().standard_normal(spec.population.size)
            return sigma * whole[spec.start : spec.stop]

        speed = spread("time constant", device.time_constants.spread)
        gain = spread("gain", device.gain.spread)
        threshold = spread("threshold", device.threshold.spread)
        self.rates = None if speed is None else np.exp(speed)
        self.gain = None if gain is None else np.exp(gain).astype(dtype)
        self.threshold = None if threshold is None else threshold.astype(dtype)

    # Spreads

    def steps(self, step: float, out: Array) -> None:
        """Write η of each neuron to `out`: lognormal around `step`, at most 1 (or `step` if that is larger)."""
        out[...] = step if self.rates is None else np.minimum(step * self.rates, max(step, 1.0))

    def speeds(self, out: Array) -> None:
        """Write T/Tᵢ of each neuron to `out`. In real time, 1 − e^(−Δt/Tᵢ) takes the place of η."""
        out[...] = 1.0 if self.rates is None else self.rates

    def seen(self, A: Array) -> Array:
        """Return the effective mean pre-activation g(A − t), to which f is applied; `A` itself if neurons are equal."""
        if self.threshold is not None:
            A = A - self.threshold
        return A if self.gain is None else A * self.gain

    def scaled(self, D: Array) -> Array:
        """Return the effective half difference of pre-activations, gD."""
        return D if self.gain is None else D * self.gain

    def potential(self, activation: Activation, s: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return G with G′ the inverse of a ↦ f(g(a − t)): G₀(s)/g + ts."""
        found = np.asarray(activation.potential(s), dtype=np.float64)
        if self.gain is not None:
            found = found / self.gain
        return found if self.threshold is None else found + self.threshold * s

    def steepest(self, activation: Activation) -> float | NDArray[np.float64]:
        """Return the largest slope of each neuron's f, which is g·f′."""
        if self.gain is None:
            return activation.steepest
        return activation.steepest * self.gain.astype(np.float64)

    @property
    def reads(self) -> bool:
        """Whether read noise is present."""
        return not self.device.read_noise.ideal()


def programmed(
    weights: Array, precision: WeightPrecision, projection: Projection, fan_in: float, draws: Stream | None, count: int
) -> None:
    """Round weights to the levels of the device, in place.

    Parameters
    ----------
    projection, fan_in
        Needed for the automatic range.
    draws
        Random stream for stochastic rounding. None: round to the nearest level, which does not change weights that
        are already at a level.
    count
        Number of the update, which selects the draws.
    """
    if precision.bits is None:
        return
    limits = precision.range
    if limits is None:
        largest = AUTO_RANGE * (projection.gain or 1.0) / float(np.sqrt(fan_in))
        limits = (-largest, largest)
    uniform = None if draws is None else draws.at(count).random(weights.shape)
    weights[...] = quantised(weights, precision.bits, limits, uniform)
