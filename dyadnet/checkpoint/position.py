"""Where a run stands between two minibatches: all that the coordinator must know to go on to the same bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


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

    def plain(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> Self:
        """From plain values."""
        best = values["best"]
        own = {"best": None if best is None else Best(**best), "estimated": tuple(values.get("estimated", ()))}
        return cls(**{**values, **own})
