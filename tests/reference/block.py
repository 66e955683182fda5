"""A block that learns from what its neurons hold, and knows whether a relaxation is ideal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.imperfections.device import Device
from dyadnet.learning import block
from dyadnet.learning.projections import Synapses
from dyadnet.learning.update import Update
from dyadnet.timing.alternating import sides
from tests.reference.contrast import contrasts
from tests.reference.devices import Hardware
from tests.reference.products import outer_product

if TYPE_CHECKING:
    from tests.reference.dyads import Dyads

Array = NDArray[Any]


@dataclass
class Block(block.Block):
    """One block of the network; parameters as in `dyadnet.learning.block.Block`.

    Attributes
    ----------
    ideal
        Whether the present relaxation is to be ideal but for the weights' levels.
    actual, ideal_device
        The devices of other relaxations, and of ideal ones.
    """

    ideal: bool = field(default=False, init=False)
    actual: Hardware = field(init=False)
    ideal_device: Hardware = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.actual = Hardware(self.device, self.seed, self.spec, self.dtype)
        self.ideal_device = Hardware(Device(), self.seed, self.spec, self.dtype)
        self._couplings = tuple(projection.coupling for projection in self.topology.network.recurrent)
        self._sides: dict[str, int] | None = None
        self._scratch: dict[str, Array] = {}

    @property
    def hardware(self) -> Hardware:
        """The device that the present relaxation runs on."""
        return self.ideal_device if self.ideal else self.actual

    def backward(self, synapses: Synapses) -> Array:
        """θ as feedback is read from it."""
        return synapses.weights if self.ideal else synapses.backward

    def couple(self, couplings: Sequence[float], *, ideal: bool = False) -> None:
        """Set κ of every projection that touches this block, and whether what follows is to be ideal."""
        self.ideal = ideal
        if tuple(couplings) != self._couplings:
            self._couplings, self._sides = tuple(couplings), None
        super().couple(couplings)

    @property
    def sides(self) -> Mapping[str, int]:
        """σ of this block's population and of those that it hears, where compartments take turns."""
        if self._sides is None:
            self._sides = sides(self.topology.network, self._couplings)
        return self._sides

    def gradients(self, lanes: Sequence[Dyads], beta: float, samples: int) -> dict[str, Array]:
        """∂ℓ/∂θ ≈ −(1/β)(d_post m_preᵀ + κ m_post d_preᵀ), ∂ℓ/∂θ₀ ≈ −(1/β) d xᵀ, ∂ℓ/∂b ≈ −(1/β) d (eq. 5).

        Summed over lanes in their order, averaged over `samples`. Each factor of a neighbour is what this block
        holds of it. The arrays are reused by the next call.
        """
        factor = self.dtype.type(-1.0 / (beta * samples))
        for number, lane in enumerate(lanes):
            for key, contrast in contrasts(lane):
                self._accumulate(key, contrast, first=number == 0)
        for gradient in self.gradient.values():
            gradient *= factor
        return self.gradient

    def learn(self, lanes: Sequence[Dyads], update: Update) -> None:
        """Take one Hebbian step from what the lanes have settled to."""
        self.gradients(lanes, update.beta, update.samples)
        self.update(update)

    def _accumulate(self, key: str, contrast: tuple[Array, ...], *, first: bool) -> None:
        target = self.gradient[key]
        if len(contrast) == 1:
            if first:
                target[...] = contrast[0]
            else:
                target += contrast[0]
            return
        left, right = contrast
        if first:
            outer_product(left, right, target)
            return
        scratch = self._scratch.setdefault(key, np.empty_like(target))
        outer_product(left, right, scratch)
        target += scratch
