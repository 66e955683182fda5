"""Chooses the pace of a free-running network from the measured delays: T, and how long the network must be quiet."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dyadnet.config.dynamics import FreeRunning
from dyadnet.dynamics.request import Pace

MILLISECOND = 1e-3
GUESS = 0.005
"""Delay in seconds that is assumed before any was measured."""
QUANTILE = 0.95
"""Quantile of the delays that counts as the longest: one update that the machine held up is no network delay."""
MEMORY = 3
"""Number of relaxations whose delays are remembered."""
QUIET = 1.5
"""Multiple of the longest delay for which every block must stay within tolerance; a wave takes one delay to reach a
neighbour."""


class Delays(NamedTuple):
    """A host's measurements of δ: the age of what an update reads plus half of the time since the update before.

    On average, this is how long a message has been on its way when a neuron has responded to it.

    Attributes
    ----------
    mean
        Average over time of the oldest message's δ in seconds, by sending host; 0 if no message came. Delays and
        intervals above the longest count as the longest.
    longest
        The 95 % quantile over updates in seconds, by sending host.
    """

    mean: list[float]
    longest: list[float]

    @classmethod
    def of(cls, delays: NDArray[np.float64]) -> Delays:
        """Summarise the delays of a relaxation.

        Parameters
        ----------
        delays
            Shape (updates, hosts + 1), in seconds: δ by the host whose messages were read (0: nothing had come), and
            the time since the update before.
        """
        mean, longest = [], []
        for column in delays.T[:-1]:
            heard, intervals = column[column > 0], delays[column > 0, -1]
            most = float(np.quantile(heard, QUANTILE)) if len(heard) else 0.0
            capped = np.minimum(heard, most), np.minimum(intervals, most)
            mean.append(float(np.average(capped[0], weights=capped[1])) if len(heard) else 0.0)
            longest.append(most)
        return cls(mean, longest)


def around(delays: Sequence[Delays]) -> tuple[float, float]:
    """Return δ of the slowest loop of two hosts, and the longest delay of all.

    A signal around a loop of two hosts is delayed in both directions, so the mean of the two delays counts.

    Parameters
    ----------
    delays
        Delays of every host, by index.
    """
    hosts = range(len(delays))
    loops = [0.5 * (delays[a].mean[b] + delays[b].mean[a]) for a in hosts for b in hosts if delays[a].mean[b] > 0]
    return max(loops, default=0.0), max((most for found in delays for most in found.longest), default=0.0)


class Pacer:
    """Follows the delay δ of the slowest loop.

    Delays change from update to update, far faster than a network that integrates over several updates, so the network
    responds to the mean delay. To decide whether all is quiet, the longest delay counts instead. The median of the last
    relaxations counts, so that one relaxation that the machine held up does not slow down those that follow.

    Parameters
    ----------
    mode
        The free-running mode; its time constant may be set by hand.
    span
        Part of δ over which prospective neurons take a difference; 0 if neurons are not prospective.
    """

    def __init__(self, mode: FreeRunning, span: float = 0.0) -> None:
        self.mode = mode
        self._span = span
        self._delays: dict[int, deque[tuple[float, float]]] = {}
        self._samples = 0
        self.last = Pace(0.0, 0.0)

    @property
    def delay(self) -> float:
        """δ in seconds, from relaxations with as many samples as the last one."""
        return median(mean for mean, _ in self._remembered) if self._remembered else self._unknown

    @property
    def longest(self) -> float:
        """The 95 % quantile of the delays, in seconds."""
        return median(longest for _, longest in self._remembered) if self._remembered else self._unknown

    @property
    def _remembered(self) -> Sequence[tuple[float, float]]:
        """The latest delays for this number of samples; if there are none, an estimate from another number."""
        known = self._delays.get(self._samples)
        if known or not self._delays:
            return known or ()
        # The dominant delay grows with the number of samples, if it grows at all.
        samples, others = max(self._delays.items())
        scale = max(self._samples / samples, 1.0)
        return [(scale * mean, scale * longest) for mean, longest in others]

    def pace(self, step: float, samples: int = 1) -> Pace:
        """Return the pace of the next relaxation.

        Parameters
        ----------
        step
            T in units of δ, or in milliseconds if it was set by hand; see `dyadnet.dynamics.virtual_time`.
        samples
            Number of samples in the relaxation.
        """
        self._samples = samples
        unit = self.delay if self.mode.time_constant == "auto" else MILLISECOND
        span = self._span * self.delay
        chosen = self.delay if self.mode.time_constant == "auto" else 0.0
        self.last = Pace(step * unit, QUIET * self.longest + span, span, chosen)
        return self.last

    def note(self, delays: Sequence[Delays]) -> None:
        """Take the delays that the hosts measured in a relaxation."""
        slowest, longest = around(delays)
        if slowest > 0:
            self._delays.setdefault(self._samples, deque(maxlen=MEMORY)).append((slowest, longest))

    @property
    def _unknown(self) -> float:
        return GUESS + (0.0 if self.mode.delay is None else MILLISECOND * self.mode.delay.largest)
