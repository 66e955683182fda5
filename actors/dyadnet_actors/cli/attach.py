"""``dyadnet attach``; entry point of the group ``dyadnet.commands``."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def attach(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run's folder, its name, or its coordinator's name.")],
    address: Annotated[str, typer.Option(help="Ray cluster: HOST:PORT, or auto for one on this machine.")] = "auto",
    stop: Annotated[
        bool, typer.Option("--stop", help="End it after the present minibatch, with a checkpoint.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object as the last line of standard output.")
    ] = False,
) -> None:
    """Come back to a run that was left to its cluster (--detach); Ctrl-C leaves it again."""
    from dyadnet.cli.progress import Bar
    from dyadnet.numerics.scores import told
    from dyadnet_actors.cluster.detach import come_back

    with Bar() as bar:
        summary = come_back(run, address, bar, stop=stop)
    of_test = {key.removeprefix("test_"): value for key, value in summary.items() if key.startswith("test_")}
    typer.echo(
        f"test {told(of_test)} (best on validation at epoch {summary['best_epoch']}) "
        f"in {summary['seconds']:.1f} s; record, curves and weights in {summary['out']}",
        err=True,
    )
    if as_json:
        typer.echo(json.dumps({"state": "stopped" if summary.get("stopped") else "finished"} | summary))
