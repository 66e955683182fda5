"""``dyadnet bench messages``, ``actors``, ``start`` and ``growth``; entry points of the group ``dyadnet.bench``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from dyadnet.bench.networks import known, numbers
from dyadnet.bench.networks import sizes as parsed
from dyadnet.errors import ConfigError
from dyadnet.process.console import for_people

Address = Annotated[str | None, typer.Option(help="Ray cluster: HOST:PORT, or auto; its own unless given.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of standard output.")]


def messages(
    sizes: Annotated[str, typer.Option(help="Kilobytes of a message's numbers.")] = "16,512",
    repetitions: Annotated[int, typer.Option(min=1)] = 7,
    address: Address = None,
    apart: Annotated[bool, typer.Option("--apart", help="The two actors on different nodes of the cluster.")] = False,
    insecure: Annotated[bool, typer.Option("--insecure-transport", help="Without CURVE between nodes.")] = False,
    as_json: Json = False,
) -> None:
    """Messages a second between two actors: the fast transport over plain Ray calls."""
    from dyadnet.config import ClusterSpec
    from dyadnet_actors.cluster.connection import connected

    chosen = [1024 * size for size in numbers("--sizes", sizes)]
    console = for_people()
    with connected(ClusterSpec(address=address)), console.status("measuring") as status:
        from dyadnet_actors.bench.messages import measure

        results = measure(
            chosen, repetitions, apart=apart, insecure=insecure, told=lambda what: status.update(f"measuring {what}")
        )
    table = Table(title=f"messages a second, medians of {repetitions}; at most {results['window']} under way, or one")
    for column in ("size", "Ray, many", "fast, many", "ratio", "Ray, one", "fast, one", "ratio"):
        table.add_column(column, justify="right")
    for row in results["rows"]:
        cells = [f"{row['bytes'] >> 10} KB"]
        for name in ("streamed", "one_at_a_time"):
            found = row[name]
            cells += [f"{found['ray_per_s']:.0f}", f"{found['fast_per_s']:.0f}", f"{found['ratio']:.1f}"]
        table.add_row(*cells)
    console.print(table)
    if as_json:
        typer.echo(json.dumps(results))


def actors(
    network: Annotated[str, typer.Option(help="Sizes of a chain, input to output.")] = "784-500-500-500-10",
    minibatch: Annotated[str, typer.Option(help="Samples that settle together; several with commas.")] = "128,256",
    models: Annotated[str, typer.Option(help="hm, ffm, sshm and asymmetric, with commas.")] = "sshm,hm,ffm",
    lanes: Annotated[int, typer.Option(min=1, help="Of both engines.")] = 2,
    relaxations: Annotated[int, typer.Option(min=1, help="In one repetition.")] = 10,
    repetitions: Annotated[int, typer.Option(min=1)] = 7,
    address: Address = None,
    pin: Annotated[bool, typer.Option("--pin", help="Every actor on one core; see cluster.pin.")] = False,
    data_name: Annotated[str | None, typer.Option("--data", help="Real inputs of the network's size.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the image sets.")] = None,
    as_json: Json = False,
) -> None:
    """Settled samples a second: one actor a layer over the local engine with all cores."""
    from dyadnet.config import ClusterSpec
    from dyadnet.data import load
    from dyadnet_actors.cluster.connection import connected

    inputs, hidden = parsed(network)
    minibatches = numbers("--minibatch", minibatch)
    chosen = [known("--models", one) for one in models.split(",")]
    dataset = None if data_name is None else load(data_name, data_dir)
    if dataset is not None and dataset.features != inputs:
        raise ConfigError("--network", network, f"{dataset.name} has {dataset.features} features a sample")
    console = for_people()
    with connected(ClusterSpec(address=address)), console.status("measuring") as status:
        from dyadnet_actors.bench.actors import Layers, measure

        layers = Layers(inputs, hidden, lanes, pin)

        def told(what: str) -> None:
            status.update(f"measuring {what}")

        results = measure(layers, minibatches, chosen, relaxations, repetitions, dataset, told)
    table = Table(title=f"settled samples a second, {network}, {results['data']} inputs, {lanes} lanes")
    for column in ("model", "minibatch", "sweeps", "local", "actors", "actors / local"):
        table.add_column(column, justify="right")
    for row in results["rows"]:
        rates = (f"{row['sweeps']:.1f}", f"{row['local_per_s']:.0f}", f"{row['actors_per_s']:.0f}")
        table.add_row(row["model"], str(row["minibatch"]), *rates, f"{row['ratio']:.2f}")
    console.print(table)
    if as_json:
        typer.echo(json.dumps(results))


def start(
    blocks: Annotated[str, typer.Option(help="Blocks a layer of the digits' network, an actor each.")] = "1,20",
    repetitions: Annotated[int, typer.Option(min=1)] = 3,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Seconds until the first minibatch has settled, over those until as many empty actors are up."""
    from dyadnet.config import ClusterSpec
    from dyadnet_actors.cluster.connection import connected

    chosen = numbers("--blocks", blocks)
    console = for_people()
    with connected(ClusterSpec(address=address)), console.status("measuring") as status:
        from dyadnet_actors.bench.start import measure

        results = measure(chosen, repetitions, lambda what: status.update(f"measuring {what}"))
    table = Table(title=f"seconds until the first minibatch has settled, medians of {repetitions}")
    for column in ("actors", "empty actors", "first minibatch", "ratio"):
        table.add_column(column, justify="right")
    for row in results["rows"]:
        seconds = (f"{row['empty_s']:.1f}", f"{row['first_minibatch_s']:.1f}")
        table.add_row(str(row["actors"]), *seconds, f"{row['ratio']:.2f}")
    console.print(table)
    if as_json:
        typer.echo(json.dumps(results))


