"""``dyadnet resume``: continue a run from its last checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from dyadnet.checkpoint.continuing import FREE
from dyadnet.cli.completion import among, engines, settings_from
from dyadnet.config.overrides import assigned, merged
from dyadnet.errors import StoppedAtOnceError
from dyadnet.process.commands import command


def resume(
    run: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run that stopped before its end.")],
    engine: Annotated[
        str | None, typer.Option(help="ray or local; the run's own unless given.", autocompletion=among(engines))
    ] = None,
    actors: Annotated[int | None, typer.Option(help="Actors that share the blocks.")] = None,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster: HOST:PORT, auto, or own for one of its own.")
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Leave the run to the cluster of --address; see dyadnet attach.")
    ] = False,
    epochs: Annotated[int | None, typer.Option(help="Epochs in all, those already trained included.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the data, if it has moved.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="key.path=value",
            help="Change cluster, recovery, faults, metrics, checkpoint; data.name if moved; record.trace=null.",
            autocompletion=settings_from(*FREE),
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object as the last line of standard output.")
    ] = False,
) -> None:
    """Go on with a run from its last checkpoint, to the same bits as if it had never stopped."""
    from dyadnet.cli.progress import Bar
    from dyadnet.training.api import resume as go_on

    changes: dict[str, Any] = {}
    flags: list[tuple[str, Any]] = [
        ("engine", engine),
        ("cluster.actors", actors),
        ("cluster.address", address),
        ("cluster.detach", detach or None),
        ("learning.epochs", epochs),
        ("data.dir", None if data_dir is None else str(data_dir)),
    ]
    for path, value in flags:
        if value is not None:
            for key in reversed(path.split(".")):
                value = {key: value}
            changes = merged(changes, value)
    if address == "own":
        changes["cluster"]["address"] = None
    for assignment in settings or []:
        changes = assigned(changes, assignment)
    try:
        with Bar() as bar:
            summary = go_on(run, changes, bar).summary
    except KeyboardInterrupt:
        again = command("resume", str(run))
        raise StoppedAtOnceError(f"stopped at once; go on from its last checkpoint with: {again}") from None
    typer.echo(
        f"{summary.told} (best on validation at epoch {summary.best_epoch}); "
        f"record, curves and weights in {summary.out}"
        + (f"; stopped early: {summary.stopped}" if summary.stopped else ""),
        err=True,
    )
    if as_json:
        typer.echo(json.dumps({"state": "stopped" if summary.stopped else "finished"} | summary.plain()))
