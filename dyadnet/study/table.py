"""The table of a study, one row a trial, and means over seeds with their confidence."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dyadnet.study.columns import IDENTITY, METRICS, REST
from dyadnet.study.definition import Study
from dyadnet.study.plan import Trial
from dyadnet.study.trial import Result

Row = dict[str, Any]

# fmt: off
T_QUANTILES = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)
# fmt: on
"""The 0.975 quantile of Student's t for 1 to 30 degrees of freedom; beyond, the normal's 1.96 is within 4 %."""


@dataclass(frozen=True, slots=True)
class Cell:
    """All seeds of one point.

    Attributes
    ----------
    mean
        Over the trials that ended well; None if there are none.
    margin
        Half the 95 % confidence interval of the mean by Student's t; None for fewer than two trials.
    ok, trials
        How many ended well, and how many ended.
    """

    mean: float | None
    margin: float | None
    ok: int
    trials: int


def rows(study: Study, trials: Sequence[Trial], results: Mapping[int, Result]) -> list[Row]:
    """One row a finished trial, in the order of the plan."""
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
    return found


def columns(study: Study) -> list[str]:
    """Names of the table's columns."""
    return [*IDENTITY, *(axis.column for axis in study.axes), *REST, *METRICS]


def as_csv(study: Study, rows: Iterable[Row]) -> str:
    """The table as CSV; what is not known is empty, and values that are no numbers or words are JSON."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = columns(study)
    writer.writerow(names)
    for row in rows:
        writer.writerow([_written(row[name]) for name in names])
    return text.getvalue()


def cell(rows: Iterable[Row], metric: str, of: Mapping[str, Any]) -> Cell:
    """Mean and confidence of a metric over the rows that have the values `of`, by column."""
    picked = [row for row in rows if all(row[name] == value for name, value in of.items())]
    values = [row[metric] for row in picked if row["status"] == "ok" and row[metric] is not None]
    mean = sum(values) / len(values) if values else None
    return Cell(mean, margin(values), len(values), len(picked))


def margin(values: Sequence[float]) -> float | None:
    """Half the 95 % confidence interval of the mean by Student's t; None for fewer than two values."""
    count = len(values)
    if count < 2:
        return None
    mean = sum(values) / count
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (count - 1))
    quantile = T_QUANTILES[count - 2] if count - 2 < len(T_QUANTILES) else 1.96
    return quantile * deviation / math.sqrt(count)


def _written(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool | dict | list):
        return json.dumps(value)
    return repr(value) if isinstance(value, float) else value
