"""``dyadnet real-limits``; entry point of the group ``dyadnet.commands``."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated

import typer

from dyadnet.cli.picture_option import FormatOption
from dyadnet.errors import ConfigError, RunFolderError


def real_limits(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run; its feedback must be able to circle.")],
    delays: Annotated[str, typer.Option(help="Message delays in milliseconds, besides what links take.")] = "10,20,40",
    samples: Annotated[int, typer.Option(min=1, help="Test samples that settle together.")] = 10,
    out: Annotated[Path | None, typer.Option(help="Folder for data and picture; the run's unless given.")] = None,
    address: Annotated[str | None, typer.Option(help="Ray cluster: HOST:PORT, or auto; its own unless given.")] = None,
    placement: Annotated[str, typer.Option(help="pack, spread or strict-spread.")] = "pack",
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the data, if it has moved.")] = None,
    pictures: FormatOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object as the last line of standard output.")
    ] = False,
) -> None:
    """The smallest stable time constant of free-running actors against delay, theory beside measurement."""
    from dataclasses import asdict

    from dyadnet.config import ClusterSpec
    from dyadnet.process.console import for_people
    from dyadnet.process.signals import interruptible
    from dyadnet.runs.folder import saved_weights
    from dyadnet.training.evaluation import load
    from dyadnet_actors.cluster.connection import connected

    asked = _numbers(delays)
    if not saved_weights(run, "best").exists():
        raise RunFolderError(f"{run}: no saved weights here; train a network first")
    folder = run if out is None else out
    if folder.exists() and not folder.is_dir():
        raise RunFolderError(f"--out {folder}: this is a file; name a folder")
    saved = load(run, "best", data_dir)
    couplings = tuple(saved.couplings)
    if len(set(couplings)) != 1 or couplings[0] == 0.0:
        raise ConfigError("RUN", str(run), "a network whose projections have one κ, and not 0: nothing else circles")
    cluster = ClusterSpec.model_validate({"address": address, "placement": placement})
    console = for_people()
    with console.status("the network's equilibria") as status, connected(cluster) as watchdog, interruptible():
        from dyadnet_actors.limits.measure import measure, prepared
        from dyadnet_actors.limits.report import report

        experiment, radius = prepared(saved.config, saved.parameters, couplings, saved.dataset, samples, cluster)
        if radius <= 1.0:
            raise ConfigError(
                "RUN", str(run), f"a largest |e| of F·W above 1; here it is {radius:.2f}, and any T settles"
            )

        def told(text: str) -> None:
            console.print(text)

        status.update(f"largest |e| of F·W {radius:.2f}; settling under delays of {delays} ms")
        edges = measure(experiment, radius, asked, watchdog, told)
    if not edges:
        raise RunFolderError(f"{run}: no edge of stability was found at any delay")
    folder.mkdir(parents=True, exist_ok=True)
    paths = report(folder, edges)
    typer.echo(f"written: {', '.join(map(str, paths))}", err=True)
    if as_json:
        typer.echo(json.dumps({"run": str(run), "edges": [asdict(edge) for edge in edges]}))


def _numbers(text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or not all(math.isfinite(number) and 0 < number <= 10_000 for number in found):
        raise ConfigError("--delays", text, "milliseconds above 0 with commas between, such as 10,20,40")
    return found
