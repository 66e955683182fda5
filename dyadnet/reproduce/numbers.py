"""Means and deviations over seeds, of what trials kept."""

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
    """Mean and standard deviation (of a sample) of as many values; NaN where there are too few."""

    mean: float
    deviation: float
    count: int


def over(values: Iterable[float | None]) -> Over:
    """Of the values that are there; a constant without bound (None in a file) is left out by whoever asks."""
    known = [float(value) for value in values if value is not None]
    mean = sum(known) / len(known) if known else math.nan
    spread = math.sqrt(sum((v - mean) ** 2 for v in known) / (len(known) - 1)) if len(known) > 1 else math.nan
    return Over(mean, spread, len(known))


def chosen(trials: Sequence[Trial], results: Mapping[int, Result], of: str) -> list[tuple[Trial, Result]]:
    """The trials of a model or variant that have ended, well or not, in the order of their seeds."""
    found = [(t, results[t.number]) for t in trials if of in (t.model, t.variant) and t.number in results]
    return sorted(found, key=lambda pair: pair[0].seed)


def well(pairs: Iterable[tuple[Trial, Result]]) -> list[dict[str, Any]]:
    """What those measured that ended well."""
    return [result.values for _, result in pairs if result.status == "ok"]


def band(curves: Sequence[Sequence[float | None]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and deviation epoch by epoch of curves, of which some may end early; the deviation of one curve is 0."""
    length = max((len(curve) for curve in curves), default=0)
    found = [over(curve[k] for curve in curves if k < len(curve)) for k in range(length)]
    return np.array([f.mean for f in found]), np.nan_to_num(np.array([f.deviation for f in found]))


def with_deviation(value: Over, digits: int, factor: float = 1.0) -> str:
    """``98.41 ± 0.05``; without a deviation where there is one value, a dash where there is none."""
    if not value.count:
        return "–"
    text = number(factor * value.mean, digits)
    return text if value.count == 1 else f"{text} ± {number(factor * value.deviation, digits)}"


def number(value: float, digits: int) -> str:
    """With so many decimals; what they would hide in powers of ten."""
    return f"{value:.0e}" if 0 < abs(value) < 0.5 * 10.0**-digits else f"{value:.{digits}f}"


def verdict(values: Mapping[str, float], agrees: bool, seen: str) -> str:
    """Whether runs agree with a statement of the paper, or that nobody knows: a model without a number decides nothing.

    Parameters
    ----------
    values
        By model, what it is judged by; NaN where no run ended well.
    seen
        What is so here, for both answers.
    """
    missing = [model.upper() for model, value in values.items() if math.isnan(value)]
    if missing:
        return f"**Not known here**: no run of {' and '.join(missing)} that says so ended well."
    return f"So here ({seen})." if agrees else f"**Not so here**: {seen}."


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of the same columns; nothing where a number is not known."""
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
    """One line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def shortcomings(trials: Sequence[Trial], results: Mapping[int, Result]) -> list[str]:
    """How a page ends: a list item for each trial that did not end well, and how many have not ended."""
    ended = [(trial, results[trial.number]) for trial in trials if trial.number in results]
    bad = [f"- {trial}: {result.status}: {result.error}" for trial, result in ended if result.status != "ok"]
    lines = ["", "## What did not end well", "", *bad] if bad else []
    missing = len(trials) - len(results)
    return lines + (["", f"{missing} of {len(trials)} runs have not ended yet."] if missing else [])
