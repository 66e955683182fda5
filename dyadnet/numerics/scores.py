"""How good predictions are: accuracy where targets are classes; R², MAE and squared error where they are numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

OF_CLASSES = ("accuracy",)
OF_NUMBERS = ("r2", "mae", "squared_error")
SCORES = (*OF_CLASSES, *OF_NUMBERS)
"""Names of scores, as an entry of the record has them; the first of either kind is the one that is told."""
MORE_IS_BETTER = ("accuracy", "r2")


@dataclass(frozen=True, slots=True)
class Scale:
    """What errors of numbers are measured by.

    Attributes
    ----------
    outputs
        Numbers of a target.
    variance
        Of the targets of the part that is scored, mean over outputs; NaN if it is not known.
    """

    outputs: int
    variance: float

    def scores(self, samples: int, squared: float, absolute: float) -> dict[str, float]:
        """The scores of predictions.

        R² is that of all outputs together (scikit-learn's ``variance_weighted``), and of targets that are all the
        same 0, or 1 if they are met exactly. ``squared_error`` and ``mae`` are means over samples and outputs.

        Parameters
        ----------
        samples
            That were predicted.
        squared, absolute
            Sums of (s−y)² and of |s−y| over samples and outputs.
        """
        count = samples * self.outputs
        if not count:
            return dict.fromkeys(OF_NUMBERS, math.nan)
        error = squared / count
        r2 = float(error == 0) if self.variance == 0 else 1.0 - error / self.variance
        return {"r2": r2, "mae": absolute / count, "squared_error": error}


def variance(targets: NDArray[Any], scale: float = 1.0) -> float:
    """Variance of targets of shape (samples, outputs), mean over outputs, once they are multiplied by `scale`."""
    if not len(targets):
        return math.nan
    # An output at a time, because targets may be images.
    columns = (targets[:, index].astype(np.float64) for index in range(targets.shape[1]))
    # Of numbers near the largest there are it is infinite.
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.mean([np.var(column) for column in columns])) * scale * scale


def errors(outputs: NDArray[Any], targets: NDArray[Any]) -> tuple[float, float]:
    """Sums of (s−y)² and of |s−y| over samples and outputs, in float64."""
    error = outputs.astype(np.float64) - targets
    return float(np.sum(error * error)), float(np.sum(np.abs(error)))


def merit(line: Mapping[str, Any]) -> tuple[float, float]:
    """What chooses the best weights, from an epoch's line of the record; more is better.

    Of classes it is the validation accuracy, and of equals the smaller loss; of numbers the smaller validation loss.
    """
    validation = line["validation"]
    return validation.get("accuracy", 0.0), -validation["loss"]


def scores(entry: Mapping[str, Any]) -> dict[str, float]:
    """The scores of a part's entry in the record."""
    return {name: entry[name] for name in SCORES if name in entry}


def told(entry: Mapping[str, Any], *, named: bool = True) -> str:
    """The score of a part's entry in the record that people ask for first, with its name if wanted."""
    if "accuracy" in entry:
        return f"accuracy {entry['accuracy']:.2%}" if named else f"{entry['accuracy']:.2%}"
    return f"R² {entry['r2']:.4f}" if named else f"{entry['r2']:.4f}"
