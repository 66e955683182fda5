"""``dyadnet analyse``: analysis of a run's saved weights; ``dyadnet delay-limits``: the delay experiment."""

from __future__ import annotations

import functools
import json
import math
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

from dyadnet.cli.completion import PARTS, WEIGHTS, among
from dyadnet.cli.picture_option import FormatOption
from dyadnet.errors import ConfigError, RunFolderError
from dyadnet.process.console import for_people

JSON, PICTURE = "analysis.json", "analysis.png"

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of standard output.")]


def analyse(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run, trained on any engine.")],
    weights: Annotated[str, typer.Option(help="best or last.", autocompletion=among(WEIGHTS))] = "best",
    part: Annotated[
        str,
        typer.Option(help="Where the samples come from: test, validation or train.", autocompletion=among(PARTS)),
    ] = "test",
    samples: Annotated[int, typer.Option(min=1, help="Samples to settle, attack and disturb.")] = 100,
    epsilons: Annotated[str | None, typer.Option(help="Sizes of adversarial changes, such as 0.05,0.1.")] = None,
    sigmas: Annotated[str | None, typer.Option(help="Sizes of Gaussian input noise, such as 0.1,0.2.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the results; the run's by default.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the data, if it has moved.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="key.path=value", help="Change imperfections, dynamics or data; may be repeated."
        ),
    ] = None,
    picture: FormatOption = None,
    as_json: Json = False,
) -> None:
    """Lipschitz constants, stability, gradients, generalisation, settling and robustness of saved weights."""
    from dyadnet.analysis import pictures
    from dyadnet.analysis.analyse import Questions
    from dyadnet.analysis.analyse import analyse as found_by
    from dyadnet.analysis.table import table
    from dyadnet.config.overrides import assigned
    from dyadnet.runs.folder import read_config, whole
    from dyadnet.training.evaluation import load

    if weights not in ("best", "last"):
        raise ConfigError("--weights", weights, "one of best, last")
    # If the path cannot be examined, the later write reports the reason.
    with suppress(OSError):
        if out is not None and out.is_file():
            raise RunFolderError(f"--out {out}: this is a file; name a folder")
    if part not in ("test", "validation", "train"):
        raise ConfigError("--part", part, "one of test, validation, train")
    asked: dict[str, Any] = {"part": part, "samples": samples}
    for flag, text in (("epsilons", epsilons), ("sigmas", sigmas)):
        if text is not None:
            asked[flag] = _numbers(f"--{flag}", text, 0.0, math.inf, "of at least 0")
    questions = Questions(**asked)
    config = read_config(run)
    changes: dict[str, Any] = functools.reduce(assigned, settings or [], {})
    saved = load(run, weights, data_dir, changes=changes)
    console = for_people()
    epoch, epochs = saved.manifest["epoch"], config.learning.epochs
    if weights == "last" and epoch < epochs:
        text = f"warning: this run is not finished; its last weights are of epoch {epoch} of {epochs}"
        console.print(text, style="yellow", soft_wrap=True)
    with Progress(*_columns(), console=console, transient=True) as progress:
        task = progress.add_task("starting", total=questions.work)
        findings = found_by(saved, questions, lambda section: progress.update(task, advance=1, description=section))
    result: dict[str, Any] = {"run": str(run), "weights": weights, "epoch": epoch}
    result |= {"weights_sha256": saved.manifest["weights_sha256"], "couplings": list(saved.couplings)}
    result |= {"part": part, "samples": samples, **findings.sections}
    if changes:
        result["settings"] = changes
    folder = _writable(run if out is None else out)
    with whole(folder / JSON) as fresh:
        fresh.write_text(json.dumps(_plain(result), indent=1, allow_nan=False), encoding="utf-8")
    pictures.draw(findings, folder / PICTURE, f"{run.resolve().name}, {weights} weights, {samples} {part} samples")
    console.print(table(result))
    typer.echo(f"written: {folder / JSON}, {folder / PICTURE}", err=True)
    if as_json:
        typer.echo(json.dumps(_plain(result), allow_nan=False))


def delay_limits(
    out: Annotated[Path, typer.Option(help="Folder for data and picture.")] = Path("delay-limits"),
    kappas: Annotated[str | None, typer.Option(help="Couplings from −1 to 1, such as -1,0,1.")] = None,
    delays: Annotated[str | None, typer.Option(help="Delays in ticks, such as 1,4,16.")] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs that each network trains.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Of the networks.")] = 0,
    picture: FormatOption = None,
    as_json: Json = False,
) -> None:
    """Largest stable step against delay, theory beside simulation, and what tuning or stretching restores."""
    from dataclasses import asdict

    from dyadnet.analysis.delay_report import report
    from dyadnet.analysis.delays import DELAYS, KAPPAS, Experiment, measure
    from dyadnet.data import load as load_data

    chosen = KAPPAS if kappas is None else tuple(dict.fromkeys(_numbers("--kappas", kappas, -1.0, 1.0, "from −1 to 1")))
    ticks: tuple[int, ...] = DELAYS
    if delays is not None:
        found = _numbers("--delays", delays, 1.0, math.inf, "of at least 1")
        if any(delay != int(delay) for delay in found):
            raise ConfigError("--delays", delays, "whole numbers of ticks, such as 1,4,16")
        ticks = tuple(dict.fromkeys(int(delay) for delay in found))
    folder = _writable(out)
    experiment = Experiment(kappas=chosen, delays=ticks, epochs=epochs, seed=seed)
    console = for_people()
    with Progress(*_columns(), console=console, transient=True) as progress:
        task = progress.add_task("starting", total=experiment.work)
        limits, costs, rests = measure(
            experiment, load_data("digits"), lambda what: progress.update(task, advance=1, description=what)
        )
    paths = report(folder, limits, costs, rests)
    ratios = [limit.simulated / limit.theory for limit in limits] + [cost.simulated / cost.theory for cost in costs]
    worst = max(abs(ratio - 1.0) for ratio in ratios)
    typer.echo(f"simulation within {worst:.1%} of theory; written: {', '.join(map(str, paths))}", err=True)
    if as_json:
        result = {
            "limits": [asdict(limit) for limit in limits],
            "costs": [asdict(cost) for cost in costs],
            "rests": [asdict(rest) for rest in rests],
        }
        typer.echo(json.dumps(_plain(result), allow_nan=False))


def _writable(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise RunFolderError(f"--out {folder}: this is a file; name a folder") from None
    except OSError as problem:
        raise RunFolderError(f"--out {folder}: it cannot be written ({problem.strerror})") from None
    return folder


def _columns() -> tuple[ProgressColumn, ...]:
    return TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()


def _numbers(flag: str, text: str, low: float, high: float, legal: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or not all(math.isfinite(number) and low <= number <= high for number in numbers):
        raise ConfigError(flag, text, f"numbers {legal}, with commas between")
    return numbers


def _plain(value: Any) -> Any:
    """Replace numbers that JSON lacks by null: an unbounded constant, an angle to a zero vector."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
