"""Means and deviations over seeds of the values that trials kept."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.study.plan import Trial
from dyadnet.study.trial import Result


@dataclass(frozen=True, slots=True)
class Over:
    """Mean and sample standard deviation of `count` values; NaN if there are too few."""

    mean: float
    deviation: float
    count: int


def over(values: Iterable[float | None]) -> Over:
    """Return mean and deviation of the known values. None is left out, for example an unbounded constant in a file."""
    known = [float(value) for value in values if value is not None]
    mean = sum(known) / len(known) if known else math.nan
    spread = math.sqrt(sum((v - mean) ** 2 for v in known) / (len(known) - 1)) if len(known) > 1 else math.nan
    return Over(mean, spread, len(known))


def chosen(trials: Sequence[Trial], results: Mapping[int, Result], of: str) -> list[tuple[Trial, Result]]:
    """Return the trials of a model or variant that have ended, well or not, in the order of their seeds."""
    found = [(t, results[t.number]) for t in trials if of in (t.model, t.variant) and t.number in results]
    return sorted(found, key=lambda pair: pair[0].seed)


def well(pairs: Iterable[tuple[Trial, Result]]) -> list[dict[str, Any]]:
    """Return the values of the trials that ended well."""
    return [result.values for _, result in pairs if result.status == "ok"]


def band(curves: Sequence[Sequence[float | None]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and deviation of curves by epoch. Some curves may end early; the deviation of one curve is 0."""
    length = max((len(curve) for curve in curves), default=0)
    found = [over(curve[k] for curve in curves if k < len(curve)) for k in range(length)]
    return np.array([f.mean for f in found]), np.nan_to_num(np.array([f.deviation for f in found]))


def with_deviation(value: Over, digits: int, factor: float = 1.0) -> str:
    """Format a value as ``98.41 ± 0.05``; without deviation if there is one value, as a dash if there is none."""
    if not value.count:
        return "–"
    text = number(factor * value.mean, digits)
    return text if value.count == 1 else f"{text} ± {number(factor * value.deviation, digits)}"


def number(value: float, digits: int) -> str:
    """Format a number with `digits` decimals; a number that would become 0 is written in scientific notation."""
    return f"{value:.0e}" if 0 < abs(value) < 0.5 * 10.0**-digits else f"{value:.{digits}f}"


def verdict(values: Mapping[str, float], agrees: bool, seen: str) -> str:
    """Return a sentence on whether runs agree with a statement of the paper; unknown if a model has no value.

    Parameters
    ----------
    values
        The values that are judged, by model; NaN if no run ended well.
    agrees
        Whether they agree with the statement.
    seen
        The observation, which both answers quote.
    """
    missing = [model.upper() for model, value in values.items() if math.isnan(value)]
    if missing:
        return f"**Not known here**: no run of {' and '.join(missing)} that says so ended well."
    return f"So here ({seen})." if agrees else f"**Not so here**: {seen}."


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows with the same columns as CSV; unknown numbers are empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: _written(value) for key, value in row.items()})
    return text.getvalue()


def _written(value: Any) -> Any:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return "" if value is None else value


def line(cells: Iterable[str]) -> str:
    """Return one line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def shortcomings(trials: Sequence[Trial], results: Mapping[int, Result]) -> list[str]:
    """Return the end of a page: a list of the trials that did not end well, and the number that have not ended."""
    ended = [(trial, results[trial.number]) for trial in trials if trial.number in results]
    bad = [f"- {trial}: {result.status}: {result.error}" for trial, result in ended if result.status != "ok"]
    lines = ["", "## What did not end well", "", *bad] if bad else []
    missing = len(trials) - len(results)
    return lines + (["", f"{missing} of {len(trials)} runs have not ended yet."] if missing else [])
