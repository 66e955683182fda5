"""The interface between the coordinator and callbacks, which may live in another process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

HOOKS = ("on_epoch_begin", "on_epoch_end", "on_minibatch_end", "on_evaluation_end", "on_checkpoint")
"""Hooks that the coordinator calls. The process that called `train` calls those of the run's begin and end."""

Answer = tuple[str | None, str | None]
"""The reason to stop, if a callback requested a stop, and the error, if a callback raised."""


class Hooks(Protocol):
    """Calls a run's callbacks for the coordinator."""

    @property
    def wanted(self) -> frozenset[str]:
        """Names of the hooks in `HOOKS` that some callback overrides."""

    def call(self, name: str, *arguments: Any) -> Answer:
        """Call a hook if it is wanted, and wait until it returns."""

    def state(self) -> dict[str, Any]:
        """Return the state of all callbacks as plain values, for a checkpoint."""

    def restore(self, state: Mapping[str, Any] | None) -> None:
        """Restore all callbacks to what `state` returned; None: to their state at the beginning of the run."""


class Unhooked:
    """No callbacks."""

    wanted: frozenset[str] = frozenset()

    def call(self, name: str, *arguments: Any) -> Answer:
        """See `Hooks`."""
        return None, None

    def state(self) -> dict[str, Any]:
        """See `Hooks`."""
        return {}

    def restore(self, state: Mapping[str, Any] | None) -> None:
        """See `Hooks`."""
