"""``dyadnet status`` and ``dyadnet top``; entry points of the group ``dyadnet.commands``."""

from __future__ import annotations

import json
import time
from typing import Annotated

import typer

from dyadnet.errors import ConfigError

Address = Annotated[str, typer.Option(help="Ray cluster: HOST:PORT, or auto for one on this machine.")]


def status(
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="What each actor of it waits for.")] = None,
    address: Address = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """The runs on a cluster, or one of them, what each of its actors waits for, and where the waiting ends."""
    from actors import runs as cluster
    from actors.cluster import connected
    from actors.screen import chains, console, overview, waiting
    from dyadnet.config import ClusterSpec

    screen = console()
    with connected(ClusterSpec(address=address)):
        found = cluster.runs()
        shown = found if run is None else [cluster.chosen(found, run)]
        standing = {} if run is None else cluster.standing(shown[0].coordinator)
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
            screen.print(chains(standing["waiting"]))


def top(
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="Needed if there is more than one.")] = None,
    address: Address = "auto",
    interval: Annotated[float, typer.Option(help="Seconds between two looks.")] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Draw one picture and leave.")] = False,
) -> None:
    """A live view of a run: residual, saturation, updates, message ages and waiting, block by block."""
    from rich.live import Live

    from actors import runs as cluster
    from actors.cluster import connected
    from actors.screen import board, console, rates
    from dyadnet.config import ClusterSpec

    if not 0.1 <= interval <= 3600:
        raise ConfigError("--interval", interval, "seconds from 0.1 to 3600")
    screen = console()
    with connected(ClusterSpec(address=address)):
        chosen = cluster.chosen(cluster.runs(), run)
        glance = chosen.glance or None
        if once:
            if glance is not None:
                screen.print(board(glance, rates(glance)))
            else:
                screen.print(f"{chosen.name} does not answer")
            return
        try:
            with Live(console=screen, screen=screen.is_terminal, auto_refresh=False) as live:
                before = None
                while glance is not None:
                    if glance:
                        live.update(board(glance, rates(glance, before)), refresh=True)
                        before = glance
                    time.sleep(interval)
                    glance = cluster.glance(chosen.coordinator)
        except KeyboardInterrupt:
            return
    screen.print(f"{chosen.name} is over")


def _brief(glance: dict[str, object]) -> dict[str, object]:
    """A glance without what only drawings need."""
    return {name: value for name, value in glance.items() if name not in ("network", "curve", "epoch_curve", "edges")}
