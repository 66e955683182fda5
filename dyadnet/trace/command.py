"""``dyadnet replay``."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from dyadnet.config import RunConfig
from dyadnet.errors import DyadnetError
from dyadnet.trace.errors import TraceError


def replay(
    trace: Annotated[Path, typer.Argument(metavar="FILE", help="What dyadnet train --mode free --trace wrote.")],
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the image sets, if it is another now.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object as the last line of standard output.")
    ] = False,
) -> None:
    """Repeat a free-running run in this process, message by message, and compare the weights."""
    from dyadnet.progress import Bar
    from dyadnet.trace.file import Trace
    from dyadnet.trace.replaying import replay as again
    from dyadnet.train import load_data

    with Trace(trace) as opened:
        config = opened.config
        if data_dir is not None:
            config = config.model_copy(update={"data": config.data.model_copy(update={"dir": data_dir})})
        dataset = load_data(config)
        _check_size(trace, config)
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
        where = found.difference or "at the last minibatch, in what was learned from it"
        raise DyadnetError(f"the replay is another run; the first difference appears {where}")
    if found.difference is not None:
        raise DyadnetError(f"the weights are the same in the end, but not all the way: {found.difference}")
    typer.echo(
        f"the same; {found.relaxations} relaxations, {found.updates} updates in {found.seconds:.1f} s, "
        f"test accuracy {found.test_accuracy:.2%}",
        err=True,
    )


def _plain(found: Any) -> dict[str, Any]:
    return asdict(found) | {"same": found.same}


def _check_size(trace: Path, config: RunConfig) -> None:
    """Whether the network has room in memory at all: a trace may come from anywhere, and ask for anything."""
    sizes = {population.name: population.size for population in config.network.populations}
    weights = sum(
        sizes[p.post] * (config.network.inputs if p.from_input else sizes[p.pre]) for p in config.network.projections
    )
    needed = weights * np.dtype(config.dynamics.dtype).itemsize
    room = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > room:
        asked, there = (f"{size / 2**30:.3g}" for size in (needed, room))
        raise TraceError(f"{trace}: its network needs {asked} GiB for its weights alone, this machine has {there}")
