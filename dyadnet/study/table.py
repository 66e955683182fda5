"""The table of a study, one row per trial, and means over seeds with their intervals."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dyadnet.study.columns import DIFFERENCE, DIFFERENCES, IDENTITY, METRICS, OF_CLASSES, OF_IMAGES, OF_NUMBERS, REST
from dyadnet.study.definition import REFERENCE, Study
from dyadnet.study.intervals import Interval, margin
from dyadnet.study.plan import Trial
from dyadnet.study.trial import Result

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cell:
    """Statistics over all seeds of one point.

    Attributes
    ----------
    mean
        Mean over the trials that ended well; None if there are none.
    margin
        Half-width of the interval; None for fewer than two trials, and for the interval ``none``.
    ok, trials
        Number of trials that ended well, and number of trials that ended.
    """

    mean: float | None
    margin: float | None
    ok: int
    trials: int


def rows(study: Study, trials: Sequence[Trial], results: Mapping[int, Result]) -> list[Row]:
    """Return one row per finished trial, in the order of the plan."""
    found = []
    for trial in trials:
        if trial.number not in results:
            continue
        result = results[trial.number]
        row: Row = {"trial": trial.number, "status": result.status, "error": result.error}
        row |= {"variant": trial.variant, "model": trial.model, "seed": trial.seed}
        row |= {axis.column: trial.point.get(axis.column) for axis in study.axes}
        row |= {name: result.values.get(name) for name in (*REST, *METRICS)}
        row["in_plan"] = bool(trial.point)
        found.append(row)
    return with_differences(found, study.metrics)


def with_differences(rows: Sequence[Row], metrics: Iterable[str]) -> list[Row]:
    """Add to each row the differences of metrics to the base alone, paired by model and seed.

    A difference is None if one of the two trials did not end well.
    """
    base = {(row["model"], row["seed"]): row for row in rows if row["variant"] == REFERENCE and row["status"] == "ok"}
    found = []
    for row in rows:
        other = base.get((row["model"], row["seed"]), {})
        pairs = {name: (row[name], other.get(name)) for name in metrics}
        found.append(row | {f"{name}{DIFFERENCE}": _minus(*pair) for name, pair in pairs.items()})
    return found


def _minus(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def columns(study: Study, rows: Sequence[Row] = ()) -> list[str]:
    """Return the table's columns. Scores are those of classes, or those of numbers and images if a row has them."""
    numbers, images = (any(row[name] is not None for row in rows) for name in ("test_r2", "test_psnr"))
    others = (*(OF_CLASSES if numbers else OF_NUMBERS), *(() if images else OF_IMAGES))
    measured = [metric for metric in METRICS if metric not in others or metric in study.metrics]
    differences = [name for name in study.measures if name in DIFFERENCES]
    return [*IDENTITY, *(axis.column for axis in study.axes), *REST, *measured, *differences]


def as_csv(study: Study, rows: Sequence[Row]) -> str:
    """Return the table as CSV. Unknown values are empty; values other than numbers and text are written as JSON."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = columns(study, rows)
    writer.writerow(names)
    for row in rows:
        writer.writerow([_written(row[name]) for name in names])
    return text.getvalue()


def cell(rows: Iterable[Row], metric: str, of: Mapping[str, Any], interval: Interval = "t95") -> Cell:
    """Return mean and interval of a metric over the rows that have the values `of`, by column."""
    picked = [row for row in rows if all(row[name] == value for name, value in of.items())]
    values = [row[metric] for row in picked if row["status"] == "ok" and row[metric] is not None]
    mean = sum(values) / len(values) if values else None
    return Cell(mean, margin(values, interval), len(values), len(picked))


def _written(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool | dict | list):
        return json.dumps(value)
    return repr(value) if isinstance(value, float) else value
