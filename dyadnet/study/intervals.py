"""The spread of values over seeds, which a study writes after ±."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

Interval = Literal["t95", "se", "sd", "none"]

# fmt: off
T_QUANTILES = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)
# fmt: on
"""The 0.975 quantile of Student's t for 1 to 30 degrees of freedom; for more, 1.96 is accurate to 4 %."""
NAMES: dict[Interval, str] = {
    "t95": "half the 95 % confidence interval of the mean (Student's t)",
    "se": "the standard error of the mean",
    "sd": "the standard deviation over seeds",
}
"""Description of each interval for tables and pictures."""


def margin(values: Sequence[float], interval: Interval = "t95") -> float | None:
    """Return the half-width of an interval around the mean; None for fewer than two values, and for ``none``.

    Parameters
    ----------
    values
        One value per seed.
    interval
        ``t95``: half the 95 % confidence interval of the mean by Student's t; ``se``: standard error of the mean;
        ``sd``: standard deviation of the values.
    """
    count = len(values)
    if count < 2 or interval == "none":
        return None
    mean = sum(values) / count
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (count - 1))
    if interval == "sd":
        return deviation
    error = deviation / math.sqrt(count)
    return error if interval == "se" else _quantile(count - 1) * error


def _quantile(freedom: int) -> float:
    """Return the 0.975 quantile of Student's t."""
    return T_QUANTILES[freedom - 1] if freedom <= len(T_QUANTILES) else 1.96
