"""``dyadnet report``: one HTML page about one run, or about several side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, get_args

import typer

from dyadnet.cli.completion import among
from dyadnet.config.pictures import Format
from dyadnet.errors import ConfigError


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders of runs, finished or not.")],
    out: Annotated[
        Path | None, typer.Option(help="The page, .html; report.html in the run's folder, or here for several runs.")
    ] = None,
    picture: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="pdf or svg: draw the runs' pictures anew, in this format too.",
            autocompletion=among(get_args(Format)),
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object as the last line of standard output.")
    ] = False,
) -> None:
    """Write one HTML page that shows a run, or compares several; it opens anywhere, without a network."""
    from dyadnet.reporting.contents import contents
    from dyadnet.reporting.page import REPORT, rendered
    from dyadnet.reporting.reading import read
    from dyadnet.runs.folder import check_file, whole
    from dyadnet.training.api import pictures as draw

    path = out or (runs[0] / REPORT if len(runs) == 1 else Path(REPORT))
    check_file(path, REPORT, ".html", ".htm")
    if picture is not None and picture not in get_args(Format):
        raise ConfigError("--format", picture, f"one of {', '.join(get_args(Format))}")
    found = [contents(read(run)) for run in runs]
    text = rendered(found)
    with whole(path) as fresh:
        fresh.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(text, encoding="utf-8")
    for folder in runs if picture is not None else ():
        try:
            draw(folder, picture)
        except Exception as problem:  # A damaged record can cause any error. The report says what is missing.
            typer.echo(f"{folder}: no pictures: {type(problem).__name__}: {' '.join(str(problem).split())}", err=True)
    for run in found:
        for gap in run["missing"]:
            typer.echo(f"{run['path']}: missing: {gap}", err=True)
    typer.echo(f"report of {len(runs)} run{'s' if len(runs) > 1 else ''}: {path}", err=True)
    if as_json:
        typer.echo(json.dumps({"report": str(path), "runs": {str(run["path"]): run["state"] for run in found}}))
