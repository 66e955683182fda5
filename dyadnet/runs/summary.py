"""The summary of a run: its most important results."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from dyadnet.dynamics.request import Part
from dyadnet.numerics.scores import SCORES, scores, told

EVALUATED: tuple[Part, ...] = ("validation", "test")
_SCORED = {f"{part}_{name}" for part in EVALUATED for name in SCORES}


@dataclass(frozen=True, slots=True)
class Summary:
    """The results of a run.

    All scores are those of the weights that were best on the validation part.

    Attributes
    ----------
    test_accuracy, validation_accuracy
        Accuracy as a fraction of 1; NaN where targets are numbers.
    best_epoch
        The epoch (from 1) of these weights.
    train_loss
        Mean loss over the last epoch's minibatches.
    weights_sha256
        Hash of the last weights.
    seconds
        Duration of the whole run.
    out
        The run's folder.
    stopped
        Why the run ended before its last epoch, if early stopping or a callback stopped it; else empty.
    test_r2, test_mae, test_squared_error, validation_r2
        R², mean absolute error and mean squared error where targets are numbers; NaN elsewhere.
    test_psnr, test_ssim, validation_psnr
        PSNR in dB and SSIM where targets are images; NaN elsewhere.
    """

    test_accuracy: float
    validation_accuracy: float
    best_epoch: int
    train_loss: float
    weights_sha256: str
    seconds: float
    out: str
    stopped: str = ""
    test_r2: float = math.nan
    test_mae: float = math.nan
    test_squared_error: float = math.nan
    validation_r2: float = math.nan
    test_psnr: float = math.nan
    test_ssim: float = math.nan
    validation_psnr: float = math.nan

    @classmethod
    def of(cls, best: Mapping[str, Any], last: Mapping[str, Any], seconds: float, out: str, stopped: str = "") -> Self:
        """Create a summary from the record lines of the best and the last epoch."""
        found = {f"{part}_{name}": value for part in EVALUATED for name, value in scores(best[part]).items()}
        known = {"test_accuracy": math.nan, "validation_accuracy": math.nan} | found
        return cls(
            best_epoch=best["epoch"],
            train_loss=last["train"]["loss"],
            weights_sha256=last["weights_sha256"],
            seconds=seconds,
            out=out,
            stopped=stopped,
            **{field.name: known[field.name] for field in fields(cls) if field.name in known},
        )

    @property
    def told(self) -> str:
        """The score on the test part, as text."""
        known = {"accuracy": self.test_accuracy, "psnr": self.test_psnr, "r2": self.test_r2}
        found = {name: value for name, value in known.items() if name == "r2" or not math.isnan(value)}
        return f"test {told(found)}"

    @property
    def classes(self) -> bool:
        """Whether targets are classes."""
        return not math.isnan(self.test_accuracy)

    def plain(self) -> dict[str, Any]:
        """Return plain values, without scores that do not apply to this kind of targets."""
        return {key: value for key, value in asdict(self).items() if not (key in _SCORED and math.isnan(value))}
