"""What is wrong with how a command is written, in one line like every other mistake."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

import typer

from dyadnet.errors import UsageError, guessed, nearest

NAME = "dyadnet"
# By its name, since from version to version typer finds it in another package.
_WRONG: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "UsageError")


def called(command: Callable[..., Any], arguments: Sequence[str] | None) -> None:
    """Run a command of typer's, and end this process with its exit code.

    Raises
    ------
    UsageError
        If it is not written as it may be: an option or command that there is not, a value of another kind.
    SystemExit
        In any other case, with its exit code.
    """
    try:
        code = command(arguments, prog_name=NAME, standalone_mode=False)
    except typer.Abort:
        code = 1
    except _WRONG as problem:
        if type(problem).__name__ == "NoArgsIsHelpError":
            # Only its name was written, which asks for help.
            problem.show()
            code = 2
        else:
            raise UsageError(_line(problem)) from None
    sys.exit(code if isinstance(code, int) else 0)


def _line(problem: Any) -> str:
    """A complaint of typer's in one line, with what was probably meant or where to look it up."""
    context = getattr(problem, "ctx", None)
    where = context.command_path if context is not None else NAME
    # What typer would guess stands in brackets or in a sentence of its own.
    text = re.split(r" \(Possible options?:| Did you mean", problem.format_message())[0]
    text = " ".join(text.split()).rstrip(".")
    text = text.replace("Input should be", "it should be")
    return f"{text[:1].lower()}{text[1:]}{_guess(problem, context) or f'; see: {where} --help'}"


def _guess(problem: Any, context: Any) -> str:
    """What was probably meant by the name of an option or a command that there is not; empty if nothing is near."""
    if context is None:
        return ""
    if type(problem).__name__ == "NoSuchOption":
        # Two dashes make any two options alike.
        known = [name.removeprefix("--") for each in context.command.params for name in each.opts]
        guess = nearest(problem.option_name.lstrip("-"), known)
        return "" if guess is None else f"; did you mean --{guess}?"
    missing = re.match(r"No such command '([^']*)'", problem.format_message())
    return "" if missing is None else guessed(missing[1], getattr(context.command, "commands", {}))
