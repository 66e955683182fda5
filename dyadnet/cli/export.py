"""``dyadnet export``: write a run's weights to one file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from dyadnet.cli.completion import WEIGHTS, among
from dyadnet.errors import ConfigError


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    kind: Annotated[str | None, typer.Option("--format", help="npz (default) or safetensors.")] = None,
    weights: Annotated[str, typer.Option(help="best or last.", autocompletion=among(WEIGHTS))] = "best",
    out: Annotated[Path | None, typer.Option(help="The file; weights.npz or .safetensors in RUN unless given.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object as the last line of standard output.")
    ] = False,
) -> None:
    """Write a run's trained weights to one file for other programs."""
    from dyadnet.runs.export.files import FORMATS
    from dyadnet.runs.export.files import export as write
    from dyadnet.runs.folder import check_file

    if weights not in ("best", "last"):
        raise ConfigError("--weights", weights, "one of best, last")
    ending = "" if out is None else (out.suffix or out.name).removeprefix(".")
    if kind is None:
        kind = ending if ending in FORMATS else "npz"
    if kind not in FORMATS:
        raise ConfigError("--format", kind, f"one of {', '.join(FORMATS)}")
    path = run / f"weights.{kind}" if out is None else out
    check_file(path, f"weights.{kind}", f".{kind}")
    exported = write(run, path, weights, kind)
    numbers = sum(array.size for array in exported.arrays.values())
    typer.echo(
        f"{len(exported.arrays)} arrays, {numbers:,} numbers of epoch {exported.manifest['epoch']}: {path}", err=True
    )
    if as_json:
        found = {"file": str(path), "weights": weights, "weights_sha256": exported.manifest["weights_sha256"]}
        typer.echo(json.dumps(found | {"arrays": {key: list(array.shape) for key, array in exported.arrays.items()}}))
