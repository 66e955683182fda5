"""What is printed for people: it never ends what is done, and what users named is printed as they wrote it.

A terminal goes, a pipe's reader leaves, a log's disk fills up, a service has no standard error at all, or an encoding
without μ: progress and warnings are lost then, and nothing else. Results on standard output are another thing: who
asked for them is told in one line, with exit code 1, that they are not there.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import Any, TextIO, cast

from dyadnet.errors import DyadnetError
from dyadnet.process.guest import undrawn

with undrawn():
    from rich.console import Console

STANDARD = ("stdin", "stdout", "stderr")


class UnprintedError(DyadnetError):
    """A result that standard output did not take."""


class LastingStream(io.TextIOBase):
    """A stream that lasts: what cannot be printed is lost.

    Parameters
    ----------
    found
        Where it goes at the moment; None: nowhere.
    results
        Whether somebody waits for what is printed. That it could not be is an error then, and that nobody reads it any
        more the end of a command that does nothing but print.
    """

    def __init__(self, found: Callable[[], Any], *, results: bool = False) -> None:
        super().__init__()
        self._found = found
        self._results = results

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Of what it goes to."""
        return getattr(self._found(), "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            return bool(self._found().isatty())
        return False

    def fileno(self) -> int:
        """Of what it goes to."""
        there = self._found()
        if there is None:
            raise io.UnsupportedOperation("fileno")
        return int(there.fileno())

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, text: str) -> int:
        """Print, with ``\\x..`` for what the encoding does not have."""
        there = self._found()
        if there is not None:
            encoding = self.encoding
            with self._lost():
                try:
                    there.write(text)
                except UnicodeEncodeError:
                    there.write(text.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def flush(self) -> None:
        """Have it printed now."""
        there = self._found()
        if there is not None:
            with self._lost():
                there.flush()

    @contextlib.contextmanager
    def _lost(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            if self._results:
                raise SystemExit(0) from None
        except (OSError, ValueError) as problem:
            if self._results:
                why = getattr(problem, "strerror", None) or problem
                raise UnprintedError(f"standard output: it cannot be written ({why}); send it elsewhere") from None


def for_people(*, results: bool = False, **options: Any) -> Console:
    """Where to print for people, nothing of it as markup; standard output for results.

    Parameters
    ----------
    options
        Of `rich.console.Console`.
    """
    name = "stdout" if results else "stderr"

    def found() -> Any:
        # A live display puts itself in the stream's place, and would draw itself.
        stream = getattr(sys, name)
        return getattr(stream, "rich_proxied_file", stream)

    stream = cast("TextIO", LastingStream(found, results=results))
    if in_notebook():
        # Its output takes text, and neither a terminal's codes nor widgets that may not be installed.
        options = {"force_jupyter": False, "force_terminal": False} | options
    return Console(file=stream, markup=False, emoji=False, highlight=False, **options)


def hanging(head: str, text: str, indent: int) -> str:
    """A word and what is told of it beside it, in as many lines as it takes at the terminal's width (80 elsewhere).

    Parameters
    ----------
    indent
        Characters before what is told.
    """
    width = max(shutil.get_terminal_size().columns, indent + 20)
    first, rest = f"{head:<{indent - 1}} ", " " * indent
    return textwrap.fill(
        text, width, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )


def say(text: str) -> None:
    """One line on standard error, whatever has become of that."""
    stream = LastingStream(lambda: sys.stderr)
    stream.write(f"{text}\n")
    stream.flush()


def standing() -> None:
    """Open what is closed of the three standard descriptors, lest the next file that is opened takes their place."""
    for descriptor in range(len(STANDARD)):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest that is free, which is this one.
            opened = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(opened, True)


@contextlib.contextmanager
def lasting() -> Iterator[None]:
    """The standard streams of a command, which nothing that is printed ends.

    Raises
    ------
    SystemExit
        With 1 if a result could not be printed.
    """
    standing()
    before = sys.stdout, sys.stderr
    sys.stdout = cast("TextIO", LastingStream(lambda: before[0], results=True))
    sys.stderr = cast("TextIO", LastingStream(lambda: before[1]))
    try:
        try:
            yield
        finally:
            sys.stderr.flush()
            sys.stdout.flush()
    except UnprintedError as problem:
        say(f"dyadnet: {problem}")
        raise SystemExit(problem.exit_code) from None
    finally:
        sys.stdout, sys.stderr = before
        for stream in before:
            _given_up(stream)


def _given_up(stream: Any) -> None:
    """Leave nothing in a stream that takes no more: it would be tried again at exit, and change the exit code."""
    try:
        if stream is not None:
            stream.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


def in_notebook() -> bool:
    """Whether this program is a notebook's kernel, whose output can show HTML."""
    # Where it is one, IPython has been imported: nothing else has to be.
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None