def growth(
    blocks: Annotated[str, typer.Option(help="Blocks of each chain, the one to compare with first.")] = "4,16,64",
    neurons: Annotated[int, typer.Option(min=1, help="Neurons of a block.")] = 125,
    model: Annotated[str, typer.Option(help="hm, ffm, sshm or asymmetric.")] = "sshm",
    minibatch: Annotated[int, typer.Option(min=1)] = 128,
    lanes: Annotated[int, typer.Option(min=1, help="Of both engines.")] = 2,
    number: Annotated[
        int | None, typer.Option("--actors", min=1, help="Actors that share the blocks of each chain; 4 by default.")
    ] = None,
    sweeps: Annotated[int, typer.Option(min=1, help="Sweeps by which two timed relaxations differ, at least.")] = 34,
    repetitions: Annotated[int, typer.Option(min=1)] = 7,
    address: Address = None,
    local: Annotated[
        bool, typer.Option("--local", help="The local engine alone, beside bare products of the same chains; no Ray.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Chains that grow: cost of a block and tick, memory of a block, the coordinator's cost of a minibatch."""
    sizes = numbers("--blocks", blocks)
    if min(sizes) < 2 or len(set(sizes)) < len(sizes):
        raise ConfigError("--blocks", blocks, "chains of two blocks or more, each once")
    known("--model", model)
    if lanes > minibatch:
        raise ConfigError("--lanes", lanes, f"at most the minibatch, {minibatch}")
    if local:
        for flag, value in (("--actors", number), ("--address", address)):
            if value is not None:
                raise ConfigError(flag, value, "with --local there are no actors; leave one of them out")
        _alone(sizes, neurons, model, minibatch, lanes, sweeps, repetitions, as_json)
        return
    from dyadnet.config import ClusterSpec
    from dyadnet_actors.cluster.connection import connected

    number = number or 4
    console = for_people()
    with connected(ClusterSpec(address=address)), console.status("measuring") as status:
        from dyadnet_actors.bench.growth import SpreadChain, measure

        chain = SpreadChain(model, neurons, minibatch, lanes, number)
        results = measure(sizes, chain, sweeps, repetitions, lambda what: status.update(f"measuring: {what}"))
    title = f"{model}, blocks of {neurons} neurons, minibatch {minibatch}, {lanes} lanes: µs a block and tick (ratio)"
    table = Table(title=title)
    for column in (
        "blocks",
        "links a block",
        "",
        "local",
        "",
        f"{number} actors",
        "",
        "coordinator, ms",
        "",
        "MB local",
        "MB actors",
    ):
        table.add_column(column, justify="right")
    for row in results["rows"]:
        cells = [str(row["blocks"]), f"{row['links_per_block']:.2f}", f"{row['links_ratio']:.2f}"]
        for name, unit in (("local", 1e6), ("actors", 1e6), ("coordinator", 1e3)):
            cells += [f"{unit * row[name]['cost_s']:.1f}", f"{row[name]['ratio']:.2f}"]
        cells += ["–" if size is None else f"{size / 1e6:.1f}" for size in row["memory"].values()]
        table.add_row(*cells)
    for_people(width=120).print(table)
    if as_json:
        typer.echo(json.dumps(results))


def _alone(
    sizes: list[int],
    neurons: int,
    model: str,
    minibatch: int,
    lanes: int,
    sweeps: int,
    repetitions: int,
    as_json: bool,
) -> None:
    """Measure chains on the local engine beside their bare matrix products, and print the results."""
    from dyadnet.bench.growth import alone

    console = for_people(width=120)
    with console.status("measuring") as status:
        results = alone(
            sizes,
            neurons,
            model,
            minibatch,
            lanes,
            sweeps,
            repetitions,
            lambda what: status.update(f"measuring: {what}"),
        )
    title = f"{model}, blocks of {neurons} neurons, minibatch {minibatch}, {lanes} lanes: µs a block and tick (ratio)"
    table = Table(title=title)
    for column in ("blocks", "links a block", "", "local", "", "bare products", "", "local / products, ratios"):
        table.add_column(column, justify="right")
    for row in results["rows"]:
        cells = [str(row["blocks"]), f"{row['links_per_block']:.2f}", f"{row['links_ratio']:.2f}"]
        for name in ("local", "products"):
            cells += [f"{1e6 * row[name]['cost_s']:.1f}", f"{row[name]['ratio']:.2f}"]
        table.add_row(*cells, f"{row['over_products']:.2f}")
    console.print(table)
    if as_json:
        typer.echo(json.dumps(results))
