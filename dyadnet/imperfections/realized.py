"""The neurons and synapses of one block as a device has them: spreads fixed for the run, and noise drawn anew.

Fixed draws are made for a whole population or projection, so that they are the same however it is split into blocks.
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
"""Range of weights of few bits, in standard deviations of the projection's initial weights."""


class DeviceModel:
    """The device of one block.

    Parameters
    ----------
    device
        Its imperfections.
    seed
        Of the run.
    spec
        The block.
    dtype
        Of the block's numbers.

    Attributes
    ----------
    device
        As given.
    rates
        exp(σξ) of each neuron, by which it is faster; None if all are alike.
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
        """η of each neuron: lognormal around `step`, at most 1 (or `step` if that is larger)."""
        out[...] = step if self.rates is None else np.minimum(step * self.rates, max(step, 1.0))

    def speeds(self, out: Array) -> None:
        """T/Tᵢ of each neuron: in real time, 1 − e^(−Δt/Tᵢ) takes the place of η."""
        out[...] = 1.0 if self.rates is None else self.rates

    def seen(self, A: Array) -> Array:
        """The mean pre-activation that f is applied to, g(A − t); `A` itself if neurons are all alike."""
        if self.threshold is not None:
            A = A - self.threshold
        return A if self.gain is None else A * self.gain

    def scaled(self, D: Array) -> Array:
        """The half difference of pre-activations that f is applied to, gD."""
        return D if self.gain is None else D * self.gain

    def potential(self, activation: Activation, s: NDArray[np.floating]) -> NDArray[np.float64]:
        """G with G′ the inverse of a ↦ f(g(a − t)): G₀(s)/g + ts."""
        found = np.asarray(activation.potential(s), dtype=np.float64)
        if self.gain is not None:
            found = found / self.gain
        return found if self.threshold is None else found + self.threshold * s

    def steepest(self, activation: Activation) -> float | NDArray[np.float64]:
        """Largest slope of each neuron's f, which is g·f′."""
        if self.gain is None:
            return activation.steepest
        return activation.steepest * self.gain.astype(np.float64)

    @property
    def reads(self) -> bool:
        """Whether reading synapses adds noise."""
        return not self.device.read_noise.ideal()


def programmed(
    weights: Array, precision: WeightPrecision, projection: Projection, fan_in: float, draws: Stream | None, count: int
) -> None:
    """Put weights onto the levels that the device has, in place.

    Parameters
    ----------
    projection, fan_in
        For the automatic range.
    draws
        Of stochastic rounding; None: to the nearest level, which leaves weights that are on one as they are.
    count
        Number of the update, by which draws are counted.
    """
    if precision.bits is None:
        return
    limits = precision.range
    if limits is None:
        largest = AUTO_RANGE * (projection.gain or 1.0) / float(np.sqrt(fan_in))
        limits = (-largest, largest)
    uniform = None if draws is None else draws.at(count).random(weights.shape)
    weights[...] = quantised(weights, precision.bits, limits, uniform)
