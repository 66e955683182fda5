"""When a checkpoint is due, and which are not needed any more: pure decisions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from dyadnet.config.checkpoints import CheckpointSpec


@dataclass(frozen=True, slots=True)
class CheckpointRef:
    """A checkpoint that there is: its name, and the one that holds the best weights as it knows them."""

    name: str
    best: str | None


class CheckpointSchedule:
    """Says when the next checkpoint is due.

    Parameters
    ----------
    spec
        The settings.
    updates, now
        Minibatches learned from, and the time in seconds, of the checkpoint that the run begins at.
    """

    def __init__(self, spec: CheckpointSpec, updates: int, now: float) -> None:
        self._spec = spec
        self.taken(updates, now)

    def due(self, updates: int, now: float) -> bool:
        """Whether to write one now."""
        minibatches, seconds = self._spec.every_minibatches, self._spec.every_seconds
        return (minibatches is not None and updates - self._updates >= minibatches) or (
            seconds is not None and now - self._at >= seconds
        )

    def taken(self, updates: int, now: float) -> None:
        """One was written or tried: the next comes in its time, also where the disk is full."""
        self._updates, self._at = updates, now


def superseded(kept: Sequence[CheckpointRef], keep: int) -> list[str]:
    """Names of those that can go: all but the newest `keep` and the best that these refer to.

    Parameters
    ----------
    kept
        Oldest first.
    """
    newest = kept[-keep:]
    needed: Collection[str | None] = {one.name for one in newest} | {one.best for one in newest}
    return [one.name for one in kept if one.name not in needed]
