"""When a run has learned what it will: a number of its record that gets no better for so many epochs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import Field, model_validator

from dyadnet.errors import ConfigError
from dyadnet.numerics.scores import MORE_IS_BETTER, OF_CLASSES, OF_IMAGES, OF_NUMBERS
from dyadnet.schema import Positive, Spec

Monitor = Literal[
    "auto",
    "validation_accuracy",
    "validation_loss",
    "validation_r2",
    "validation_mae",
    "validation_squared_error",
    "validation_psnr",
    "validation_ssim",
    "train_accuracy",
    "train_loss",
    "train_r2",
    "train_mae",
    "train_squared_error",
    "train_psnr",
    "train_ssim",
]
MONITORS: tuple[Monitor, ...] = get_args(Monitor)


class EarlyStoppingSpec(Spec):
    """Stop after epochs without a better number of the record. A whole number stands for `patience` alone.

    Attributes
    ----------
    monitor
        Which number: accuracy, R², PSNR and SSIM are to rise, losses and errors to fall. ``auto`` is
        ``validation_accuracy`` where targets are classes, and ``validation_loss`` where they are numbers.
    patience
        Epochs without a better one after which the run stops.
    min_delta
        What is better has to be so by more than this.
    """

    monitor: Monitor = "auto"
    patience: Positive = 10
    min_delta: float = Field(0.0, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _by_patience(cls, value: Any) -> Any:
        return {"patience": value} if isinstance(value, int) and not isinstance(value, bool) else value


class Patience:
    """Counts epochs since the last better one.

    Parameters
    ----------
    spec
        What is better, and for how long to wait.
    """

    def __init__(self, spec: EarlyStoppingSpec) -> None:
        self._spec = spec
        self._monitor: str = spec.monitor
        self._best = math.nan
        self._since = 0

    @property
    def reason(self) -> str | None:
        """Why to stop; None: go on."""
        if self._since < self._spec.patience:
            return None
        epochs = f"{self._since} epoch{'s' if self._since > 1 else ''}"
        return f"no better {self._monitor} than {self._best:.6g} for {epochs}"

    def note(self, record: Mapping[str, Any]) -> None:
        """An epoch has ended with this line of the record.

        Raises
        ------
        ConfigError
            If the record has no number of that name: the accuracy of numbers, or the R² of classes.
        """
        found = record["validation"]
        self._monitor = monitored(self._spec.monitor, numbers="accuracy" not in found, images="psnr" in found)
        part, _, key = self._monitor.partition("_")
        value = float(record[part][key])
        gain = value - self._best if key in MORE_IS_BETTER else self._best - value
        if gain > self._spec.min_delta or (math.isnan(self._best) and not math.isnan(value)):
            self._best, self._since = value, 0
        else:
            self._since += 1

    def state(self) -> dict[str, Any]:
        """As plain values."""
        best = None if math.isnan(self._best) else self._best
        return {"best": best, "since": self._since, "monitor": self._monitor}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self._best = math.nan if state["best"] is None else float(state["best"])
        self._since = int(state["since"])
        self._monitor = str(state.get("monitor", self._monitor))


def monitored(monitor: Monitor, *, numbers: bool, images: bool = False) -> str:
    """The number of the record that is looked at, where targets are classes, numbers or images, which are numbers too.

    Raises
    ------
    ConfigError
        If the record of such targets does not have it.
    """
    if monitor == "auto":
        return "validation_loss" if numbers else "validation_accuracy"
    key = monitor.partition("_")[2]
    kind = "images" if images else "numbers" if numbers else "classes"
    own = {"classes": OF_CLASSES, "numbers": OF_NUMBERS, "images": (*OF_NUMBERS, *OF_IMAGES)}[kind]
    if key not in ("loss", *own):
        others = f"{', '.join(('loss', *own[:-1]))} or {own[-1]}"
        raise ConfigError("learning.early_stopping.monitor", monitor, f"targets are {kind}: name their {others}")
    return monitor
