"""``dyadnet replay``: repeat a free-running run from its trace."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from dyadnet.errors import DyadnetError
from dyadnet.numerics.scores import told


def replay(
    trace: Annotated[
        Path, typer.Argument(metavar="FILE", help="A trace that dyadnet train --mode free --trace wrote.")
    ],
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the data, if it has moved.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object as the last line of standard output.")
    ] = False,
) -> None:
    """Repeat a free-running run in this process, message by message, and compare the weights."""
    from dyadnet.cli.progress import Bar
    from dyadnet.config.memory import check_room
    from dyadnet.runs.trace import Trace
    from dyadnet.training.api import load_data
    from dyadnet.training.replay import replay as again

    with Trace(trace) as opened:
        config = opened.config
        if data_dir is not None:
            config = config.model_copy(update={"data": config.data.model_copy(update={"dir": data_dir})})
        dataset = load_data(config)
        check_room(config)
        try:
            with Bar() as bar:
                found = again(opened, config, dataset, bar)
        except KeyboardInterrupt:
            raise DyadnetError("stopped; nothing was written") from None
    typer.echo(f"recorded weights {found.recorded_sha256}", err=True)
    typer.echo(f"replayed weights {found.weights_sha256}", err=True)
    if as_json:
        typer.echo(json.dumps(_plain(found)))
    if not found.same:
        where = found.difference or "at the last minibatch, in its update"
        raise DyadnetError(f"the replay differs from the run; the first difference is {where}")
    if found.difference is not None:
        raise DyadnetError(f"the final weights are the same, but the replay differs on the way: {found.difference}")
    typer.echo(
        f"the same; {found.relaxations} relaxations, {found.updates} updates in {found.seconds:.1f} s, "
        f"test {told(found.scores)}",
        err=True,
    )


def _plain(found: Any) -> dict[str, Any]:
    values = {key: value for key, value in asdict(found).items() if key != "scores"}
    return values | {f"test_{name}": value for name, value in found.scores.items()} | {"same": found.same}
