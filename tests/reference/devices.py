"""The noise of a block's device, drawn anew at every firing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.imperfections import realized as devices
from dyadnet.imperfections.device import Device
from dyadnet.network.description import Projection
from dyadnet.network.topology import BlockSlice
from dyadnet.numerics.elementwise import row_norm
from dyadnet.numerics.rng import Stream
from tests.reference.clocks import Moment

Array = NDArray[Any]


class Hardware(devices.DeviceModel):
    """The device of one block, with its noise; parameters as in `dyadnet.imperfections.realized.DeviceModel`."""

    def __init__(self, device: Device, seed: int, spec: BlockSlice, dtype: np.dtype[Any]) -> None:
        super().__init__(device, seed, spec, dtype)
        self._seed = seed
        self._name = spec.name
        self._dtype = dtype
        self._streams: dict[str, Stream] = {}

    def read(
        self, key: str, projection: Projection, fan_in: int, x: Array, width: int, at: tuple[int, Moment]
    ) -> Array:
        """What one read of the synapses adds to their product with `x`.

        Parameters
        ----------
        key
            Which synapses, and in which direction.
        projection, fan_in
            For the scale: gain/√n_pre is the standard deviation of the initial weights.
        x
            Shape (streams, batch, n).
        width
            Neurons that the product is for.
        at
            Tick and moment that the draws are counted by.

        Returns
        -------
        Array
            Shape (streams, batch, width).
        """
        size = np.array([[[row_norm(row)] for row in stream] for stream in np.ascontiguousarray(x)])
        scale = self.device.read_noise.sigma * projection.gain / np.sqrt(fan_in)
        draws = self._generator("read noise", key, at).standard_normal((*x.shape[:2], width), dtype=self._dtype)
        noise: Array = draws * (scale * size).astype(self._dtype)
        return noise

    def nudge(self, mean: Array, difference: Array, at: tuple[int, Moment]) -> tuple[Array, Array]:
        """Mean and half difference of ∇ℓ(s±) + σξ±."""
        sigma = self.device.nudge_noise.sigma
        if sigma == 0:
            return mean, difference
        draws = self._generator("nudge noise", "", at).standard_normal((2, *mean.shape), dtype=mean.dtype)
        draws *= mean.dtype.type(0.5 * sigma)
        return mean + (draws[0] + draws[1]), difference + (draws[0] - draws[1])

    def _generator(self, purpose: str, key: str, at: tuple[int, Moment]) -> np.random.Generator:
        name = f"{purpose} {key}"
        if name not in self._streams:
            self._streams[name] = Stream(self._seed, purpose, self._name, key)
        tick, moment = at
        return self._streams[name].at(tick, moment.phase, moment.lane, moment.relaxation)
