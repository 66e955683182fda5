"""How a run has ended: the numbers that it is told by."""

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
    """How a run ended.

    Attributes
    ----------
    test_accuracy, validation_accuracy
        Of the weights that were best on the validation part; fractions of 1, NaN where targets are numbers.
    best_epoch
        The epoch (from 1) that they are of.
    train_loss
        Mean loss over the last epoch's minibatches.
    weights_sha256
        Of the last weights.
    seconds
        Of the whole run.
    out
        The run's folder.
    stopped
        Why it ended before its last epoch, if early stopping or a callback wanted so.
    test_r2, test_mae, test_squared_error, validation_r2
        Where targets are numbers, of the same weights: R², mean absolute and mean squared error. NaN elsewhere.
    test_psnr, test_ssim, validation_psnr
        Where targets are images, of the same weights: PSNR in dB and SSIM. NaN elsewhere.
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
        """From the best and the last epoch's line of the record."""
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
        """The score on the test part, for people."""
        known = {"accuracy": self.test_accuracy, "psnr": self.test_psnr, "r2": self.test_r2}
        found = {name: value for name, value in known.items() if name == "r2" or not math.isnan(value)}
        return f"test {told(found)}"

    @property
    def classes(self) -> bool:
        """Whether targets are classes."""
        return not math.isnan(self.test_accuracy)

    def plain(self) -> dict[str, Any]:
        """As plain values, without the scores of another kind of targets."""
        return {key: value for key, value in asdict(self).items() if not (key in _SCORED and math.isnan(value))}
