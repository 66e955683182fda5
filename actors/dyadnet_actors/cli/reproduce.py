"""``dyadnet reproduce``: runs the paper's table and figures as studies, and shows the paper's numbers beside ours."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from dyadnet.cli.completion import among
from dyadnet.cli.picture_option import FormatOption
from dyadnet.config import ClusterSpec
from dyadnet.errors import ConfigError
from dyadnet.reproduce.experiments import DATA, NAMES


def reproduce(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="table1, figure2, figure3 or translation.", autocompletion=among(NAMES)),
    ],
    data: Annotated[
        str | None, typer.Option(help="mnist (default), fashion-mnist or digits.", autocompletion=among(DATA))
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds 0, 1, ….")] = 3,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs of every run; of a translation, of the networks from scratch.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A small version on the bundled digits, in minutes.")] = False,
    out: Annotated[Path | None, typer.Option(help="Its folder; runs/reproduce-STUDY-DATA unless given.")] = None,
    max_concurrent: Annotated[int | None, typer.Option(min=1, help="Runs at a time; one a core.")] = None,
    address: Annotated[str | None, typer.Option(help="Ray cluster: HOST:PORT, or auto; its own unless given.")] = None,
    ship_code: Annotated[bool, typer.Option("--ship-code", help="Send this dyadnet to the cluster's nodes.")] = False,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the image sets.")] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run what failed again.")] = False,
    pictures: FormatOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object as the last line of standard output.")
    ] = False,
) -> None:
    """Reproduce a table or figure, or what is left of it; finished runs are never repeated.

    Table 1 and figure 2 are two views of the same runs, and share a folder.
    """
    from dyadnet.reproduce import curves, table1, translation
    from dyadnet.reproduce.experiments import STUDIES, study_of
    from dyadnet_actors.study.drive import drive

    chosen = next((known for known in NAMES if known == name), None)
    if chosen is None:
        raise ConfigError("NAME", name, f"one of {', '.join(NAMES)}")
    if quick and data not in (None, "digits"):
        raise ConfigError("--data", data, "--quick is on the digits; leave one of them out")
    data = "digits" if quick else "mnist" if data is None else data
    study = study_of(chosen, data, seeds, epochs)
    folder = out or Path("runs") / f"reproduce-{STUDIES[chosen]}-{data}"
    pages = {
        "table1": table1.write,
        "figure2": curves.figure2,
        "figure3": curves.figure3,
        "translation": translation.write,
    }
    again = ["reproduce", name, "--data", data, "--seeds", str(seeds), "--out", str(folder)]
    again += [] if epochs is None else ["--epochs", str(epochs)]
    cluster = ClusterSpec(address=address, ship_code=ship_code)
    ended = drive(study, folder, cluster, max_concurrent, data_dir, retry_failed, shown=pages[chosen], again=again)
    page = folder / f"{chosen}.md"
    typer.echo(
        f"{ended.trials} runs ({ended.ran} now): {ended.ok} ok, {ended.diverged} diverged, {ended.failed} failed, "
        f"in {ended.seconds:.1f} s; {page}, with .csv and .png beside it",
        err=True,
    )
    if as_json:
        typer.echo(json.dumps(asdict(ended) | {"page": str(page)}))
