"""The option ``--format`` of commands that draw."""

from __future__ import annotations

from typing import Annotated, get_args

import typer

from dyadnet.cli.completion import among
from dyadnet.config.pictures import Format, also_as


def _chosen(context: typer.Context, value: str | None) -> str | None:
    if value is not None:
        context.with_resource(also_as(value))
    return value


FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        callback=_chosen,
        help="pdf or svg: save every picture in this format too, beside .png.",
        autocompletion=among(get_args(Format)),
    ),
]
"""Option of a command that draws. The command itself need not handle it."""
