"""What can be wrong with a trace, in words that a user can act on."""

from __future__ import annotations

from dyadnet.errors import DyadnetError, UsageError


class TraceError(UsageError):
    """A trace that cannot be used: missing, cut off, altered, or no trace at all."""


class UntracedError(DyadnetError):
    """A trace could not be written on; nothing is left of it."""
