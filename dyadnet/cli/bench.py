"""``dyadnet bench``: benchmarks of this machine, as ratios."""

from __future__ import annotations

import json
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from dyadnet.bench.networks import known, numbers, sizes
from dyadnet.errors import ConfigError
from dyadnet.process.console import for_people

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
    """Bare products over the engine's sweep on one core, and two lanes on two cores over one.

    One network a call; the digits' is --network 64-100-100-10 --minibatch 32. Bare products are by the BLAS that the
    engine calls, from compiled code; beside them, by NumPy.
    """
    from dyadnet.bench.kernel import measure

    results = measure(*sizes(network), minibatch, repetitions)
    table = Table(title=f"{network}, minibatch {minibatch}: medians of {repetitions}")
    for column in ("model", "products", "NumPy's", "sweep", "products / sweep", "NumPy's / sweep", "two cores / one"):
        table.add_column(column, justify="right")
    for model, found in results["kernel"].items():
        seconds = [_brief(found[name]) for name in ("products_s", "products_numpy_s", "sweep_s")]
        ratios = (found["ratio"], found["ratio_numpy"], results["cores"][model]["ratio"])
        table.add_row(model, *seconds, *(f"{ratio:.2f}" for ratio in ratios))
    for_people(width=120).print(table)
    if as_json:
        typer.echo(json.dumps(results))


@app.command()
def kinds(
    minibatch: Annotated[int, typer.Option(min=1)] = 64,
    neurons: Annotated[int, typer.Option(min=1, help="Of each population that sparse synapses join.")] = 2000,
    density: Annotated[float, typer.Option(min=0.0, max=1.0, help="Probability of a synapse.")] = 0.05,
    repetitions: Annotated[int, typer.Option(min=1, help="Pairs, after one that warms up.")] = 9,
    as_json: Json = False,
) -> None:
    """Products of kinds of projections on one thread: convolution beside bare matrix products, sparse beside dense.

    Convolutions from 1x28x28 to 32 and then 64 filters, 5x5. Bare products are of all windows, ready made, by the BLAS
    that the engine calls. Times are CPU time, the least of pairs by turns.
    """
    from dyadnet.bench.kinds import measure

    if density <= 0:
        raise ConfigError("--density", density, "above 0, so that there is a synapse")
    console = for_people(width=120)
    with console.status("measuring"):
        results = measure(minibatch, neurons, density, repetitions)
    table = Table(title=f"minibatch {minibatch}, CPU time on one thread: least of {repetitions}")
    for column in ("projection", "product", "own", "bare or dense", "bare / own", "dense / own"):
        table.add_column(column, justify="right")
    for kind in ("convolution", "sparse"):
        for row in results[kind]:
            ratios = [f"{row['ratio']:.2f}", ""] if kind == "convolution" else ["", f"{row['ratio']:.1f}"]
            table.add_row(row["of"], row["product"], _brief(row["own_s"]), _brief(row["bare_s"]), *ratios)
    console.print(table)
    size = results["bytes"]
    told = f"{size['synapses']} synapses: {size['sparse'] / 1e6:.1f} MB, dense {size['dense'] / 1e6:.1f} MB; "
    told += f"load of the machine {results['load']:.1f}"
    console.print(told, highlight=False)
    if as_json:
        typer.echo(json.dumps(results))


