"""What can go wrong with checkpoints, in words that a user can act on."""

from __future__ import annotations

import errno

from dyadnet.errors import DyadnetError, RunFolderError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Codes of the system for: there is no room."""
CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS)


class StoreError(DyadnetError):
    """A file of a checkpoint could not be written; what was there before still is."""


class CheckpointError(RunFolderError):
    """A checkpoint that cannot be used: half written, altered, missing, or of another run."""


def unwritten(where: str, problem: OSError) -> StoreError:
    """The error for a file that could not be written, with what to do about it."""
    remedy = "look at the folder, or name another by --set checkpoint.folder=..."
    if problem.errno in FULL:
        remedy = "free space there, or name another folder by --set checkpoint.folder=..."
    elif problem.errno in CLOSED:
        remedy = "make the folder writable, or name another by --set checkpoint.folder=..."
    return StoreError(f"{where}: it cannot be written ({problem.strerror or problem}); {remedy}")
