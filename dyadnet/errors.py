"""What can go wrong, in words that a user can act on.

Everything that a user may cause derives from `DyadnetError` and prints as one line. The command line turns
`UsageError` (a bad setting, bad data, a bad command) into exit code 2 and every other `DyadnetError` into 1.
"""

from __future__ import annotations

import difflib
import errno
import re
from collections.abc import Iterable

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Codes of the system for: there is no room."""
CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS)


class DyadnetError(Exception):
    """Base of every error that dyadnet raises on purpose."""

    exit_code = 1


class UsageError(DyadnetError):
    """The user can mend it: a setting, a file or a command is not legal."""

    exit_code = 2


class ConfigError(UsageError):
    """A setting that is not legal.

    Parameters
    ----------
    field
        Dotted path of the setting, as it is written in YAML or after ``--set``.
    value
        What was given.
    legal
        What would have been accepted, or what to do instead.
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
    """A run's folder that cannot be used: taken, unreadable, or of another network."""


class StoppedError(DyadnetError):
    """A signal ended it before its end; what was done is kept, and the message says how to go on."""

    exit_code = 75


class StoppedAtOnceError(StoppedError):
    """Somebody ended it at once; what it had done by then is kept as far as it was written."""

    exit_code = 1


class LeftError(DyadnetError):
    """A run goes on without us; nothing is wrong."""

    exit_code = 0


class DivergedError(DyadnetError):
    """A relaxation that runs away or circles instead of settling.

    Attributes
    ----------
    block, tick, why
        Where and when it was noticed, and the sign of it.
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
    """The name that was probably meant; None if none is near."""
    if not isinstance(given, str):
        return None
    plain = {name.lower().replace("_", "-"): name for name in known}
    # Of three letters, two that stand in the wrong order leave two thirds of the word.
    found = difflib.get_close_matches(given.lower().replace("_", "-"), plain, n=1, cutoff=0.66)
    return plain[found[0]] if found else None


def guessed(given: object, known: Iterable[str]) -> str:
    """How a complaint ends: with the name that was probably meant; empty if none is near."""
    guess = nearest(given, known)
    return "" if guess is None or guess == given else f"; did you mean {guess}?"


def _hint(value: object, legal: str) -> str:
    """What was probably meant where what is legal holds a list of names."""
    listed = re.search(r"\bone of ([^;]+)", legal)
    if listed is None or "did you mean" in legal:
        return ""
    names = re.sub(r"\s*\([^)]*\)", "", listed[1])
    return guessed(value, [name.strip() for name in names.split(",")])


def _brief(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


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


class TraceError(UsageError):
    """A trace that cannot be used: missing, cut off, altered, or no trace at all."""


class UntracedError(DyadnetError):
    """A trace could not be written on; nothing is left of it."""


class CallbackError(DyadnetError):
    """A callback raised; the run has ended, and the message says how to go on."""


class MetricError(DyadnetError):
    """A block metric of one's own raised, or gave something that is no number."""
