"""Usage errors of commands, converted to one line like all other errors."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

import typer

from dyadnet.errors import UsageError, guessed, nearest

NAME = "dyadnet"
# The class is found by name, because its package differs between typer versions.
_WRONG: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "UsageError")


def called(command: Callable[..., Any], arguments: Sequence[str] | None) -> None:
    """Run a typer command, and end this process with its exit code.

    Raises
    ------
    UsageError
        If the command line is not legal: an unknown option or command, or a value of the wrong type.
    SystemExit
        In all other cases, with the exit code.
    """
    try:
        code = command(arguments, prog_name=NAME, standalone_mode=False)
    except typer.Abort:
        code = 1
    except _WRONG as problem:
        if type(problem).__name__ == "NoArgsIsHelpError":
            # Only the command's name was given, which shows the help.
            problem.show()
            code = 2
        else:
            raise UsageError(_line(problem)) from None
    sys.exit(code if isinstance(code, int) else 0)


def _line(problem: Any) -> str:
    """Convert a typer error to one line, with the name that was probably meant or where to look it up."""
    context = getattr(problem, "ctx", None)
    where = context.command_path if context is not None else NAME
    # Typer's own guesses are in brackets or in a separate sentence.
    text = re.split(r" \(Possible options?:| Did you mean", problem.format_message())[0]
    text = " ".join(text.split()).rstrip(".")
    text = text.replace("Input should be", "it should be")
    return f"{text[:1].lower()}{text[1:]}{_guess(problem, context) or f'; see: {where} --help'}"


def _guess(problem: Any, context: Any) -> str:
    """Return a suggestion for an unknown option or command; empty if no known name is similar."""
    if context is None:
        return ""
    if type(problem).__name__ == "NoSuchOption":
        # The leading dashes would make any two options similar.
        known = [name.removeprefix("--") for each in context.command.params for name in each.opts]
        guess = nearest(problem.option_name.lstrip("-"), known)
        return "" if guess is None else f"; did you mean --{guess}?"
    missing = re.match(r"No such command '([^']*)'", problem.format_message())
    return "" if missing is None else guessed(missing[1], getattr(context.command, "commands", {}))
