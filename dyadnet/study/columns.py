"""The columns of a study's table: what identifies a trial, and what was measured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True, slots=True)
class StudyMetric:
    """A measured column.

    Attributes
    ----------
    label
        What a plot calls it.
    scale
        ``fraction`` (drawn in per cent), ``number`` or ``count`` (drawn on a logarithmic colour scale).
    better
        Whether more or less of it is better.
    signed
        Whether it is a difference to the base, whose sign is told.
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
"""What a table holds of a trial.

Accuracies are those of the epoch that was best on validation, the loss is the last epoch's, the gap is training
accuracy (as it was while that epoch went on) minus test accuracy. Where targets are numbers, R² and errors of that
epoch take their place, and where they are images, PSNR and SSIM come to them. Sweeps, ticks, `capped` and counts are of
training, over all epochs; `saved` is the part of the numbers that send-on-delta did not send.
"""

OF_CLASSES = ("test_accuracy", "validation_accuracy", "train_accuracy", "ideal_accuracy", "gap")
OF_NUMBERS = ("test_r2", "validation_r2", "train_r2", "ideal_r2", "test_mae", "test_squared_error")
OF_IMAGES = ("test_psnr", "validation_psnr", "train_psnr", "ideal_psnr", "test_ssim")
"""Which of them there are where targets are classes, where they are numbers, and where these are images."""
DIFFERENCE = "_difference"
"""How the column of a metric's difference to the base ends."""
DIFFERENCES = {
    f"{name}{DIFFERENCE}": replace(metric, label=f"{metric.label} − the base's", signed=True)
    for name, metric in METRICS.items()
}
"""The same minus that of the base alone, of the same model and seed."""
MEASURES = METRICS | DIFFERENCES
"""Everything that is plotted and summarised."""

IDENTITY = ("trial", "status", "error", "variant", "model", "seed")
REST = ("epochs", "chance", "weights_sha256")
"""Epochs completed, the accuracy of guessing (of classes), and the hash of the last weights."""
FIXED = (*IDENTITY, *REST, *METRICS)
