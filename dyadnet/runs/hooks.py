"""What the coordinator asks of callbacks, wherever they live."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

HOOKS = ("on_epoch_begin", "on_epoch_end", "on_minibatch_end", "on_evaluation_end", "on_checkpoint")
"""Hooks that the coordinator waits for; those of the run's begin and end are called by whoever trains."""

Answer = tuple[str | None, str | None]
"""Why to stop, if somebody wants to; and what was wrong, if a callback raised."""


class Hooks(Protocol):
    """Who calls a run's callbacks for the coordinator."""

    @property
    def wanted(self) -> frozenset[str]:
        """Names of the hooks, of `HOOKS`, that somebody overrides."""

    def call(self, name: str, *arguments: Any) -> Answer:
        """Call a hook, if it is wanted, and wait for it."""

    def state(self) -> dict[str, Any]:
        """Plain values of all callbacks, for a checkpoint."""

    def restore(self, state: Mapping[str, Any] | None) -> None:
        """Put all callbacks back to what `state` returned; None: to what they were when the run began."""


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
