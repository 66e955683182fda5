"""The command line: ``dyadnet train``, ``resume``, ``replay``, ``evaluate``, ``doctor``, and what other packages add.

Progress and logs go to standard error. Exit codes: 0 done, 2 bad usage or configuration, 75 stopped by
a signal after writing a checkpoint, 1 anything else.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import typer

from dyadnet.checkpoint.command import resume
from dyadnet.config import RunConfig
from dyadnet.dynamics import TICKS
from dyadnet.errors import ConfigError, DyadnetError
from dyadnet.faults import parsed
from dyadnet.overrides import assigned, merged
from dyadnet.start import starting_point
from dyadnet.trace.command import replay

COMMANDS = "dyadnet.commands"

app = typer.Typer(
    help="Trains networks of dyadic neurons that settle by exchanging means and differences.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of standard output.")]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; every mistake of a user ends in one line and exit code 2."""
    known = {group.name for group in app.registered_groups} | {command.name for command in app.registered_commands}
    for point in entry_points(group=COMMANDS):
        if point.name not in known:
            _add(point.name, point.load())
    try:
        app(arguments)
    except DyadnetError as problem:
        typer.echo(f"dyadnet: {problem}", err=True)
        sys.exit(problem.exit_code)


def _add(name: str, found: Any) -> None:
    """Take in a command of another package: a typer application with commands of its own, or one function."""
    if isinstance(found, typer.Typer):
        app.add_typer(found, name=name)
    else:
        app.command(name)(found)


@app.command()
def train(
    config: Annotated[Path | None, typer.Argument(metavar="[CONFIG.yaml]", help="Settings; a preset without.")] = None,
    model: Annotated[str | None, typer.Option(help="hm, ffm or sshm (default).")] = None,
    lam: Annotated[float | None, typer.Option(help="λ of every projection, from 0 to 1, instead of a model.")] = None,
    data: Annotated[str | None, typer.Option(help="digits (default), mnist, fashion-mnist, or FILE.npz.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the image sets.")] = None,
    hidden: Annotated[str | None, typer.Option(help="Sizes of the hidden layers, such as 500,500,500.")] = None,
    blocks: Annotated[int | None, typer.Option(help="Blocks a hidden layer is split into.")] = None,
    lanes: Annotated[int | None, typer.Option(help="Slices of the minibatch that settle independently.")] = None,
    engine: Annotated[str | None, typer.Option(help="ray (default): every block an actor; local: one process.")] = None,
    address: Annotated[str | None, typer.Option(help="Ray cluster: HOST:PORT, or auto; its own unless given.")] = None,
    actors: Annotated[int | None, typer.Option(help="Actors that share the blocks; one a block unless given.")] = None,
    placement: Annotated[str | None, typer.Option(help="pack (default), spread or strict-spread.")] = None,
    ship_code: Annotated[bool, typer.Option("--ship-code", help="Send this dyadnet to the cluster's nodes.")] = False,
    transport: Annotated[str | None, typer.Option(help="fast, or ray: through Ray's own ports.")] = None,
    insecure_transport: Annotated[
        bool, typer.Option("--insecure-transport", help="Between machines without encryption and keys.")
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Leave the run to the cluster of --address; see dyadnet attach.")
    ] = False,
    pin: Annotated[
        bool, typer.Option("--pin", help="Keep every actor on one core, for a machine of one's own.")
    ] = False,
    mode: Annotated[str | None, typer.Option(help="lockstep (default), or free: nobody waits for anybody.")] = None,
    slow: Annotated[
        list[str] | None, typer.Option("--slow", metavar="block=factor", help="Make a straggler; may be repeated.")
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            "--fault",
            metavar="kind:block=name,minibatch=n,tick=n",
            help="kill, hang, slow (factor=) or cut (link=a:b), at that point; may be repeated.",
        ),
    ] = None,
    trace: Annotated[
        Path | None, typer.Option(help="In mode free, write what dyadnet replay repeats the run from.")
    ] = None,
    metrics_port: Annotated[int | None, typer.Option(help="Serve metrics and a live page here; 0: any port.")] = None,
    metrics_host: Annotated[str | None, typer.Option(help="Address for them, or node; loopback if not given.")] = None,
    metrics_linger: Annotated[float | None, typer.Option(help="Seconds to serve them after the end.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training part.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of every random draw.")] = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder; new or empty.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="key.path=value", help="Any setting; may be repeated.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Train a network; without CONFIG.yaml, from the preset of a data set and a model."""
    from dyadnet.progress import Bar
    from dyadnet.train import train as run

    values = starting_point(config, model, lam, data)
    if mode is not None:
        values = _in_mode(values, mode, preset_only=config is None)
    flags: dict[str, Any] = {
        "data.dir": None if data_dir is None else str(data_dir),
        "dynamics.lanes": lanes,
        "engine": engine,
        "cluster.address": address,
        "cluster.actors": actors,
        "cluster.placement": placement,
        "cluster.ship_code": ship_code or None,
        "cluster.transport": transport,
        "cluster.insecure_transport": insecure_transport or None,
        "cluster.detach": detach or None,
        "cluster.pin": pin or None,
        "cluster.slow": dict(_factor(text) for text in slow) if slow else None,
        "faults": [parsed(text) for text in fault] if fault else None,
        "record.trace": None if trace is None else str(trace),
        "metrics.port": metrics_port,
        "metrics.host": metrics_host,
        "metrics.linger": metrics_linger,
        "learning.epochs": epochs,
        "seed": seed,
    }
    for path, value in flags.items():
        if value is not None:
            values = _placed(values, path, value)
    if hidden is not None:
        values = _in_chain(values, "--hidden", "hidden", _sizes(hidden))
    for assignment in settings or []:
        values = assigned(values, assignment)
    resolved = RunConfig.read(values)
    if blocks is not None:
        resolved = resolved.model_copy(update={"network": resolved.network.with_blocks(blocks)})
        resolved = RunConfig.read(resolved.model_dump(mode="json"))
    name = f"{Path(resolved.data.name).stem}-{model or 'sshm' if config is None else config.stem}"
    folder = out or Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    try:
        with Bar() as bar:
            summary = run(resolved, folder, bar)
    except KeyboardInterrupt:
        raise DyadnetError(_stopped(resolved, folder)) from None
    typer.echo(
        f"test accuracy {summary.test_accuracy:.2%} (best on validation at epoch {summary.best_epoch}) "
        f"in {summary.seconds:.1f} s; record, curves and weights in {summary.out}",
        err=True,
    )
    if as_json:
        typer.echo(json.dumps(asdict(summary)))


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    weights: Annotated[str, typer.Option(help="best or last.")] = "best",
    part: Annotated[str, typer.Option(help="test, validation or train.")] = "test",
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the image sets.")] = None,
    as_json: Json = False,
) -> None:
    """Loss and accuracy at β = 0 of a run's saved weights."""
    from dyadnet.evaluate import evaluate as measure

    if weights not in ("best", "last"):
        raise ConfigError("--weights", weights, "best or last")
    if part not in ("test", "validation", "train"):
        raise ConfigError("--part", part, "test, validation or train")
    result = measure(run, weights, part, data_dir)  # type: ignore[arg-type]
    typer.echo(
        f"{part}: accuracy {result['accuracy']:.2%}, loss {result['loss']:.4f}, {result['samples']} samples, "
        f"{result['sweeps']:.1f} sweeps",
        err=True,
    )
    if as_json:
        typer.echo(json.dumps(result))


