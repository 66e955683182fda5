"""The command line: ``dyadnet train``, ``presets``, ``resume``, ``evaluate``, ``doctor``, and commands of other
packages.

Progress and logs are written to standard error. Exit codes: 0 success, 2 bad usage or configuration, 75 stopped by a
signal after writing a checkpoint, 1 any other failure.
"""

from __future__ import annotations

import functools
import json
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import typer

from dyadnet import __version__
from dyadnet.cli.completion import PARTS, WEIGHTS, among, choices, engines, settings_from
from dyadnet.cli.plugins import offered
from dyadnet.cli.predict import predict
from dyadnet.cli.presets import presets
from dyadnet.cli.replay import replay
from dyadnet.cli.resume import resume
from dyadnet.cli.usage import called
from dyadnet.config import ClusterSpec, RecordSpec, RunConfig
from dyadnet.config.dynamics import TICKS
from dyadnet.config.faults import parsed
from dyadnet.config.overrides import assigned, located, merged
from dyadnet.config.presets import NAMES
from dyadnet.config.start import starting_point
from dyadnet.config.transports import TRANSPORTS
from dyadnet.data import SETS
from dyadnet.errors import FULL, ConfigError, DyadnetError, LeftError, StoppedAtOnceError, UsageError
from dyadnet.network.description import MODELS
from dyadnet.numerics.scores import told
from dyadnet.process import signals
from dyadnet.process.commands import command
from dyadnet.process.console import hanging, lasting
from dyadnet.runs.folder import CONFIG
from dyadnet.runs.status import state_of
from dyadnet.training.opening import checkpoints_in

COMMANDS = "dyadnet.commands"
FIRST, NETWORK, CLUSTER = "First of all", "Network and training", "Actors and clusters (engine ray)"
FAULTS, WATCH = "Stragglers, faults and traces", "Watching"
"""Groups of options; the first one is for beginners."""

app = typer.Typer(
    help="Trains networks of dyadic neurons that settle by exchanging means and differences.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of standard output.")]


