"""``dyadnet bench``: what this machine does, as ratios."""

from __future__ import annotations

import json
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from dyadnet.bench.networks import sizes
from dyadnet.errors import ConfigError

app = typer.Typer(help="Measure this machine; every figure is a ratio within one run.", no_args_is_help=True)

Network = Annotated[str, typer.Option(help="Sizes of a chain, input to output.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of standard output.")]
DEFAULT = "784-500-500-500-10"


@app.command()
def kernel(
    network: Network = DEFAULT,
    minibatch: Annotated[int, typer.Option(min=2)] = 128,
    repetitions: Annotated[int, typer.Option(min=1)] = 15,
    as_json: Json = False,
) -> None:
    """Bare products over the engine's sweep on one core, and two lanes on two cores over one."""
    from dyadnet.bench.kernel import measure

    results = measure(*sizes(network), minibatch, repetitions)
    table = Table(title=f"{network}, minibatch {minibatch}: medians of {repetitions}")
    for column in ("model", "products", "sweep", "products / sweep", "two cores / one"):
        table.add_column(column, justify="right")
    for model, found in results["kernel"].items():
        table.add_row(
            model,
            f"{1e3 * found['products_s']:.2f} ms",
            f"{1e3 * found['sweep_s']:.2f} ms",
            f"{found['ratio']:.2f}",
            f"{results['cores'][model]['ratio']:.2f}",
        )
    Console(stderr=True).print(table)
    if as_json:
        typer.echo(json.dumps(results))


@app.command()
def settling(
    network: Network = DEFAULT,
    minibatch: Annotated[int, typer.Option(min=1)] = 32,
    cap: Annotated[int, typer.Option(min=1, help="Sweeps after which a relaxation counts as never settling.")] = 1500,
    data_name: Annotated[str | None, typer.Option("--data", help="Real inputs of the network's size.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the image sets.")] = None,
    as_json: Json = False,
) -> None:
    """Sweeps to a residual of 1e-3 with η = 0.05 and with the automatic step."""
    from dyadnet.bench.settling import measure
    from dyadnet.data import load

    inputs, hidden = sizes(network)
    dataset = None if data_name is None else load(data_name, data_dir)
    if dataset is not None and dataset.features != inputs:
        raise ConfigError("--network", network, f"{dataset.name} has {dataset.features} features a sample")
    console = Console(stderr=True)
    with console.status("measuring") as status:
        results = measure(inputs, hidden, minibatch, cap, dataset, lambda what: status.update(f"measuring {what}"))
    table = Table(title=f"{network}, {results['data']} inputs: until every residual is under 1e-3 (– : not in {cap})")
    for column in ("model", "gain", "μ", "delay", "η = 0.05", "best η", "auto (sweeps)", "auto (ticks)", "ratio"):
        table.add_column(column, justify="right")
    for row in results["rows"]:
        table.add_row(
            row["model"],
            f"{row['gain']:.1f}",
            f"{row['radius']:.2f}",
            str(row["delay"]),
            _count(row["small"]["ticks"]),
            _count(row["synchronous"]["ticks"]),
            _count(row["auto"]["sweeps"]),
            _count(row["auto"]["ticks"]),
            "–" if row["ratio"] is None else f"{row['ratio']:.1f}",
        )
    console.print(table)
    if as_json:
        typer.echo(json.dumps(results))


@app.command()
def gradient(
    minibatch: Annotated[int, typer.Option(min=1)] = 50,
    data_name: Annotated[str, typer.Option("--data", help="digits, mnist or fashion-mnist.")] = "digits",
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the image sets.")] = None,
    as_json: Json = False,
) -> None:
    """Cosine of the Hebbian contrast to the exact gradient, against tolerance and β."""
    from dyadnet.bench.gradient import measure
    from dyadnet.data import load
    from dyadnet.presets import preset

    dataset = load(data_name, data_dir)
    results = measure(preset(data_name, "sshm"), dataset, minibatch)
    table = Table(title=f"{data_name}, minibatch {minibatch}: cosine to the exact gradient (sweeps)")
    table.add_column("model")
    table.add_column("β", justify="right")
    tolerances = sorted({row["tolerance"] for row in results["rows"]}, reverse=True)
    for tolerance in tolerances:
        table.add_column(f"{tolerance:g}", justify="right")
    for model, beta in dict.fromkeys((row["model"], row["beta"]) for row in results["rows"]):
        cells = [row for row in results["rows"] if (row["model"], row["beta"]) == (model, beta)]
        table.add_row(model, f"{beta:g}", *(f"{c['cosine']:.4f} ({c['sweeps']:.0f})" for c in cells))
    Console(stderr=True, width=140).print(table)
    if as_json:
        typer.echo(json.dumps(results))


