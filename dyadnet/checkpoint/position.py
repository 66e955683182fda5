"""Where a run stands between two minibatches: all that the coordinator must know to go on to the same bits."""

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
        Of the record, of their epoch.
    checkpoint
        That holds them; None if none could be written.
    """

    line: Mapping[str, Any]
    checkpoint: str | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """Everything that the coordinator counts. Draws depend on these numbers alone, so there are no generators to keep.

    Attributes
    ----------
    epoch, minibatch
        Epochs that are over, and minibatches of the present one that were learned from; all of them, if what is left
        of it is its evaluation.
    updates, relaxations
        Of the whole run: what steps of optimisers and draws are counted by.
    radius, since_radius
        The last estimate of the spectral radius, and relaxations since.
    estimated
        κ of each projection at that estimate; none before the first one, and in checkpoints that are older than this.
    at
        The moment that schedules are read at, in epochs.
    tally
        Sums of the present epoch.
    best, last
        Best weights so far, and the line of the last epoch.
    hooks
        What early stopping and the callbacks go on from, as plain values; none in checkpoints of before they were.
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
        """As plain values."""
        return asdict(self)

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> Self:
        """From plain values.

        Raises
        ------
        ValueError, KeyError, TypeError
            If they are of another kind.
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
    """A count, or an error."""
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError(f"{value!r} counts nothing")
    return value


def finite(value: Any) -> float:
    """A number, or an error."""
    if not is_finite(value):
        raise ValueError(f"{value!r} is no number")
    return float(value)


def _number(value: Any) -> None:
    """A loss, which may be infinite or none, or an error."""
    if isinstance(value, int):
        finite(value)
    float(value)


def _hooks(values: Any) -> Mapping[str, Any] | None:
    """What early stopping and callbacks go on from."""
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
    """A line of the record, with what is asked of the best and of the last epoch."""
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
