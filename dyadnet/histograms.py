"""Histograms of what spreads over decades, such as the ages of messages: counts in logarithmic bins."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

PER_DECADE = 10
BINS = 52
SMALLEST = 0.1
"""Lower end of the second bin, in the unit of what is counted; what is smaller is in the first."""
AGES = {"age_ms": "milliseconds", "age_updates": "updates of its sender"}
"""In what the age of a message is counted, in free-running mode."""


@dataclass
class Histogram:
    """Counts: below `SMALLEST`, then `PER_DECADE` bins a decade, the last one open."""

    counts: list[int] = field(default_factory=lambda: [0] * BINS)

    def add(self, value: float) -> None:
        """Count one value."""
        index = 0
        if value >= SMALLEST:
            index = min(1 + int(PER_DECADE * math.log10(value / SMALLEST)), BINS - 1)
        self.counts[index] += 1


def lower_edges() -> list[float]:
    """Where each bin begins."""
    return [0.0, *(SMALLEST * 10 ** (index / PER_DECADE) for index in range(BINS - 1))]


def quantile(counts: list[int], fraction: float) -> float:
    """The middle (geometric) of the bin that holds a quantile; 0 if nothing was counted or in the first bin."""
    target = fraction * sum(counts)
    below = 0
    for index, count in enumerate(counts):
        below += count
        if count and below >= target:
            return 0.0 if index == 0 else lower_edges()[index] * 10 ** (0.5 / PER_DECADE)
    return 0.0
