"""``--plugin MODULE``, an option of every command: import a user's module first, so that its registrations exist.

A configuration file never names code; only the user who runs a command does.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer

from dyadnet.errors import ConfigError, DyadnetError
from dyadnet.registry import PLUGINS


def imported(modules: Sequence[str] | None) -> None:
    """Import modules by name. The working directory comes first in the search path.

    Raises
    ------
    ConfigError
        If a module cannot be imported, or if it registers something illegal.
    """
    for name in modules or ():
        if (here := os.getcwd()) not in sys.path:  # noqa: PTH109 - as Python writes it there
            sys.path.insert(0, here)
        try:
            importlib.import_module(name)
        except DyadnetError as problem:
            raise ConfigError("--plugin", name, str(problem)) from problem
        except Exception as problem:  # The import of a module can raise anything.
            why = f"{type(problem).__name__}: {' '.join(str(problem).split())[:200]}"
            legal = "name a module as Python imports it, such as mine for mine.py here"
            raise ConfigError("--plugin", name, f"it cannot be imported ({why}); {legal}") from problem
        if name not in PLUGINS:
            PLUGINS.append(name)


def offered(command: Any) -> Any:
    """Add the option to a typer command and all its subcommands. Return the command."""
    single = typer.Typer(add_completion=False)
    single.command()(_option)
    (plugin,) = (option for option in typer.main.get_command(single).params if option.name == "plugin")
    for one in _leaves(command):
        if plugin.name not in {known.name for known in one.params}:
            one.params.append(plugin)
    return command


def _option(
    plugin: Annotated[
        list[str] | None,
        typer.Option(
            "--plugin",
            metavar="MODULE",
            help="Python module that registers what is your own; may be repeated.",
            is_eager=True,
            expose_value=False,
            callback=imported,
        ),
    ] = None,
) -> None:
    """Define the option. Only the parameter of this function is used."""


def _leaves(command: Any) -> Iterator[Any]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield command
        return
    for one in inner.values():
        yield from _leaves(one)