@app.command()
def doctor(
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the image sets.")] = None,
    as_json: Json = False,
) -> None:
    """What this machine has: versions, BLAS and its threads, data."""
    from dyadnet.doctor import examine

    findings = examine(data_dir)
    for section, entries in findings.items():
        typer.echo(section, err=True)
        for key, value in entries.items():
            typer.echo(f"  {key:<20} {value}", err=True)
    if as_json:
        typer.echo(json.dumps(findings))


app.command()(resume)
app.command()(replay)


def _stopped(config: RunConfig, folder: Path) -> str:
    """What to say of a run that was stopped at once."""
    if not config.checkpoint.enabled:
        return f"stopped; checkpoints are off, so it cannot go on; what was saved by then is in {folder}"
    return f"stopped at once; go on from its last checkpoint with: dyadnet resume {folder}"


def _in_mode(values: dict[str, Any], mode: str, *, preset_only: bool) -> dict[str, Any]:
    """Settings in another mode; what a preset says in ticks is not the user's and is left out where there are none."""
    if mode == "free" and preset_only:
        dynamics = {key: value for key, value in values.get("dynamics", {}).items() if key not in TICKS}
        values = {**values, "dynamics": dynamics}
    return _placed(values, "dynamics.mode.kind", mode)


def _factor(text: str) -> tuple[str, Any]:
    block, sign, factor = text.partition("=")
    try:
        return block, float(factor)
    except ValueError:
        legal = "write block=factor, such as h1=4" if not sign else "the factor should be a number of at least 1"
        raise ConfigError("--slow", text, legal) from None


def _in_chain(values: dict[str, Any], flag: str, key: str, value: Any) -> dict[str, Any]:
    network = values.get("network")
    if not isinstance(network, dict) or "layered" not in network:
        raise ConfigError(flag, value, "only for a network that is written as 'layered'")
    return merged(values, {"network": {"layered": {key: value}}})


def _sizes(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError("--hidden", text, "whole numbers with commas between, such as 500,500,500") from None


def _placed(values: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    for key in reversed(path.split(".")):
        value = {key: value}
    return merged(values, value)
