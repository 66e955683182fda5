"""Errors that dyadnet raises, with messages that a user can act on.

Every error that a user may cause derives from `DyadnetError` and prints as one line. The command line turns
`UsageError` (a bad setting, bad data, a bad command) into exit code 2 and every other `DyadnetError` into 1, unless
the class states its own code.
"""

from __future__ import annotations

import difflib
import errno
import re
from collections.abc import Iterable

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Error codes of the operating system for a full device, a full quota or a file size limit."""
CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS)


class DyadnetError(Exception):
    """Base of every error that dyadnet raises on purpose."""

    exit_code = 1


class UsageError(DyadnetError):
    """An error that the user can correct: a setting, a file or a command is not legal."""

    exit_code = 2


class ConfigError(UsageError):
    """A setting that is not legal.

    Parameters
    ----------
    field
        Dotted path of the setting, as it is written in YAML or after ``--set``.
    value
        The value that was given.
    legal
        The legal values, or what to do instead.
    """

    def __init__(self, field: str, value: object, legal: str) -> None:
        super().__init__(f"{field}: {_brief(value)} is not legal; {legal}{_hint(value, legal)}")
        self.field = field
        self.value = value
        self.legal = legal

    def __reduce__(self) -> tuple[object, ...]:
        return (ConfigError, (self.field, self.value, self.legal))


class DataError(UsageError):
    """A data file that is missing, damaged or holds illegal values."""


class RunFolderError(UsageError):
    """A run folder that cannot be used: already taken, unreadable, or of another network."""


class StoppedError(DyadnetError):
    """A signal stopped the command early. The work so far is saved, and the message says how to resume."""

    exit_code = 75


class StoppedAtOnceError(StoppedError):
    """The user stopped the command at once. Only work that was already written to disk is saved."""

    exit_code = 1


class LeftError(DyadnetError):
    """The command leaves a run that continues in the background. This is not a failure."""

    exit_code = 0


class DivergedError(DyadnetError):
    """A relaxation diverges or oscillates instead of settling.

    Attributes
    ----------
    block, tick, why
        Block and tick at which it was noticed, and its symptom.
    """

    def __init__(self, block: str, tick: int, why: str, advice: str = "") -> None:
        super().__init__(f"diverging in block {block} at tick {tick}: {why}{'; ' if advice else ''}{advice}")
        self.block = block
        self.tick = tick
        self.why = why
        self.advice = advice

    def __reduce__(self) -> tuple[object, ...]:
        return (DivergedError, (self.block, self.tick, self.why, self.advice))


def nearest(given: object, known: Iterable[str]) -> str | None:
    """Return the known name that was probably meant, or None if no known name is similar."""
    if not isinstance(given, str):
        return None
    plain = {name.lower().replace("_", "-"): name for name in known}
    # A name of three letters with two of them swapped has a similarity of two thirds.
    found = difflib.get_close_matches(given.lower().replace("_", "-"), plain, n=1, cutoff=0.66)
    return plain[found[0]] if found else None


def guessed(given: object, known: Iterable[str]) -> str:
    """Return the end of an error message that suggests the name that was probably meant; empty if none is similar."""
    guess = nearest(given, known)
    return "" if guess is None or guess == given else f"; did you mean {guess}?"


def _hint(value: object, legal: str) -> str:
    """Return a suggestion of the name that was probably meant if `legal` contains a list of names; else empty."""
    listed = re.search(r"\bone of ([^;]+)", legal)
    if listed is None or "did you mean" in legal:
        return ""
    names = re.sub(r"\s*\([^)]*\)", "", listed[1])
    return guessed(value, [name.strip() for name in names.split(",")])


def _brief(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


class StoreError(DyadnetError):
    """A file of a checkpoint could not be written. The previous content is unchanged."""


class CheckpointError(RunFolderError):
    """A checkpoint that cannot be used: half written, altered, missing, or of another run."""


def unwritten(where: str, problem: OSError) -> StoreError:
    """Return the error for a file that could not be written, with advice for the user."""
    remedy = "look at the folder, or name another by --set checkpoint.folder=..."
    if problem.errno in FULL:
        remedy = "free space there, or name another folder by --set checkpoint.folder=..."
    elif problem.errno in CLOSED:
        remedy = "make the folder writable, or name another by --set checkpoint.folder=..."
    return StoreError(f"{where}: it cannot be written ({problem.strerror or problem}); {remedy}")


class TraceError(UsageError):
    """A trace that cannot be used: missing, truncated, altered, or not a trace at all."""


class UntracedError(DyadnetError):
    """Writing to a trace failed. The trace has been deleted."""


class CallbackError(DyadnetError):
    """A callback raised. The run has ended, and the message says how to resume it."""


class MetricError(DyadnetError):
    """A user's block metric raised, or returned something that is not a number."""
