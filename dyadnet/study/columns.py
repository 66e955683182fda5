"""The columns of a study's table: identity and measured metrics of each trial."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True, slots=True)
class StudyMetric:
    """A measured column.

    Attributes
    ----------
    label
        Label in plots.
    scale
        ``fraction`` (drawn in per cent), ``number`` or ``count`` (drawn on a logarithmic colour scale).
    better
        Whether larger (``more``) or smaller (``less``) values are better.
    signed
        Whether it is a difference to the base, which is shown with its sign.
    """

    label: str
    scale: Literal["fraction", "number", "count"]
    better: Literal["more", "less"] = "less"
    signed: bool = False


METRICS = {
    "test_accuracy": StudyMetric("test accuracy", "fraction", "more"),
    "validation_accuracy": StudyMetric("validation accuracy", "fraction", "more"),
    "train_accuracy": StudyMetric("training accuracy", "fraction", "more"),
    "ideal_accuracy": StudyMetric("test accuracy without imperfections", "fraction", "more"),
    "test_r2": StudyMetric("test R²", "number", "more"),
    "validation_r2": StudyMetric("validation R²", "number", "more"),
    "train_r2": StudyMetric("training R²", "number", "more"),
    "ideal_r2": StudyMetric("test R² without imperfections", "number", "more"),
    "test_mae": StudyMetric("test, mean absolute error", "number"),
    "test_squared_error": StudyMetric("test, mean squared error", "number"),
    "test_psnr": StudyMetric("test PSNR (dB)", "number", "more"),
    "validation_psnr": StudyMetric("validation PSNR (dB)", "number", "more"),
    "train_psnr": StudyMetric("training PSNR (dB)", "number", "more"),
    "ideal_psnr": StudyMetric("test PSNR without imperfections (dB)", "number", "more"),
    "test_ssim": StudyMetric("test SSIM", "number", "more"),
    "train_loss": StudyMetric("training loss", "number"),
    "gap": StudyMetric("generalisation gap", "fraction"),
    "sweeps_mean": StudyMetric("sweeps a minibatch, mean", "number"),
    "sweeps_max": StudyMetric("sweeps a minibatch, most", "number"),
    "ticks_mean": StudyMetric("ticks a minibatch, mean", "count"),
    "capped": StudyMetric("phases that did not settle", "fraction"),
    "messages": StudyMetric("messages sent", "count"),
    "values": StudyMetric("numbers sent", "count"),
    "suppressed": StudyMetric("numbers not sent", "count", "more"),
    "saved": StudyMetric("numbers saved", "fraction", "more"),
    "dropped": StudyMetric("messages lost", "count"),
    "radius": StudyMetric("spectral radius μ", "number"),
    "step": StudyMetric("step", "number", "more"),
    "seconds": StudyMetric("seconds", "number"),
}
"""Metrics of a trial in the table.

Accuracies are those of the epoch that was best on validation; the loss is that of the last epoch. The gap is the
training accuracy (measured during that epoch) minus the test accuracy. Where targets are numbers, R² and errors of that
epoch replace the accuracies; where they are images, PSNR and SSIM are added. Sweeps, ticks, `capped` and counts refer
to training, over all epochs. `saved` is the fraction of numbers that send-on-delta did not send.
"""

OF_CLASSES = ("test_accuracy", "validation_accuracy", "train_accuracy", "ideal_accuracy", "gap")
OF_NUMBERS = ("test_r2", "validation_r2", "train_r2", "ideal_r2", "test_mae", "test_squared_error")
OF_IMAGES = ("test_psnr", "validation_psnr", "train_psnr", "ideal_psnr", "test_ssim")
"""Metrics that exist only where targets are classes, where they are numbers, and where they are images."""
DIFFERENCE = "_difference"
"""Suffix of the columns with a metric's difference to the base."""
DIFFERENCES = {
    f"{name}{DIFFERENCE}": replace(metric, label=f"{metric.label} − the base's", signed=True)
    for name, metric in METRICS.items()
}
"""Each metric minus its value in the run of the base alone with the same model and seed."""
MEASURES = METRICS | DIFFERENCES
"""All metrics that can be plotted and summarised."""

IDENTITY = ("trial", "status", "error", "variant", "model", "seed")
REST = ("epochs", "chance", "weights_sha256")
"""Number of completed epochs, accuracy of guessing (for classes), and hash of the last weights."""
FIXED = (*IDENTITY, *REST, *METRICS)
