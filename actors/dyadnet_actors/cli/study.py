"""``dyadnet study``: many small runs over a grid or random draws of settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dyadnet.cli.completion import among, studies
from dyadnet.cli.picture_option import FormatOption
from dyadnet.config import ClusterSpec
from dyadnet.errors import ConfigError
from dyadnet.process.console import hanging

if TYPE_CHECKING:
    from dyadnet.study.definition import Study

LIST = "list"


def study(
    name: Annotated[
        str,
        typer.Argument(
            metavar="STUDY",
            help="STUDY.yaml, a ready-made one, a study's folder, or: list.",
            autocompletion=among(studies),
        ),
    ] = LIST,
    out: Annotated[Path | None, typer.Option(help="Its folder; runs/study-NAME unless given.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Seeds 0, 1, … instead of the study's own.")] = None,
    models: Annotated[str | None, typer.Option(help="Only these, such as hm,sshm.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the training part, for every trial.")] = None,
    quickly: Annotated[
        bool, typer.Option("--quick", help="One seed, one epoch, few samples, thin grids: to try a definition.")
    ] = False,
    max_concurrent: Annotated[int | None, typer.Option(min=1, help="Trials at a time; one a core.")] = None,
    address: Annotated[str | None, typer.Option(help="Ray cluster: HOST:PORT, or auto; its own unless given.")] = None,
    ship_code: Annotated[bool, typer.Option("--ship-code", help="Send this dyadnet to the cluster's nodes.")] = False,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the data, if it has moved.")] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run trials that failed again.")] = False,
    interval: Annotated[
        str | None, typer.Option(help="The interval behind ±: t95, se, sd or none, instead of the study's own.")
    ] = None,
    differences: Annotated[
        bool, typer.Option("--differences", help="Also show differences to the base alone, paired by seed.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, say what would run, write nothing.")
    ] = False,
    listing: Annotated[bool, typer.Option("--list", help="Ready-made studies.")] = False,
    pictures: FormatOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object as the last line of standard output.")
    ] = False,
) -> None:
    """Run a study, or what is left of it; finished trials are never run again."""
    from dyadnet.study.definition import read_study
    from dyadnet.study.ready import find

    if listing or name == LIST:
        _list(as_json)
        return
    path = find(name)
    shown = {"interval": interval, "differences": differences or None}
    chosen = _narrowed(read_study(path), seeds, models, epochs, quickly, shown)
    folder = out or (path.parent if Path(name).is_dir() else Path("runs") / _folder(chosen, quickly))
    if dry_run:
        _say(chosen, data_dir, folder, as_json)
        return
    from dyadnet_actors.study.drive import drive

    ended = drive(
        chosen,
        folder,
        ClusterSpec(address=address, ship_code=ship_code),
        max_concurrent,
        data_dir,
        retry_failed,
    )
    typer.echo(
        f"{ended.trials} trials ({ended.ran} now): {ended.ok} ok, {ended.diverged} diverged, {ended.failed} failed, "
        f"in {ended.seconds:.1f} s; table, summary and plots in {ended.out}",
        err=True,
    )
    if as_json:
        typer.echo(json.dumps(asdict(ended)))


def _narrowed(
    study: Study,
    seeds: int | None,
    models: str | None,
    epochs: int | None,
    quickly: bool,
    shown: Mapping[str, Any],
) -> Study:
    """Apply the command line's options to a study; validate the result as a whole."""
    from dyadnet.study.definition import Study
    from dyadnet.study.plan import quick

    if quickly:
        study = quick(study)
    changed = study.model_dump(mode="json") | {name: value for name, value in shown.items() if value is not None}
    if seeds is not None:
        changed["seeds"] = seeds
    if epochs is not None:
        changed["epochs"] = epochs
    if models is not None:
        changed["models"] = [model.strip() for model in models.split(",")]
        if not study.models:
            raise ConfigError("--models", models, f"the study {study.name} names no models: λ is its base's")
    return Study.read(changed)


def _folder(study: Study, quickly: bool) -> str:
    return f"study-{study.name}{'-quick' if quickly else ''}"


def _list(as_json: bool) -> None:
    from dyadnet.study.definition import read_study
    from dyadnet.study.plan import plan
    from dyadnet.study.ready import find, names

    found = {name: read_study(find(name)) for name in names()}
    for name, one in found.items():
        trials = len(plan(one))
        axes = " × ".join(axis.title for axis in one.axes)
        typer.echo(hanging(name, f"{one.title} ({axes}; {trials} trials)", 20), err=as_json)
    if as_json:
        typer.echo(json.dumps({name: one.title for name, one in found.items()}))


def _say(study: Study, data_dir: Path | None, folder: Path, as_json: bool) -> None:
    from dyadnet.study.plan import plan

    trials = plan(study, data_dir)
    counts = [f"{len(study.seeds)} seeds", f"{max(len(study.models), 1)} models"]
    counts += [f"{len(study.variants)} variants"] if study.variants else []
    counts += [f"{len(axis.grid)} values of {axis.title}" for axis in study.axes if axis.grid is not None]
    counts += [f"{study.samples} draws of {', '.join(axis.title for axis in study.random)}"] if study.random else []
    counts += ["the base alone"] if study.reference else []
    typer.echo(
        f"{study.name}: {len(trials)} trials ({', '.join(counts)}), all legal; would write to {folder}", err=True
    )
    if as_json:
        typer.echo(json.dumps({"name": study.name, "trials": len(trials), "out": str(folder)}))
