"""How good predictions are: accuracy where targets are classes; R², MAE and squared error where they are numbers.

Of images, which are numbers too, also PSNR and SSIM.
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
"""Names of scores, as an entry of the record has them."""
_HEADLINES = {"accuracy": ("accuracy", "{:.2%}"), "psnr": ("PSNR", "{:.2f} dB"), "r2": ("R²", "{:.4f}")}
MORE_IS_BETTER = ("accuracy", "r2", *OF_IMAGES)


@dataclass(frozen=True, slots=True)
class Scale:
    """What errors of numbers are measured by.

    Attributes
    ----------
    outputs
        Numbers of a target.
    variance
        Of the targets of the part that is scored, mean over outputs; NaN if it is not known.
    images
        Whether targets are images.
    """

    outputs: int
    variance: float
    images: bool = False

    def scores(
        self, samples: int, squared: float, absolute: float, psnr: float = 0.0, ssim: float = 0.0
    ) -> dict[str, float]:
        """The scores of predictions.

        R² is that of all outputs together (scikit-learn's ``variance_weighted``), and of targets that are all the
        same 0, or 1 if they are met exactly. ``squared_error`` and ``mae`` are means over samples and outputs,
        ``psnr`` and ``ssim`` over samples.

        Parameters
        ----------
        samples
            That were predicted.
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


def headline(names: Container[str]) -> tuple[str, str]:
    """The score that people ask for first, of those that there are, and what it is called."""
    return next((name, called) for name, (called, _) in _HEADLINES.items() if name in names)


def written(name: str, value: float | None) -> str:
    """A score of those that are told, without its name; a dash if it is not known."""
    return "–" if value is None else _HEADLINES[name][1].format(value)


def told(entry: Mapping[str, Any], *, named: bool = True) -> str:
    """The score of a part's entry in the record that people ask for first, with its name if wanted."""
    name, called = headline(entry)
    value = written(name, entry[name])
    return f"{called} {value}" if named else value
