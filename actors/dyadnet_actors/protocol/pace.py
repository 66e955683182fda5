"""How fast a network runs freely: T and how long to be quiet, from the delays that were measured."""

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
"""Seconds of delay that are assumed before any was measured."""
QUANTILE = 0.95
"""Of the delays, as good as the longest: one update that the machine kept waiting is no delay of the network."""
MEMORY = 3
"""Relaxations whose delays are remembered."""
QUIET = 1.5
"""Longest delays for which every block must stay within tolerance; a wave needs one to reach a neighbour."""


class Delays(NamedTuple):
    """What a host measured of δ: the age of what an update reads, and half of the time since the update before.

    For so long, on average, a message will have been on its way when a neuron has moved by it.

    Attributes
    ----------
    mean
        Over time, in seconds, by whose messages were read, of the oldest of them; 0: none. No delay, and no interval,
        counts for more than the longest.
    longest
        The 95 % quantile over updates, in seconds.
    """

    mean: list[float]
    longest: list[float]

    @classmethod
    def of(cls, delays: NDArray[np.float64]) -> Delays:
        """Summary of a relaxation.

        Parameters
        ----------
        delays
            Shape (updates, hosts + 1): δ by whose messages were read (0: nothing had come), and the time since the
            update before; in seconds.
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
    """δ of the slowest loop of two hosts, and the longest delay of all.

    What goes around a loop of two is late by both directions, so their mean counts.

    Parameters
    ----------
    delays
        Of every host, by index.
    """
    hosts = range(len(delays))
    loops = [0.5 * (delays[a].mean[b] + delays[b].mean[a]) for a in hosts for b in hosts if delays[a].mean[b] > 0]
    return max(loops, default=0.0), max((most for found in delays for most in found.longest), default=0.0)


class Pacer:
    """Follows the delay δ of the slowest loop.

    Delays change from update to update, far faster than a network that integrates over several of them; what it feels
    is their mean. When all is quiet is another matter: there the longest counts. Of the last relaxations the middle one
    counts, so that one that the machine kept waiting does not slow those that follow.

    Parameters
    ----------
    mode
        Its time constant may be set by hand.
    span
        Part of δ over which prospective neurons take a difference; 0: they are not.
    """

    def __init__(self, mode: FreeRunning, span: float = 0.0) -> None:
        self.mode = mode
        self._span = span
        self._delays: dict[int, deque[tuple[float, float]]] = {}
        self._samples = 0
        self.last = Pace(0.0, 0.0)

    @property
    def delay(self) -> float:
        """δ in seconds, of relaxations of as many samples as the last one."""
        return median(mean for mean, _ in self._remembered) if self._remembered else self._unknown

    @property
    def longest(self) -> float:
        """The 95 % quantile of the delays, in seconds."""
        return median(longest for _, longest in self._remembered) if self._remembered else self._unknown

    @property
    def _remembered(self) -> Sequence[tuple[float, float]]:
        """What was measured last with as many samples; if nothing was, what is to be expected of so many."""
        known = self._delays.get(self._samples)
        if known or not self._delays:
            return known or ()
        # What takes longest grows with them, if it grows at all.
        samples, others = max(self._delays.items())
        scale = max(self._samples / samples, 1.0)
        return [(scale * mean, scale * longest) for mean, longest in others]

    def pace(self, step: float, samples: int = 1) -> Pace:
        """The pace of the next relaxation.

        Parameters
        ----------
        step
            T in units of δ, or in milliseconds if it was set by hand; see `dyadnet.dynamics.virtual_time`.
        samples
            That it has.
        """
        self._samples = samples
        unit = self.delay if self.mode.time_constant == "auto" else MILLISECOND
        span = self._span * self.delay
        chosen = self.delay if self.mode.time_constant == "auto" else 0.0
        self.last = Pace(step * unit, QUIET * self.longest + span, span, chosen)
        return self.last

    def note(self, delays: Sequence[Delays]) -> None:
        """What the hosts measured in a relaxation."""
        slowest, longest = around(delays)
        if slowest > 0:
            self._delays.setdefault(self._samples, deque(maxlen=MEMORY)).append((slowest, longest))

    @property
    def _unknown(self) -> float:
        return GUESS + (0.0 if self.mode.delay is None else MILLISECOND * self.mode.delay.largest)
