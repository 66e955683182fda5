"""``dyadnet status`` and ``dyadnet top``; entry points of the group ``dyadnet.commands``."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from dyadnet.errors import ConfigError, UsageError

Address = Annotated[str, typer.Option(help="Ray cluster: HOST:PORT, or auto for one on this machine.")]


def status(
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="A run's folder, or the name of one on the cluster.")
    ] = None,
    address: Address = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """The runs on a cluster, or one of them: what each actor waits for; of a folder, how its run ended."""
    from dyadnet.config import ClusterSpec
    from dyadnet_actors.cli.screen import chains, console, overview, waiting
    from dyadnet_actors.cluster import discovery as cluster
    from dyadnet_actors.cluster.connection import connected

    folder = None if run is None else _folder(run)
    if folder is not None and not _on_cluster(folder):
        _tell(folder, as_json=as_json)
        return
    wanted = None if run is None else Path(run).name
    screen = console()
    try:
        with connected(ClusterSpec(address=address)):
            found = cluster.runs()
            shown = found if wanted is None else [cluster.chosen(found, wanted)]
            standing = {} if wanted is None else cluster.standing(shown[0].coordinator)
    except UsageError as problem:
        if folder is not None:
            # A run with its own cluster can be seen only through its folder.
            _tell(folder, as_json=as_json)
            return
        raise problem if run is None else _nowhere(run, problem) from None
    if as_json:
        told = [{"coordinator": one.coordinator, **_brief(one.glance)} for one in shown]
        typer.echo(json.dumps({"runs": told} if run is None else told[0] | standing))
        return
    if not shown:
        screen.print("no run is on this cluster")
        return
    screen.print(overview([(one.coordinator, one.glance) for one in shown]))
    if run is not None:
        screen.print()
        screen.print(waiting(standing["actors"], shown[0].glance))
        if standing["waiting"] is not None:
            screen.print()
            screen.print(chains(standing["waiting"], shown[0].glance.get("mode", "lockstep")))


def top(
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="Needed if there is more than one.")] = None,
    address: Address = "auto",
    interval: Annotated[float, typer.Option(help="Seconds between two looks.")] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Draw one picture and leave.")] = False,
) -> None:
    """A live view of a run: residual, saturation, updates, message ages and waiting, block by block."""
    from rich.live import Live

    from dyadnet.config import ClusterSpec
    from dyadnet_actors.cli.screen import board, console, rates
    from dyadnet_actors.cluster import discovery as cluster
    from dyadnet_actors.cluster.connection import connected

    if not 0.1 <= interval <= 3600:
        raise ConfigError("--interval", interval, "seconds from 0.1 to 3600")
    screen = console()
    with connected(ClusterSpec(address=address)):
        chosen = cluster.chosen(cluster.runs(), None if run is None else Path(run).name)
        glance = chosen.glance or None
        if once:
            if glance is not None:
                screen.print(board(glance, rates(glance), screen.width))
            else:
                screen.print(f"{chosen.name} does not answer")
            return
        try:
            with Live(console=screen, screen=screen.is_terminal, auto_refresh=False) as live:
                before = None
                while glance is not None:
                    if glance:
                        live.update(board(glance, rates(glance, before), screen.width), refresh=True)
                        before = glance
                    time.sleep(interval)
                    glance = cluster.glance(chosen.coordinator)
        except KeyboardInterrupt:
            return
    screen.print(f"{chosen.name} is over")


def _folder(run: str) -> Path | None:
    """Return the folder that holds a run; None if the name may be that of a run on the cluster.

    Raises
    ------
    UsageError
        If the name can only be a path, and no run is there.
    """
    from dyadnet.runs.folder import CONFIG

    folder = Path(run)
    if (folder / CONFIG).is_file():
        return folder
    if len(folder.parts) != 1 or folder.name in ("", ".."):
        raise UsageError(f"{run}: {_lack(folder)}; runs on the cluster are listed by: dyadnet status")
    return None


def _lack(folder: Path) -> str:
    """Return the reason why a path is not a run's folder."""
    return "no run is in this folder" if folder.is_dir() else "there is no such folder"


def _on_cluster(folder: Path) -> bool:
    """Return whether the run of a folder is running on a cluster, which knows more about it."""
    from dyadnet.runs.folder import read_config
    from dyadnet.runs.status import read_status

    return read_status(folder).state == "running" and read_config(folder).engine == "ray"


def _nowhere(run: str, problem: UsageError) -> UsageError:
    """Return the error for a name that is neither a run's folder nor a run on the cluster."""
    why = str(problem)
    if isinstance(problem, ConfigError) and problem.value == "auto":
        why = "and no cluster here could have a run of this name"
    return UsageError(f"{run}: {_lack(Path(run))}, {why}")


def _tell(run: Path, *, as_json: bool) -> None:
    """Print the status of the run of a folder."""
    from dyadnet.runs.folder import read_config, read_metrics
    from dyadnet.runs.record_lines import ended
    from dyadnet.runs.status import read_status

    config, found = read_config(run), read_status(run)
    epochs = ended(read_metrics(run))
    if as_json:
        typer.echo(json.dumps({"run": str(run), **found.plain(), "epochs": epochs, "of": config.learning.epochs}))
    else:
        typer.echo(f"{run} {found}; {epochs} of {config.learning.epochs} epochs")


def _brief(glance: dict[str, object]) -> dict[str, object]:
    """Return a glance without the fields that only drawings need."""
    return {name: value for name, value in glance.items() if name not in ("network", "curve", "epoch_curve", "edges")}
