"""Histograms of quantities that span decades, such as the ages of messages: counts in logarithmic bins."""

from __future__ import annotations

PER_DECADE = 10
BINS = 52
SMALLEST = 0.1
"""Lower end of the second bin, in the unit of the counted quantity; smaller values are in the first bin."""
AGES = {"age_ms": "milliseconds", "age_updates": "updates of its sender"}
"""Units in which the age of a message is counted in free-running mode."""


def lower_edges() -> list[float]:
    """Return the lower edge of each bin."""
    return [0.0, *(SMALLEST * 10 ** (index / PER_DECADE) for index in range(BINS - 1))]