def _told_version(wanted: bool) -> None:
    """Implement ``--version``: print the version and end the command."""
    if wanted:
        typer.echo(f"dyadnet {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_told_version, help="Say which version this is.")
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line. Every user error ends in one line and exit code 2."""
    known = {group.name for group in app.registered_groups} | {command.name for command in app.registered_commands}
    for point in entry_points(group=COMMANDS):
        if point.name not in known:
            _add(point.name, point.load())
    command = offered(typer.main.get_command(_stoppable(app)))
    given = sys.argv[1:] if arguments is None else arguments
    # With --json, a program that reads standard output receives one object, also in case of an error.
    answer = _Answer("--json" in given)
    try:
        with lasting(), signals.interruptible():
            try:
                called(command, arguments)
            except DyadnetError as problem:
                typer.echo(f"dyadnet: {problem}", err=True)
                answer.give(problem)
                sys.exit(problem.exit_code)
            except MemoryError as problem:
                why = f"this machine has not enough memory ({' '.join(str(problem).split())})"
                typer.echo(f"dyadnet: {why}", err=True)
                answer.give(DyadnetError(why))
                sys.exit(1)
            except OSError as problem:
                if "MPLCONFIGDIR" in str(problem):
                    # Commands that draw pictures load matplotlib first, which needs a writable cache.
                    typer.echo(f"dyadnet: {problem}", err=True)
                    answer.give(UsageError(str(problem)))
                    sys.exit(2)
                if problem.errno not in FULL:
                    raise
                where = problem.filename or "a file"
                why = f"{where} could not be written ({problem.strerror}); free space there"
                typer.echo(f"dyadnet: {why}", err=True)
                answer.give(DyadnetError(why))
                sys.exit(1)
    except SystemExit as ended:
        if signals.is_command():
            signals.over(ended.code if isinstance(ended.code, int) else 0)
        raise


class _Answer:
    """The JSON object that ``--json`` prints if a command fails.

    Parameters
    ----------
    wanted
        Whether ``--json`` was given.
    """

    def __init__(self, wanted: bool) -> None:
        self._wanted = wanted

    def give(self, problem: DyadnetError) -> None:
        """Print the object, at most once."""
        if self._wanted:
            state, why, code = state_of(problem)
            if isinstance(problem, LeftError):
                state = "running"
            typer.echo(json.dumps({"state": state, "why": why, "exit_code": code}))
        self._wanted = False


def _add(name: str, found: Any) -> None:
    """Add a command of another package: a typer application with subcommands, or a function."""
    if isinstance(found, typer.Typer):
        app.add_typer(found, name=name)
    else:
        app.command(name)(found)


def _stoppable(commands: typer.Typer) -> typer.Typer:
    """Let commands that are interrupted without a message of their own end in one line."""

    def wrapped(callback: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(callback)
        def command(**options: Any) -> None:
            try:
                callback(**options)
            except KeyboardInterrupt:
                raise StoppedAtOnceError("stopped") from None

        return command

    for known in commands.registered_commands:
        if known.callback is not None and not hasattr(known.callback, "__wrapped__"):
            known.callback = wrapped(known.callback)
    for group in commands.registered_groups:
        if group.typer_instance is not None:
            _stoppable(group.typer_instance)
    return commands


@app.command()
def train(
    config: Annotated[Path | None, typer.Argument(metavar="[CONFIG.yaml]", help="Settings; a preset without.")] = None,
    model: Annotated[
        str | None,
        typer.Option(help="hm, ffm, sshm (default), asymmetric.", rich_help_panel=FIRST, autocompletion=among(MODELS)),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="Of dyadnet presets, such as conv-mnist; that of the data unless given.",
            rich_help_panel=FIRST,
            autocompletion=among(NAMES),
        ),
    ] = None,
    lam: Annotated[
        float | None,
        typer.Option(help="λ of every projection, from 0 to 1, instead of a model.", rich_help_panel=FIRST),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="digits (default), mnist, cifar-10 or another image set, FILE.npz, or FOLDER of IDX.",
            rich_help_panel=FIRST,
            autocompletion=among(SETS),
        ),
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of the image sets, or of FILE.npz or FOLDER.", rich_help_panel=FIRST)
    ] = None,
    hidden: Annotated[
        str | None, typer.Option(help="Sizes of the hidden layers, such as 500,500,500.", rich_help_panel=FIRST)
    ] = None,
    blocks: Annotated[
        int | None, typer.Option(help="Blocks a hidden layer is split into.", rich_help_panel=NETWORK)
    ] = None,
    lanes: Annotated[
        int | None, typer.Option(help="Slices of the minibatch that settle independently.", rich_help_panel=NETWORK)
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            help="ray (default): every block an actor; local: one process.",
            rich_help_panel=FIRST,
            autocompletion=among(engines),
        ),
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster: HOST:PORT, or auto; its own unless given.", rich_help_panel=CLUSTER)
    ] = None,
    actors: Annotated[
        int | None,
        typer.Option(help="Actors that share the blocks; one a block unless given.", rich_help_panel=CLUSTER),
    ] = None,
    placement: Annotated[
        str | None,
        typer.Option(
            help="pack (default), spread or strict-spread.",
            rich_help_panel=CLUSTER,
            autocompletion=among(choices(ClusterSpec, "placement")),
        ),
    ] = None,
    ship_code: Annotated[
        bool, typer.Option("--ship-code", help="Send this dyadnet to the cluster's nodes.", rich_help_panel=CLUSTER)
    ] = False,
    transport: Annotated[
        str | None,
        typer.Option(
            help="fast, ray (through Ray's own ports), or one of your own.",
            rich_help_panel=CLUSTER,
            autocompletion=among(list(TRANSPORTS)),
        ),
    ] = None,
    insecure_transport: Annotated[
        bool,
        typer.Option(
            "--insecure-transport", help="Between machines without encryption and keys.", rich_help_panel=CLUSTER
        ),
    ] = False,
    detach: Annotated[
        bool,
        typer.Option(
            "--detach", help="Leave the run to the cluster of --address; see dyadnet attach.", rich_help_panel=CLUSTER
        ),
    ] = False,
    pin: Annotated[
        bool,
        typer.Option(
            "--pin", help="Keep every actor on one core, for a machine of one's own.", rich_help_panel=CLUSTER
        ),
    ] = False,
    mode: Annotated[
        str | None,
        typer.Option(
            help="lockstep (default), or free: nobody waits for anybody.",
            rich_help_panel=NETWORK,
            autocompletion=among(["lockstep", "free"]),
        ),
    ] = None,
    slow: Annotated[
        list[str] | None,
        typer.Option(
            "--slow", metavar="block=factor", help="Make a straggler; may be repeated.", rich_help_panel=FAULTS
        ),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            "--fault",
            metavar="FAULT",
            help="kind:block=name,minibatch=n,tick=n. Kinds: kill, hang, slow (factor=), cut (link=a:b, not block).",
            rich_help_panel=FAULTS,
        ),
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(help="In mode free, write a trace for dyadnet replay.", rich_help_panel=FAULTS),
    ] = None,
    metrics_port: Annotated[
        int | None, typer.Option(help="Serve metrics and a live page here; 0: any port.", rich_help_panel=WATCH)
    ] = None,
    metrics_host: Annotated[
        str | None, typer.Option(help="Address to serve them at, or node; loopback by default.", rich_help_panel=WATCH)
    ] = None,
    metrics_linger: Annotated[
        float | None, typer.Option(help="Seconds to serve them after the end.", rich_help_panel=WATCH)
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training part.", rich_help_panel=FIRST)] = None,
    rate: Annotated[
        float | None,
        typer.Option("--lr", help="Learning rate throughout; a preset's has a schedule.", rich_help_panel=FIRST),
    ] = None,
    beta: Annotated[
        float | None, typer.Option(help="Strength of the nudge β throughout.", rich_help_panel=FIRST)
    ] = None,
    minibatch: Annotated[
        int | None, typer.Option(help="Samples that settle and are learned from together.", rich_help_panel=FIRST)
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of every random draw.", rich_help_panel=FIRST)] = None,
    pictures: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="pdf or svg: pictures in this format too.",
            rich_help_panel=WATCH,
            autocompletion=among(choices(RecordSpec, "pictures")),
        ),
    ] = None,
    no_report: Annotated[
        bool, typer.Option("--no-report", help="Draw no pictures and write no report.", rich_help_panel=WATCH)
    ] = False,
    baseline: Annotated[
        str | None,
        typer.Option(
            help="backprop: train the same layers by back-propagation, to compare with.",
            rich_help_panel=NETWORK,
            autocompletion=among(choices(RunConfig, "baseline")),
        ),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option("--from", metavar="RUN", help="Start from this run's best weights.", rich_help_panel=NETWORK),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder; new or empty.", rich_help_panel=FIRST)] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="key.path=value",
            help="Any setting; may be repeated.",
            rich_help_panel=FIRST,
            autocompletion=settings_from(),
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train a network; without CONFIG.yaml, from a preset."""
    from dyadnet.cli.progress import Bar
    from dyadnet.training.api import train as run

    asked: dict[str, Any] = {}
    for assignment in settings or []:
        asked = assigned(asked, assignment)
    values = starting_point(config, model, lam, data, data_dir, asked, preset)
    if mode is not None:
        values = _in_mode(values, mode, preset_only=config is None)
    flags: dict[str, Any] = {
        "data.dir": None if data_dir is None else str(data_dir),
        "dynamics.lanes": lanes,
        "baseline": baseline,
        "engine": engine or ("local" if baseline else None),
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
        "record.report": False if no_report else None,
        "record.pictures": pictures,
        "metrics.port": metrics_port,
        "metrics.host": metrics_host,
        "metrics.linger": metrics_linger,
        "learning.epochs": epochs,
        "learning.learning_rate": rate,
        "learning.beta": beta,
        "learning.minibatch": minibatch,
        "seed": seed,
        "init_from": None if start is None else {"run": str(start)},
    }
    for path, value in flags.items():
        if value is not None:
            values = _placed(values, path, value)
    if hidden is not None:
        values = _in_chain(values, "--hidden", "hidden", _sizes(hidden))
    if blocks is not None:
        values = _in_blocks(values, blocks)
    for assignment in settings or []:
        values = assigned(values, assignment)
    try:
        resolved = RunConfig.read(values)
    except ConfigError as problem:
        raise located(problem, config) from None
    name = f"{preset or Path(resolved.data.name).stem}-{model or 'sshm' if config is None else config.stem}"
    folder = out or Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    try:
        with Bar() as bar:
            summary = run(resolved, folder, bar).summary
    except KeyboardInterrupt:
        raise StoppedAtOnceError(_stopped(resolved, folder)) from None
    stopped = f"; stopped early: {summary.stopped}" if summary.stopped else ""
    typer.echo(
        f"{summary.told} (best on validation at epoch {summary.best_epoch}) "
        f"in {summary.seconds:.1f} s; record, curves and weights in {summary.out}{stopped}",
        err=True,
    )
    if as_json:
        typer.echo(json.dumps({"state": "stopped" if stopped else "finished"} | summary.plain()))


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    weights: Annotated[str, typer.Option(help="best or last.", autocompletion=among(WEIGHTS))] = "best",
    part: Annotated[str, typer.Option(help="test, validation or train.", autocompletion=among(PARTS))] = "test",
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the data, if it has moved.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="key.path=value",
            help="Change imperfections, dynamics or data; may be repeated.",
            autocompletion=settings_from("imperfections", "dynamics", "data"),
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Loss and accuracy, or R² and errors, at β = 0 of a run's saved weights, under other imperfections if wanted."""
    from dyadnet.training.evaluation import evaluate as measure

    if weights not in WEIGHTS:
        raise ConfigError("--weights", weights, f"one of {', '.join(WEIGHTS)}")
    if part not in PARTS:
        raise ConfigError("--part", part, f"one of {', '.join(PARTS)}")
    changes: dict[str, Any] = functools.reduce(assigned, settings or [], {})
    result = measure(run, weights, part, data_dir, changes=changes)  # type: ignore[arg-type]
    typer.echo(
        f"{part}: {told(result)}, loss {result['loss']:.4f}, {result['samples']} samples, "
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
    from dyadnet.cli.doctor import examine

    findings = examine(data_dir)
    for section, entries in findings.items():
        typer.echo(section, err=True)
        for key, value in entries.items():
            typer.echo(hanging(f"  {key}", value, 23), err=True)
    if as_json:
        typer.echo(json.dumps(findings))


@app.command()
def schema(
    out: Annotated[Path | None, typer.Option(help="File for the schema, .json; standard output by default.")] = None,
) -> None:
    """The JSON Schema of a configuration, by which editors complete and check what you write."""
    from dyadnet.config.json_schema import schema as made
    from dyadnet.runs.folder import check_file, whole

    text = json.dumps(made(), indent=1)
    if out is None:
        typer.echo(text)
        return
    check_file(out, "dyadnet.schema.json", ".json")
    with whole(out) as fresh:
        out.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(text, encoding="utf-8")


app.command()(presets)
app.command()(resume)
app.command()(predict)
app.command()(replay)


def _stopped(config: RunConfig, folder: Path) -> str:
    """Return the message for a run that was stopped at once."""
    if not (folder / CONFIG).exists():
        return "stopped before anything was trained; nothing is left of it"
    if checkpoints_in(config, folder):
        return f"stopped at once; go on from its last checkpoint with: {command('resume', str(folder))}"
    why = "no checkpoint was written yet" if config.checkpoint.enabled else "checkpoints are off"
    return f"stopped; {why}, so it cannot be resumed; what was saved is in {folder}"


def _in_mode(values: dict[str, Any], mode: str, *, preset_only: bool) -> dict[str, Any]:
    """Set the mode. For mode free, drop the preset's settings in ticks, which the user has not chosen."""
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


def _in_blocks(values: dict[str, Any], blocks: int) -> dict[str, Any]:
    """Split every hidden population into `blocks`, before the number of actors is checked against them."""
    network = values.get("network")
    if isinstance(network, dict) and "layered" in network:
        return merged(values, {"network": {"layered": {"blocks": blocks}}})
    if isinstance(network, dict) and "layers" in network:
        return merged(values, {"network": {"blocks": blocks}})
    if isinstance(network, dict) and isinstance(network.get("populations"), list):
        populations = network["populations"]
        output = network.get("output") or (populations[-1].get("name") if populations else None)
        split = [p if p.get("name") == output else {**p, "blocks": blocks} for p in populations]
        return {**values, "network": {**network, "populations": split}}
    return values


def _sizes(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError("--hidden", text, "whole numbers with commas between, such as 500,500,500") from None


def _placed(values: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    for key in reversed(path.split(".")):
        value = {key: value}
    return merged(values, value)
