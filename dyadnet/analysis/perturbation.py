"""Find the largest step at which a small perturbation of an equilibrium decays, by simulation of the network itself.

The blocks fire every tick and communicate over channels with delay; nothing is linearised. The corresponding theory is
`dyadnet.dynamics.step_size.largest_stable_step`, applied to the eigenvalues of F·W at the same equilibrium.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from dyadnet.dynamics.request import Relaxation
from dyadnet.engines.local import LocalEngine
from dyadnet.numerics.rng import Stream

Array = NDArray[np.float64]
SIZE = 1e-8
"""Size of the perturbation: small enough for linear activations, and far above rounding errors."""
LARGER, FAR = 1e-5, 1e-6
"""Initial size of a perturbation when its slowest modes are measured, and the fraction at which this stops."""
GONE, GROWN = 1e-4, 1e4
"""Factors of the initial size at which a perturbation counts as decayed, and as grown."""
FALL = 3.0
"""Factor between successive steps until one is stable."""
PATIENCE = 99
"""Duration of a simulation: this number of time constants 1/η, plus this number of delays."""


class Perturbed:
    """Perturbs an equilibrium repeatedly, with different steps.

    Parameters
    ----------
    engine
        An engine with every-tick clocks, constant delays, float64 and one lane.
    rest
        A of every block at the equilibrium, shape (batch, n).
    couplings
        κ of each projection.
    gamma
        γ of prospective neurons.
    """

    def __init__(
        self, engine: LocalEngine, rest: Mapping[str, Array], couplings: tuple[float, ...], gamma: float = 0.0
    ) -> None:
        self._gamma = gamma
        self._engine = engine
        self._rest = rest
        self._batch = len(next(iter(rest.values())))
        self._number = 0
        self._couplings = couplings

    def largest_step(self, delay: int, low: float = 1e-3, high: float = 1.9, precision: float = 0.02) -> float:
        """Find the largest stable step by bisection on a logarithmic scale, from above, because small steps are slow.

        Returns
        -------
        float
            The step; `high` if even that is stable, 0 if no step down to `low` is stable.
        """
        if self.decays(high, delay):
            return high
        least, low = low, high / FALL
        while not self.decays(low, delay):
            high, low = low, low / FALL
            if high < least:
                return 0.0
        while high / low > 1.0 + precision:
            middle = math.sqrt(low * high)
            if self.decays(middle, delay):
                low = middle
            else:
                high = middle
        return math.sqrt(low * high)

    def decays(self, step: float, delay: int) -> bool:
        """Return whether the perturbations of all samples decay.

        If a perturbation has neither decayed to `GONE` nor grown to `GROWN` times its first size by the end, its
        largest size in the last third of the time is compared with that in the second third.
        """
        third = math.ceil(PATIENCE / 3 / step) + PATIENCE // 3 * delay
        peaks = [0.0, 0.0, 0.0]
        first = 0.0
        for tick, size in enumerate(self.deviations(step, 3 * third)):
            if tick == 0:
                first = size
            if size > GROWN * first:
                return False
            if size < GONE * first:
                return True
            peaks[min(tick // third, 2)] = max(peaks[min(tick // third, 2)], size)
        return peaks[2] < peaks[1]

    def decay(self, step: float, ticks: int) -> float:
        """Return the number of ticks in which perturbations shrink to a thousandth; inf if they grow.

        The rate is the slope of the logarithm of their size over the last third of the simulation, when only the
        slowest modes remain. The simulation ends after `ticks`, or when the size has fallen below `FAR` of the first.
        """
        sizes: list[float] = []
        for size in self.deviations(step, ticks, LARGER):
            if sizes and size < FAR * sizes[0]:
                break
            sizes.append(size)
        late = np.arange(2 * len(sizes) // 3, len(sizes))
        slope = float(np.polyfit(late, np.log(sizes)[late], 1)[0])
        return math.log(1e-3) / slope if slope < 0 else math.inf

    def deviations(self, step: float, ticks: int, size: float = SIZE) -> Iterator[float]:
        """Yield the largest distance from the equilibrium over samples, before the first tick and after each tick."""
        self._number += 1
        group, lane = self._engine.group, self._engine.group.lane(0)
        rows = np.arange(self._batch)
        group.begin(Relaxation(self._number, "test", rows, (), self._couplings, step, gamma=self._gamma))
        perturbed = {}
        for name, rest in self._rest.items():
            noise = Stream(self._engine.config.seed, "perturbation", name).at().standard_normal(rest.shape)
            perturbed[name] = rest + size * noise
        lane.place(perturbed)
        yield self._distance()
        for tick in range(1, ticks + 1):
            lane.run(tick)
            yield self._distance()

    def _distance(self) -> float:
        squares = np.zeros(self._batch)
        for name, rest in self._rest.items():
            squares += np.square(self._engine.lanes(name)[0].A - rest).sum(axis=1)
        return float(np.sqrt(squares.max()))
