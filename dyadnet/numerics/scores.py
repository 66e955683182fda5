"""Scores of predictions: accuracy if targets are classes; R², MAE and squared error if they are numbers.

Images, which are numbers too, also have PSNR and SSIM.
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

OF_CLASSES = ("accuracy",)
OF_NUMBERS = ("r2", "mae", "squared_error")
OF_IMAGES = ("psnr", "ssim")
SCORES = (*OF_CLASSES, *OF_NUMBERS, *OF_IMAGES)
"""Names of scores, as in an entry of the record."""
_HEADLINES = {"accuracy": ("accuracy", "{:.2%}"), "psnr": ("PSNR", "{:.2f} dB"), "r2": ("R²", "{:.4f}")}
MORE_IS_BETTER = ("accuracy", "r2", *OF_IMAGES)


@dataclass(frozen=True, slots=True)
class Scale:
    """The scale of errors of numbers.

    Attributes
    ----------
    outputs
        Number of outputs per target.
    variance
        Variance of the targets of the scored part, mean over outputs; NaN if unknown.
    images
        Whether targets are images.
    """

    outputs: int
    variance: float
    images: bool = False

    def scores(
        self, samples: int, squared: float, absolute: float, psnr: float = 0.0, ssim: float = 0.0
    ) -> dict[str, float]:
        """Return the scores of predictions by name.

        R² is that of all outputs together (scikit-learn's ``variance_weighted``). If all targets are the same, it is 1
        if the predictions are exact and 0 otherwise. ``squared_error`` and ``mae`` are means over samples and outputs,
        ``psnr`` and ``ssim`` over samples.

        Parameters
        ----------
        samples
            Number of predicted samples.
        squared, absolute
            Sums of (s−y)² and of |s−y| over samples and outputs.
        psnr, ssim
            Sums over samples, if they are images; see `dyadnet.numerics.image_scores`.
        """
        count = samples * self.outputs
        if not count:
            return dict.fromkeys((*OF_NUMBERS, *(OF_IMAGES if self.images else ())), math.nan)
        error = squared / count
        r2 = float(error == 0) if self.variance == 0 else 1.0 - error / self.variance
        found = {"r2": r2, "mae": absolute / count, "squared_error": error}
        return found | {"psnr": psnr / samples, "ssim": ssim / samples} if self.images else found


def variance(targets: NDArray[Any], scale: float = 1.0) -> float:
    """Return the variance of targets of shape (samples, outputs) times `scale`: the mean over outputs."""
    if not len(targets):
        return math.nan
    # One output at a time, because targets may be images.
    columns = (targets[:, index].astype(np.float64) for index in range(targets.shape[1]))
    # For numbers near the largest float the variance is infinite.
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.mean([np.var(column) for column in columns])) * scale * scale


def errors(outputs: NDArray[Any], targets: NDArray[Any]) -> tuple[float, float]:
    """Return the sums of (s−y)² and of |s−y| over samples and outputs, in float64."""
    error = outputs.astype(np.float64) - targets
    return float(np.sum(error * error)), float(np.sum(np.abs(error)))


def merit(line: Mapping[str, Any]) -> tuple[float, float]:
    """Return the key that selects the best weights, from an epoch's line of the record; a larger key is better.

    For classes it is the validation accuracy, with ties broken by the smaller loss; for numbers the smaller validation
    loss.
    """
    validation = line["validation"]
    return validation.get("accuracy", 0.0), -validation["loss"]


def scores(entry: Mapping[str, Any]) -> dict[str, float]:
    """Return the scores of a part's entry in the record."""
    return {name: entry[name] for name in SCORES if name in entry}


def headline(names: Container[str]) -> tuple[str, str]:
    """Return the main score of those in `names`, and its display name."""
    return next((name, called) for name, (called, _) in _HEADLINES.items() if name in names)


def written(name: str, value: float | None) -> str:
    """Format a main score without its name; a dash if it is None."""
    return "–" if value is None else _HEADLINES[name][1].format(value)


def told(entry: Mapping[str, Any], *, named: bool = True) -> str:
    """Format the main score of a part's entry in the record, with its name if `named`."""
    name, called = headline(entry)
    value = written(name, entry[name])
    return f"{called} {value}" if named else value