@app.command()
def metrics(
    model: Annotated[str, typer.Option(help="hm, ffm or sshm.")] = "sshm",
    data_name: Annotated[str, typer.Option("--data", help="digits, mnist or fashion-mnist.")] = "digits",
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the image sets.")] = None,
    engine: Annotated[str, typer.Option(help="local or ray.")] = "local",
    epochs: Annotated[int, typer.Option(min=1)] = 1,
    samples: Annotated[int | None, typer.Option(min=20, help="Of the training part; all unless given.")] = None,
    repetitions: Annotated[int, typer.Option(min=1, help="Pairs of runs.")] = 7,
    scrape: Annotated[float, typer.Option(min=0.1, help="Seconds between two scrapes.")] = 5.0,
    as_json: Json = False,
) -> None:
    """Training with metrics served and scraped over training without."""
    from dyadnet.bench.metrics import measure
    from dyadnet.config import RunConfig
    from dyadnet.presets import preset

    values = preset(data_name, model)
    values["engine"] = engine
    values["learning"]["epochs"] = epochs
    values["data"] |= {"limit_train": samples, "limit_test": 100, "dir": None if data_dir is None else str(data_dir)}
    console = Console(stderr=True)
    with console.status("measuring") as status:
        found = measure(RunConfig.read(values), repetitions, scrape, lambda what: status.update(f"measuring {what}"))
    table = Table(title=f"{model}, {data_name}, engine {engine}: seconds of training, medians of {repetitions} pairs")
    for column in ("clock", "off", "on", "on / off", "least", "most"):
        table.add_column(column, justify="right")
    for clock, of in found["clocks"].items():
        least, most = of["ratios"][0], of["ratios"][-1]
        figures = (f"{of['off_s']:.2f}", f"{of['on_s']:.2f}", f"{of['ratio']:.3f}", f"{least:.3f}", f"{most:.3f}")
        table.add_row(clock, *figures)
    console.print(table)
    if as_json:
        typer.echo(json.dumps(found))


@app.command()
def phases(
    minibatch: Annotated[int, typer.Option(min=1)] = 50,
    data_name: Annotated[str, typer.Option("--data", help="digits, mnist or fashion-mnist.")] = "digits",
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the image sets.")] = None,
    as_json: Json = False,
) -> None:
    """Both compartments at once against one after the other: state, sweeps, messages, and what is learned from."""
    from dyadnet.bench.turns import measure
    from dyadnet.data import load

    rows = measure(data_name, load(data_name, data_dir), minibatch)
    table = Table(title=f"{data_name}, minibatch {minibatch}, after one epoch of training")
    columns = ("model", "compartments", "tolerance", "states a neuron", "KB held", "sweeps", "ticks", "numbers sent")
    for column in (*columns, "cosine to the exact contrast"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            row["model"],
            row["way"],
            f"{row['tolerance']:g}",
            str(row["states"]),
            f"{row['bytes'] / 1000:.0f}",
            f"{row['sweeps']:.1f}{'' if row['settled'] else ' (not settled)'}",
            str(row["ticks"]),
            f"{row['values'] / 1e6:.2f} M",
            f"{row['cosine']:.6f}",
        )
    Console(stderr=True, width=140).print(table)
    if as_json:
        typer.echo(json.dumps(rows))


for _point in entry_points(group="dyadnet.bench"):
    app.command(_point.name)(_point.load())


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"
