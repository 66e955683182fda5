"""A trained network that settles on given inputs, with ideal channels and in float64.

An analysis concerns the equilibrium and not the path to it. Clocks, delays and imperfections of the run that trained
the weights are therefore not used.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.config import RunConfig
from dyadnet.data import Dataset, Numbers, Split
from dyadnet.dynamics.outcome import Outcome
from dyadnet.dynamics.request import Phase, Relaxation
from dyadnet.engines.local import LocalEngine
from dyadnet.network.description import Network
from dyadnet.network.losses import LOSSES
from dyadnet.runs.weights import Parameters
from dyadnet.training.coordinator import COLD_ITERATIONS

Array = NDArray[np.float64]
Bound = float | Array
TIGHT: dict[str, Any] = {
    "dtype": "float64",
    "tolerance": 1e-6,
    "tolerance_difference": 1e-4,
    "patience": 2000,
    "sweeps": 5000,
    "nudged_sweeps": 5000,
}
"""Dynamics settings for linear algebra: the network settles so far that the rest of the path is negligible."""
CLOSE = TIGHT | {"tolerance": 1e-3, "tolerance_difference": 1e-2, "sweeps": 500, "nudged_sweeps": 200}
"""Dynamics settings for predictions and signs of gradients, which need no more precision than learning."""


def network_at(network: Network, couplings: tuple[float, ...]) -> Network:
    """Return the same network with the λ of each projection that corresponds to its κ."""
    kappa = dict(zip((p.name for p in network.recurrent), couplings, strict=True))
    projections = tuple(p if p.from_input else replace(p, lam=(kappa[p.name] + 1.0) / 2.0) for p in network.projections)
    return replace(network, projections=projections)


FARTHEST = 8.0
"""Number of standard deviations within which noise practically always lies."""


def ideal(config: RunConfig, couplings: tuple[float, ...], **dynamics: Any) -> RunConfig:
    """Return a configuration of the same network at fixed κ, with ideal dynamics except for the given settings."""
    values = {"network": network_at(config.network, couplings), "data": config.data, "engine": "local"}
    return RunConfig.read(values | {"dynamics": TIGHT | dynamics, "seed": config.seed})


def inputs_of(dataset: Dataset, part: str, rows: NDArray[np.int64]) -> tuple[Array, NDArray[Any]]:
    """Return network inputs (in input units, shape (rows, features)) and targets of some rows of a part.

    Targets are labels of shape (rows,), or numbers of shape (rows, outputs).
    """
    split = dataset.part(part)
    targets = split.labels[rows]
    if dataset.numbers is not None:
        targets = dataset.targets(split, rows, np.dtype(np.float64))
    return dataset.inputs(part, rows, np.dtype(np.float64)), targets


def input_range(dataset: Dataset) -> tuple[Bound, Bound]:
    """Return the smallest and largest input of the training part, in input units, extended by the range of its noise.

    Each is one number. If inputs are normalised, each is an array with the value of each feature's channel, shape
    (features,).
    """
    images, normalisation, room = dataset.train.images, dataset.normalisation, FARTHEST * dataset.noise
    if normalisation is None:
        return float(images.min()) * dataset.scale - room, float(images.max()) * dataset.scale + room
    by_channel = images.reshape(len(images), len(normalisation.mean), -1)
    ends = (by_channel.min(axis=(0, 2)), by_channel.max(axis=(0, 2)))
    low, high = (np.repeat(end * dataset.scale, by_channel.shape[2])[None] for end in ends)
    return normalisation.of(low - room)[0], normalisation.of(high + room)[0]


@dataclass(frozen=True)
class Settled:
    """The equilibrium of the network for a batch of inputs.

    Attributes
    ----------
    outputs
        m of the output population, shape (batch, classes).
    slopes
        f′ of every neuron at the equilibrium, shape (batch, neurons), in block order.
    losses
        ℓ of each sample.
    outcome
        Outcome of the relaxation.
    """

    outputs: Array
    slopes: Array
    losses: Array
    outcome: Outcome


class Trained:
    """A network with given weights that settles on any inputs.

    Parameters
    ----------
    config
        A configuration from `ideal`.
    parameters
        Arrays by block, then by name.

    Attributes
    ----------
    capped
        Number of phases so far that reached their cap unsettled; their results are those of the state at the cap.
    """

    def __init__(self, config: RunConfig, parameters: Parameters) -> None:
        self.config = config
        self.features, self.classes = config.network.inputs, config.network.classes
        nothing = np.zeros((1, self.features)), np.zeros(1, dtype=np.int64)
        self.engine = LocalEngine(config, self._dataset(*nothing))
        self.engine.load(parameters)
        self.couplings = tuple(p.coupling for p in config.network.recurrent)
        self.radius = self.engine.spectral_radius(self.couplings, self.engine.timing.operator, 2 * COLD_ITERATIONS)
        self.step = self.engine.timing.rule.step(self.radius)
        self.gamma = self.engine.timing.rule.gamma(self.radius)
        self._free = Phase("free", 0.0, config.dynamics.sweeps)
        self.capped = 0
        self._number = 0

    def settle(self, inputs: Array, targets: NDArray[Any]) -> Settled:
        """Settle without a nudge and return the equilibrium.

        Parameters
        ----------
        inputs
            Shape (batch, features), in input units.
        targets
            Labels of shape (batch,), or numbers of shape (batch, outputs).
        """
        outcome = self._relax(inputs, targets, self._free)
        lanes = [self.engine.lanes(name)[0] for name in self.engine.blocks]
        slopes = np.concatenate([lane.block.activation.slope(lane.A) for lane in lanes], axis=1)
        output = next(lane for lane in lanes if lane.block.is_output)
        assert output.targets is not None
        state = output.state[0]
        losses = LOSSES[self.config.network.loss].value(state, output.targets)
        return Settled(state, slopes, losses, outcome)

    def nudge(self, inputs: Array, targets: NDArray[Any], beta: float) -> Outcome:
        """Settle freely, then nudged by β. The differences remain in the engine's lanes."""
        return self._relax(inputs, targets, self._free, Phase("nudged", beta, self.config.dynamics.nudged_sweeps))

    def input_gradient(self, inputs: Array, targets: NDArray[Any], beta: float) -> Array:
        """Return ∂ℓ/∂x ≈ −(1/β) θ₀ᵀd₁ of each sample, shape (batch, features), local to blocks that read the input."""
        self.nudge(inputs, targets, beta)
        total = np.zeros_like(inputs)
        for name, block in self.engine.blocks.items():
            if block.entry is not None:
                total += block.entry.transposed(self.engine.lanes(name)[0].state[1], inputs)
        return -total / beta

    def close(self) -> None:
        """Close the engine."""
        self.engine.close()

    def _relax(self, inputs: Array, targets: NDArray[Any], *phases: Phase) -> Outcome:
        self._number += 1
        self.engine.show(self._dataset(inputs, targets))
        rows = np.arange(len(targets))
        relaxation = Relaxation(self._number, "test", rows, phases, self.couplings, self.step, gamma=self.gamma)
        outcome = self.engine.relax(relaxation)
        self.capped += outcome.capped
        return outcome

    def _dataset(self, inputs: Array, targets: NDArray[Any]) -> Dataset:
        split = Split(inputs, targets)
        if targets.ndim == 1:
            return Dataset("given", split, split, 1.0, self.classes)
        numbers = Numbers(targets.shape[1:], float(targets.min()), float(targets.max()))
        return Dataset("given", split, split, 1.0, 0, numbers=numbers)
