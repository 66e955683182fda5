"""The columns of a study's table: what identifies a trial, and what was measured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True, slots=True)
class Metric:
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
    "test_accuracy": Metric("test accuracy", "fraction", "more"),
    "validation_accuracy": Metric("validation accuracy", "fraction", "more"),
    "train_accuracy": Metric("training accuracy", "fraction", "more"),
    "ideal_accuracy": Metric("test accuracy without imperfections", "fraction", "more"),
    "test_r2": Metric("test R²", "number", "more"),
    "validation_r2": Metric("validation R²", "number", "more"),
    "train_r2": Metric("training R²", "number", "more"),
    "ideal_r2": Metric("test R² without imperfections", "number", "more"),
    "test_mae": Metric("test, mean absolute error", "number"),
    "test_squared_error": Metric("test, mean squared error", "number"),
    "train_loss": Metric("training loss", "number"),
    "gap": Metric("generalisation gap", "fraction"),
    "sweeps_mean": Metric("sweeps a minibatch, mean", "number"),
    "sweeps_max": Metric("sweeps a minibatch, most", "number"),
    "ticks_mean": Metric("ticks a minibatch, mean", "count"),
    "capped": Metric("phases that did not settle", "fraction"),
    "messages": Metric("messages sent", "count"),
    "values": Metric("numbers sent", "count"),
    "suppressed": Metric("numbers not sent", "count", "more"),
    "saved": Metric("numbers saved", "fraction", "more"),
    "dropped": Metric("messages lost", "count"),
    "radius": Metric("spectral radius μ", "number"),
    "step": Metric("step", "number", "more"),
    "seconds": Metric("seconds", "number"),
}
"""What a table holds of a trial.

Accuracies are those of the epoch that was best on validation, the loss is the last epoch's, the gap is training
accuracy (as it was while that epoch went on) minus test accuracy. Where targets are numbers, R² and errors of that
epoch take their place. Sweeps, ticks, `capped` and counts are of
training, over all epochs; `saved` is the part of the numbers that send-on-delta did not send.
"""

OF_CLASSES = ("test_accuracy", "validation_accuracy", "train_accuracy", "ideal_accuracy", "gap")
OF_NUMBERS = ("test_r2", "validation_r2", "train_r2", "ideal_r2", "test_mae", "test_squared_error")
"""Which of them there are where targets are classes, and where they are numbers."""
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