@app.command()
def blocks(
    several: Annotated[str, typer.Option("--blocks", help="Blocks a hidden layer, with commas.")] = "10,50,100",
    model: Annotated[str, typer.Option(help="hm, ffm, sshm or asymmetric.")] = "sshm",
    minibatches: Annotated[int | None, typer.Option(min=1, help="Minibatches of an epoch; all by default.")] = None,
    repetitions: Annotated[int, typer.Option(min=1, help="Epochs of each, by turns, after one that warms up.")] = 7,
    imperfect: Annotated[
        bool,
        typer.Option(
            "--imperfect",
            help="With Bernoulli clocks (dynamics.clock.p 0.5), delays of 1 to 5 ticks (dynamics.delay uniform) and "
            "one message in ten lost (imperfections.channel.loss 0.1), over the ideal run and over its own.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Training with many blocks a hidden layer over one: the digits' preset, local engine, one process.

    Seconds are those that the engine spends on an epoch's minibatches: settling, learning and the spectral radius.
    Evaluation, checkpoints, and the first epoch, which compiles, are left out. Sweeps are shown because runs that
    settle in more of them have more to do.
    """
    from dyadnet.bench.blocks import measure

    chosen = numbers("--blocks", several)
    known("--model", model)
    console = for_people(width=120)
    with console.status("measuring") as status:
        results = measure(
            chosen, model, repetitions, minibatches, imperfect, lambda what: status.update(f"measuring: {what}")
        )
    count = results["minibatches"]
    table = Table(title=f"{model}, digits, {count} minibatches of training: medians of {repetitions}")
    table.add_column("blocks a layer", justify="right")
    for column in ("seconds", "sweeps", *(["over one ideal"] if imperfect else []), "over one"):
        table.add_column(column, justify="right")
    for row in results["rows"]:
        name = f"{row['blocks']}{', ideal' if imperfect and not row['imperfect'] else ''}"
        ratios = [row["over_ideal"], row["over_same"]] if imperfect else [row["over_same"]]
        cells = (f"{row['seconds']:.3f}", f"{row['sweeps']:.1f}", *(f"{ratio:.2f}" for ratio in ratios))
        table.add_row(name, *cells)
    console.print(table)
    if as_json:
        typer.echo(json.dumps(results))


@app.command()
def versions(
    other: Annotated[Path, typer.Argument(metavar="OTHER", help="A python with another version of dyadnet.")],
    models: Annotated[str, typer.Option(help="hm, ffm, sshm and asymmetric, with commas.")] = "sshm,hm,ffm",
    network: Annotated[str, typer.Option(help="Sizes of the chain that has synthetic data.")] = DEFAULT,
    minibatches: Annotated[int, typer.Option(min=1, help="Minibatches of an epoch, at most; the digits have 41.")] = 40,
    studies: Annotated[bool, typer.Option("--studies", help="Trials an hour of a small study, too.")] = False,
    study: Annotated[str, typer.Option(help="With --studies: which study, in its --quick form.")] = "lambda",
    trials: Annotated[int, typer.Option(min=1, help="The first so many of it.")] = 6,
    repetitions: Annotated[int, typer.Option(min=1, help="Pairs, after one that warms up.")] = 5,
    as_json: Json = False,
) -> None:
    """Ordinary training on the local engine: samples a second of this version over another version's.

    The digits' preset, and a larger chain with synthetic data, in a process of each version, by turns. Trials of a
    study are run one after the other, on one thread.
    """
    from dyadnet.bench.versions import measure

    chosen = [known("--models", model) for model in models.split(",")]
    inputs, hidden = sizes(network)
    console = for_people()
    with console.status("measuring") as status:
        results = measure(
            other,
            chosen,
            (inputs, hidden),
            minibatches,
            (study, trials) if studies else None,
            repetitions,
            lambda what: status.update(f"measuring: {what}"),
        )
    table = Table(title=f"medians of {repetitions} pairs")
    columns = ("what", "model", "", "this", "other", "this / other", "least", "most", "sweeps, this", "other")
    for column in (*columns, "same weights"):
        table.add_column(column, justify="right")
    for row in results["rows"]:
        rates = [f"{rate:.0f}" for rate in (row["this"], row["other"])]
        ratios = [f"{ratio:.2f}" for ratio in (row["ratio"], row["ratios"][0], row["ratios"][-1])]
        sweeps = [f"{count:.1f}" for count in row["sweeps"]]
        same = "yes" if row["same_weights"] else "no"
        table.add_row(row["what"], row["model"], row["unit"], *rates, *ratios, *sweeps, same)
    console.print(table)
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
    console = for_people()
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
def prospective(
    network: Network = DEFAULT,
    table: Annotated[str, typer.Option(help="constant or random: which delays.")] = "constant",
    radii: Annotated[
        list[float] | None, typer.Option("--radius", min=0.0, help="μ of the network; 2.4 and 5 unless given.")
    ] = None,
    model: Annotated[str, typer.Option(help="sshm or hm.")] = "sshm",
    minibatch: Annotated[int, typer.Option(min=1)] = 20,
    cap: Annotated[int, typer.Option(min=1, help="Ticks after which a relaxation counts as never settling.")] = 30000,
    data_name: Annotated[str, typer.Option("--data", help="Inputs of the network's size.")] = "mnist",
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the image sets.")] = None,
    as_json: Json = False,
) -> None:
    """Ticks to a residual of 1e-3, plain and prospective: a table in Markdown, whatever the machine.

    Random weights of seed 0, scaled to a spectral radius. Constant delays beside the best plain step and the stretched
    red-black clock, or random delays, losses and clocks.
    """
    from dyadnet.bench.prospective import RADII, TABLES, markdown
    from dyadnet.bench.prospective import SettlingCase as Settled
    from dyadnet.data import load

    if table not in TABLES:
        raise ConfigError("--table", table, f"one of {', '.join(TABLES)}")
    if known("--model", model) not in ("sshm", "hm"):
        raise ConfigError("--model", model, "sshm or hm: ffm has no feedback, and no single μ stands for asymmetric")
    if any(radius <= 0 for radius in radii or ()):
        raise ConfigError("--radius", min(radii or ()), "above 0")
    inputs, hidden = sizes(network)
    dataset = load(data_name, data_dir)
    if dataset.features != inputs:
        raise ConfigError("--network", network, f"{dataset.name} has {dataset.features} features a sample")
    settled = Settled(model, inputs, hidden, dataset, minibatch, cap)
    with for_people().status("measuring") as status:
        rows = TABLES[table](settled, lambda what: status.update(f"measuring {what}"), radii or RADII)
    typer.echo(markdown(rows))
    if as_json:
        typer.echo(json.dumps(rows))


@app.command()
def gradient(
    minibatch: Annotated[int, typer.Option(min=1)] = 50,
    data_name: Annotated[str, typer.Option("--data", help="digits, mnist or fashion-mnist.")] = "digits",
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the image sets.")] = None,
    as_json: Json = False,
) -> None:
    """Cosine of the Hebbian contrast to the exact gradient, against tolerance and β."""
    from dyadnet.bench.gradient import measure
    from dyadnet.config.presets import preset
    from dyadnet.data import load

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
    for_people(width=140).print(table)
    if as_json:
        typer.echo(json.dumps(results))


@app.command()
def metrics(
    model: Annotated[str, typer.Option(help="hm, ffm, sshm or asymmetric.")] = "sshm",
    data_name: Annotated[str, typer.Option("--data", help="digits, mnist or fashion-mnist.")] = "digits",
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the image sets.")] = None,
    engine: Annotated[str, typer.Option(help="local or ray.")] = "local",
    epochs: Annotated[int, typer.Option(min=1)] = 1,
    samples: Annotated[int | None, typer.Option(min=20, help="Samples of the training part; all by default.")] = None,
    repetitions: Annotated[int, typer.Option(min=1, help="Pairs of runs.")] = 7,
    scrape: Annotated[float, typer.Option(min=0.1, help="Seconds between two scrapes.")] = 5.0,
    as_json: Json = False,
) -> None:
    """Training with metrics served and scraped over training without."""
    from dyadnet.bench.metrics import measure
    from dyadnet.config import RunConfig
    from dyadnet.config.presets import preset

    values = preset(data_name, model)
    values["engine"] = engine
    values["learning"]["epochs"] = epochs
    values["data"] |= {"limit_train": samples, "limit_test": 100, "dir": None if data_dir is None else str(data_dir)}
    console = for_people()
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
    for_people(width=140).print(table)
    if as_json:
        typer.echo(json.dumps(rows))


for _point in entry_points(group="dyadnet.bench"):
    app.command(_point.name)(_point.load())


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"


def _brief(seconds: float) -> str:
    return f"{1e3 * seconds:.2f} ms" if seconds >= 1e-3 else f"{1e6 * seconds:.1f} µs"
