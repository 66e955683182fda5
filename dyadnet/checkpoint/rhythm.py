"""Decide when a checkpoint is due and which ones are superseded; nothing here reads or writes files."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from dyadnet.config.checkpoints import CheckpointSpec


@dataclass(frozen=True, slots=True)
class CheckpointRef:
    """An existing checkpoint: its name, and the name of the checkpoint with the best weights at that time."""

    name: str
    best: str | None


class CheckpointSchedule:
    """Decides when the next checkpoint is due.

    Parameters
    ----------
    spec
        The settings.
    updates, now
        Number of updates, and time in seconds, at the checkpoint that the run starts from.
    """

    def __init__(self, spec: CheckpointSpec, updates: int, now: float) -> None:
        self._spec = spec
        self.taken(updates, now)

    def due(self, updates: int, now: float) -> bool:
        """Return whether to write a checkpoint now."""
        minibatches, seconds = self._spec.every_minibatches, self._spec.every_seconds
        return (minibatches is not None and updates - self._updates >= minibatches) or (
            seconds is not None and now - self._at >= seconds
        )

    def taken(self, updates: int, now: float) -> None:
        """Record that a checkpoint was written or attempted. A failed attempt also delays the next one."""
        self._updates, self._at = updates, now


def superseded(kept: Sequence[CheckpointRef], keep: int) -> list[str]:
    """Return the names of checkpoints to remove: all but the newest `keep` and the best ones that these refer to.

    Parameters
    ----------
    kept
        Existing checkpoints, oldest first.
    """
    newest = kept[-keep:]
    needed: Collection[str | None] = {one.name for one in newest} | {one.best for one in newest}
    return [one.name for one in kept if one.name not in needed]
