"""``dyadnet presets``: list the presets from which runs may start."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from dyadnet.process.console import hanging


def presets(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object as the last line of standard output.")
    ] = False,
) -> None:
    """The presets: name, data, what they are, and what each model reached on the test part."""
    from dyadnet.config.presets import known
    from dyadnet.network.description import MODELS

    found = known()
    for one in found:
        of = f"{one.data}: " if one.data != one.name else ""
        reached = ", ".join(f"{model} {score}" for model, score in one.reached.items())
        typer.echo(hanging(one.name, f"{of}{one.about}{f' ({reached})' if reached else ''}", 20), err=as_json)
    typer.echo(f"\nEach for --model {', '.join(MODELS)}: dyadnet train --preset NAME", err=as_json)
    if as_json:
        typer.echo(json.dumps({one.name: asdict(one) | {"models": list(MODELS)} for one in found}))
