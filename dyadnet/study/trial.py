"""Run one trial of a study in this process, on one thread, and return its result."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

from dyadnet.baselines import engine_in_process
from dyadnet.config import RunConfig
from dyadnet.data import Dataset
from dyadnet.engines.protocol import Engine
from dyadnet.errors import DivergedError
from dyadnet.numerics.scores import scores
from dyadnet.runs.initial_weights import initial_weights
from dyadnet.runs.loading import shape_for
from dyadnet.runs.record_lines import Epoch, Line
from dyadnet.runs.watcher import Silent
from dyadnet.study.columns import METRICS
from dyadnet.study.definition import Keep
from dyadnet.study.kept import BestWeights, curves, examined
from dyadnet.study.ongoing import best, ongoing, told
from dyadnet.training.coordinator import Coordinator, Outset

Status = Literal["ok", "diverged", "failed"]


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a trial.

    Attributes
    ----------
    status
        ``ok``, ``diverged`` (a relaxation diverged), or ``failed`` (any other error).
    error
        The error in one line; empty if ok.
    values
        Values by column of the table, `dyadnet.study.columns`; unknown values are omitted.
    """

    status: Status
    error: str
    values: dict[str, Any]

    def complete(self, keep: Sequence[Keep] = ()) -> bool:
        """Return whether the result has a legal status and, if ok, a score and everything in `keep`."""
        score = "test_r2" if "test_r2" in self.values else "test_accuracy"
        wanted = {score, *keep} if self.status == "ok" else set()
        return self.status in get_args(Status) and wanted <= self.values.keys()


class _Epochs(Silent):
    """A watcher that stores the epoch lines of the record."""

    def __init__(self) -> None:
        self.lines: list[Epoch] = []
        self.seconds: list[float] = []
        self._began = time.perf_counter()

    def epoch(self, line: dict[str, Any]) -> None:
        """Store a line, and its time since the start."""
        self.lines.append(cast(Epoch, line))
        self.seconds.append(time.perf_counter() - self._began)


def run_trial(config: RunConfig, dataset: Dataset, keep: Sequence[Keep] = (), place: Path | None = None) -> Result:
    """Run one trial. Errors are part of the result and are not raised.

    Parameters
    ----------
    config
        The trial's configuration.
    dataset
        The data set, limited as the configuration says.
    keep
        Names of further contents of the result's values. A trial that diverged only has the curves.
    place
        Folder for checkpoints, from which the trial resumes if there are any; None: nothing is written.
    """
    started = time.perf_counter()
    epochs = _Epochs()
    status: Status = "ok"
    error = ""
    measured: dict[str, Any] = {}
    try:
        engine = engine_in_process(config, dataset, threads=1)
        try:
            weights = BestWeights() if {"constants", "generalisation"} & set(keep) else None
            with _coordinated(config, dataset, engine, weights, epochs, place) as coordinator:
                summary = coordinator.run()
            if weights is not None:
                measured |= examined(coordinator, dataset, weights if place is None else best(place, config), keep)
        finally:
            engine.close()
        measured |= learned(epochs.lines[summary.best_epoch - 1], epochs.lines[-1]) | moved(epochs.lines)
    except DivergedError as problem:
        status, error = "diverged", str(problem)
    except Exception as problem:
        status, error = "failed", f"{type(problem).__name__}: {' '.join(str(problem).split())}"
    measured["epochs"] = len(epochs.lines)
    if dataset.numbers is None:
        measured["chance"] = 1 / dataset.classes
    if "curves" in keep:
        measured["curves"] = curves(config.network, epochs.lines, epochs.seconds)
    # If the trial resumed from a checkpoint, earlier work counts too.
    measured["seconds"] = max([time.perf_counter() - started, *epochs.seconds[-1:]])
    return Result(status, error, {name: _finite(value) for name, value in measured.items()})


@contextlib.contextmanager
def _coordinated(
    config: RunConfig,
    dataset: Dataset,
    engine: Engine,
    weights: BestWeights | None,
    epochs: _Epochs,
    place: Path | None,
) -> Iterator[Coordinator]:
    """Yield the coordinator, with its best weights in memory or in a folder. At the end, `epochs` has all epochs."""
    if place is None:
        outset = Outset(initial_weights(config)[1])
        yield Coordinator(config, shape_for(config, dataset), engine, folder=weights, watcher=epochs, outset=outset)
        return
    with ongoing(config, shape_for(config, dataset), engine, place) as coordinator:
        try:
            yield coordinator
        finally:
            epochs.lines, epochs.seconds = told(place)


def learned(best: Line, last: Line) -> dict[str, Any]:
    """Return scores and final values from the record lines of the best and the last epoch."""
    parts = {part: best[part] for part in ("test", "validation", "train")} | {
        "ideal": best.get("test_ideal", best["test"])
    }
    found = {f"{part}_{name}": value for part, entry in parts.items() for name, value in scores(entry).items()}
    if "accuracy" in best["test"]:
        found["gap"] = best["train"]["accuracy"] - best["test"]["accuracy"]
    return {
        **{name: value for name, value in found.items() if name in METRICS},
        "train_loss": last["train"]["loss"],
        "radius": last["radius"],
        "step": last["step"],
        "weights_sha256": last["weights_sha256"],
    }


def moved(lines: Sequence[Line]) -> dict[str, Any]:
    """Return settling and traffic during training, from the record lines of all epochs."""
    parts = [line["train"] for line in lines]
    edges = [edge for part in parts for edge in part["edges"].values()]
    sent = {name: sum(edge.get(name, 0) for edge in edges) for name in ("messages", "values", "suppressed", "dropped")}
    wanted = sent["values"] + sent["suppressed"]
    return {
        "sweeps_mean": sum(part["sweeps"] for part in parts) / len(parts),
        "sweeps_max": max(part["most_sweeps"] for part in parts),
        "ticks_mean": sum(part["ticks"] for part in parts) / len(parts),
        "capped": sum(part["capped"] for part in parts) / sum(part["phases"] for part in parts),
        "saved": sent["suppressed"] / wanted if wanted else 0.0,
    } | sent


def _finite(value: Any) -> Any:
    """Replace NaN and infinity by None, because JSON has neither."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
