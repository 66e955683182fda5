"""Early stopping: end a run when a recorded quantity has not improved for a number of epochs."""

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
    """Stop after a number of epochs without improvement of a recorded quantity. A whole number stands for `patience`.

    Attributes
    ----------
    monitor
        Monitored quantity. Accuracy, R², PSNR and SSIM should rise; losses and errors should fall. ``auto`` is
        ``validation_accuracy`` if targets are classes, and ``validation_loss`` if they are numbers.
    patience
        Number of epochs without improvement after which the run stops.
    min_delta
        Changes of at most this do not count as improvement.
    """

    monitor: Monitor = "auto"
    patience: Positive = 10
    min_delta: float = Field(0.0, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _by_patience(cls, value: Any) -> Any:
        return {"patience": value} if isinstance(value, int) and not isinstance(value, bool) else value


class Patience:
    """Counts epochs since the last improvement.

    Parameters
    ----------
    spec
        The monitored quantity, and how long to wait.
    """

    def __init__(self, spec: EarlyStoppingSpec) -> None:
        self._spec = spec
        self._monitor: str = spec.monitor
        self._best = math.nan
        self._since = 0

    @property
    def reason(self) -> str | None:
        """Reason to stop, or None to continue."""
        if self._since < self._spec.patience:
            return None
        epochs = f"{self._since} epoch{'s' if self._since > 1 else ''}"
        return f"no better {self._monitor} than {self._best:.6g} for {epochs}"

    def note(self, record: Mapping[str, Any]) -> None:
        """Take note of the record's line of an epoch that has ended.

        Raises
        ------
        ConfigError
            If the record lacks the monitored quantity, such as accuracy for numbers or R² for classes.
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
        """Return the state as plain values."""
        best = None if math.isnan(self._best) else self._best
        return {"best": best, "since": self._since, "monitor": self._monitor}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state`."""
        self._best = math.nan if state["best"] is None else float(state["best"])
        self._since = int(state["since"])
        self._monitor = str(state.get("monitor", self._monitor))


def monitored(monitor: Monitor, *, numbers: bool, images: bool = False) -> str:
    """Return the name of the monitored quantity for targets that are classes, numbers, or images (which are numbers,
    too).

    Raises
    ------
    ConfigError
        If the record does not contain this quantity for such targets.
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
