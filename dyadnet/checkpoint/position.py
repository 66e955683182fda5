"""The position of a run between two minibatches: the coordinator's state, from which it resumes bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from dyadnet.files.access import is_finite
from dyadnet.numerics.scores import scores


@dataclass(frozen=True, slots=True)
class Best:
    """The weights that were best on the validation part so far.

    Attributes
    ----------
    line
        The record line of their epoch.
    checkpoint
        Name of the checkpoint that holds them; None if it could not be written.
    """

    line: Mapping[str, Any]
    checkpoint: str | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """All counters of the coordinator. Random draws depend on these alone, so no generator state is saved.

    Attributes
    ----------
    epoch, minibatch
        Finished epochs, and minibatches of the current epoch that have been trained on. If only the evaluation of the
        epoch remains, `minibatch` is the number of all its minibatches.
    updates, relaxations
        Numbers of updates and relaxations in the whole run; they count optimiser steps and random draws.
    radius, since_radius
        The last estimate of the spectral radius, and the number of relaxations since.
    estimated
        κ of each projection at that estimate; empty before the first one, and in older checkpoints.
    at
        The time at which schedules are evaluated, in epochs.
    tally
        Sums of the current epoch.
    best, last
        Best weights so far, and the record line of the last epoch.
    hooks
        State of early stopping and callbacks, as plain values; None in older checkpoints.
    """

    epoch: int = 0
    minibatch: int = 0
    updates: int = 0
    relaxations: int = 0
    radius: float = 0.0
    since_radius: int = 0
    estimated: tuple[float, ...] = ()
    at: float = 0.0
    tally: Mapping[str, Any] | None = None
    best: Best | None = None
    last: Mapping[str, Any] | None = None
    hooks: Mapping[str, Any] | None = None

    def plain(self) -> dict[str, Any]:
        """Return the position as plain values."""
        return asdict(self)

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> Self:
        """Create a position from plain values.

        Raises
        ------
        ValueError, KeyError, TypeError
            If a value is missing or has the wrong type.
        """
        best, last, tally = values["best"], values["last"], values["tally"]
        if best is not None:
            best = Best(_line(best["line"]), best["checkpoint"])
            if not isinstance(best.checkpoint, str | None):
                raise ValueError("a checkpoint without a name")
        own = {"best": best, "last": None if last is None else _line(last)}
        own |= {"tally": None if tally is None else dict(tally)}
        own |= {"estimated": tuple(map(finite, values.get("estimated", ())))}
        own |= {key: finite(values[key]) for key in ("radius", "at")}
        own |= {"hooks": _hooks(values.get("hooks"))}
        counts = ("epoch", "minibatch", "updates", "relaxations", "since_radius")
        return cls(**{**values, **own, **{key: whole_number(values[key]) for key in counts}})


def whole_number(value: Any) -> int:
    """Return a count, or raise ValueError."""
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError(f"{value!r} counts nothing")
    return value


def finite(value: Any) -> float:
    """Return a finite number as a float, or raise ValueError."""
    if not is_finite(value):
        raise ValueError(f"{value!r} is no number")
    return float(value)


def _number(value: Any) -> None:
    """Check a loss, which may be infinite or NaN."""
    if isinstance(value, int):
        finite(value)
    float(value)


def _hooks(values: Any) -> Mapping[str, Any] | None:
    """Check the state of early stopping and callbacks."""
    if values is None:
        return None
    hooks = {key: dict(state) for key, state in values.items()}
    if "early_stopping" in hooks:
        best = hooks["early_stopping"]["best"]
        whole_number(hooks["early_stopping"]["since"])
        if best is not None:
            finite(best)
    return hooks


def _line(values: Any) -> Mapping[str, Any]:
    """Check the record line of the best or of the last epoch."""
    for part in ("train", "validation", "test"):
        _number(values[part]["loss"])
        found = scores(values[part])
        if not found:
            raise ValueError(f"no scores of the {part} part")
        for value in found.values():
            finite(value)
    whole_number(values["epoch"])
    if not isinstance(values["weights_sha256"], str):
        raise ValueError("no hash")
    return dict(values)
