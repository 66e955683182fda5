"""Output for users. A failing output never ends a command, and names are printed as the user wrote them.

A terminal may close, the reader of a pipe may exit, the disk of a log may be full, a service may lack standard error,
or an encoding may lack μ. Then progress and warnings are lost, but nothing else. Results on standard output are
different: if they cannot be printed, the command reports this in one line and ends with exit code 1.
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
    """A result could not be written to standard output."""


class LastingStream(io.TextIOBase):
    """A stream that survives errors: text that cannot be printed is discarded.

    Parameters
    ----------
    found
        Function that returns the present target; None: discard all text.
    results
        Whether the output contains results. If so, failure to print them is an error. If the reader of the pipe has
        exited, the command ends, because it only prints.
    """

    def __init__(self, found: Callable[[], Any], *, results: bool = False) -> None:
        super().__init__()
        self._found = found
        self._results = results

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Encoding of the target."""
        return getattr(self._found(), "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """Whether the target is a terminal."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            return bool(self._found().isatty())
        return False

    def fileno(self) -> int:
        """Return the file descriptor of the target."""
        there = self._found()
        if there is None:
            raise io.UnsupportedOperation("fileno")
        return int(there.fileno())

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str) -> int:
        """Print a text. Characters that the encoding lacks appear as ``\\x..``."""
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
        """Flush the target."""
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
    """Return a console for output without markup: on standard output for results, else on standard error.

    Parameters
    ----------
    options
        Options of `rich.console.Console`.
    """
    name = "stdout" if results else "stderr"

    def found() -> Any:
        # A live display replaces the stream by a proxy, which must not be used to draw the display itself.
        stream = getattr(sys, name)
        return getattr(stream, "rich_proxied_file", stream)

    stream = cast("TextIO", LastingStream(found, results=results))
    if in_notebook():
        # Notebook output accepts text, but neither terminal codes nor widgets, which may not be installed.
        options = {"force_jupyter": False, "force_terminal": False} | options
    return Console(file=stream, markup=False, emoji=False, highlight=False, **options)


def hanging(head: str, text: str, indent: int) -> str:
    """Format a term and its description with a hanging indent, in the terminal's width (default 80).

    Parameters
    ----------
    indent
        Number of characters before the description.
    """
    width = max(shutil.get_terminal_size().columns, indent + 20)
    first, rest = f"{head:<{indent - 1}} ", " " * indent
    return textwrap.fill(
        text, width, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )


def say(text: str) -> None:
    """Print one line on standard error, and ignore failures."""
    stream = LastingStream(lambda: sys.stderr)
    stream.write(f"{text}\n")
    stream.flush()


def standing() -> None:
    """Open closed ones among the three standard descriptors. Otherwise the next opened file would take their place."""
    for descriptor in range(len(STANDARD)):
        try:
            os.fstat(descriptor)
        except OSError:
            # os.open uses the lowest free descriptor, which is this one.
            opened = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(opened, True)


@contextlib.contextmanager
def lasting() -> Iterator[None]:
    """Replace the standard streams by ones that survive output errors.

    Raises
    ------
    SystemExit
        With code 1 if a result could not be printed.
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
    """Redirect a failing stream to the null device. Python would flush it again at exit and change the exit code."""
    try:
        if stream is not None:
            stream.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


def in_notebook() -> bool:
    """Whether this process is a notebook kernel, whose output can show HTML."""
    # In a kernel, IPython is already imported, so nothing needs to be imported here.
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None
