"""The summary of a study as a Markdown page, with one table per model and variant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from dyadnet.study.columns import DIFFERENCE, MEASURES
from dyadnet.study.definition import REFERENCE, Study
from dyadnet.study.intervals import NAMES
from dyadnet.study.table import Cell, Row, cell

LONGEST = 10
"""Largest number of errors that are listed."""


def summary(study: Study, rows: Sequence[Row], planned: int) -> str:
    """Return the summary page.

    Parameters
    ----------
    study
        The study's definition.
    rows
        Rows of the trials that have ended.
    planned
        Total number of trials.
    """
    counts = Counter(row["status"] for row in rows)
    states = " · ".join(f"{counts[status]} {status}" for status in ("ok", "diverged", "failed"))
    lines = [f"# {study.title or study.name}", "", *([study.description.strip(), ""] if study.description else [])]
    lines += [f"{len(rows)} of {planned} trials: {states}.", ""]
    spread = f" ± {NAMES[study.interval]}" if study.interval in NAMES else ""
    lines += [
        f"Cells: mean over seeds ({len(study.seeds)}){spread}, of the trials that ended well; †: some did not; "
        "✕: none did.",
        "",
    ]
    for metric in study.measures:
        lines += [f"## {MEASURES[metric].label}{', paired by seed' if MEASURES[metric].signed else ''}", ""]
        lines += _reference(study, rows, metric)
        for variant in study.variant_names:
            for model in study.model_names:
                chosen = [row for row in rows if row["in_plan"] and (row["variant"], row["model"]) == (variant, model)]
                title = " · ".join(part for part in (model.upper(), _title(study, variant)) if part)
                lines += [f"### {title}", ""] if title else []
                lines += _table(study, chosen, metric)
    bad = [row for row in rows if row["status"] != "ok"]
    if bad:
        lines += ["## What did not end well", ""]
        lines += [f"- {_name(study, row)}: {row['status']}: {row['error']}" for row in bad[:LONGEST]]
        lines += [f"- … and {len(bad) - LONGEST} more, in results.csv"] if len(bad) > LONGEST else []
        lines += [""]
    return "\n".join(lines)


def shown(metric: str, value: float) -> str:
    """Format a value for a table or a cell of a map."""
    if MEASURES[metric].signed:
        return f"{'−' if value < 0 else '+'}{shown(metric.removesuffix(DIFFERENCE), abs(value))}"
    kind = MEASURES[metric].scale
    if kind == "fraction":
        return f"{100 * value:.1f}"
    if kind == "count" and abs(value) >= 1000:
        for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
            if abs(value) >= size:
                return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def behind(metric: str, value: float) -> str:
    """Format the half-width of an interval, with ± and without a sign of its own."""
    return f"±{shown(metric.removesuffix(DIFFERENCE), value)}"


def _title(study: Study, variant: str) -> str:
    return (study.variants[variant].title or variant) if variant in study.variants else ""


def _reference(study: Study, rows: Sequence[Row], metric: str) -> list[str]:
    if not study.reference or MEASURES[metric].signed:
        return []
    parts = []
    for model in study.model_names:
        found = cell(rows, metric, {"variant": REFERENCE, "model": model}, study.interval)
        parts.append(f"{model.upper()} {_cell(metric, found)}".strip())
    return [f"The base alone: {', '.join(parts)}.", ""]


def _table(study: Study, rows: Sequence[Row], metric: str) -> list[str]:
    if len(study.axes) == 2 and not study.random:
        # The table has the same layout as the map.
        across, down = study.axes
        lines = [_line([f"{down.title} ↓ · {across.title} →", *(_value(value) for value in across.grid or [])])]
        lines += [_line(["---"] * (len(across.grid or []) + 1))]
        for one in down.grid or []:
            cells = []
            for other in across.grid or []:
                wanted = {down.column: one, across.column: other}
                cells.append(_cell(metric, cell(rows, metric, wanted, study.interval)))
            lines.append(_line([f"**{_value(one)}**", *cells]))
        return [*lines, ""]
    names = [axis.column for axis in study.axes]
    lines = [_line([*(axis.title for axis in study.axes), MEASURES[metric].label])]
    lines += [_line(["---"] * (len(names) + 1))]
    points: list[list[Any]] = []
    for row in rows:
        point = [row[name] for name in names]
        if point not in points:
            points.append(point)
    for point in points:
        found = cell(rows, metric, dict(zip(names, point, strict=True)), study.interval)
        lines.append(_line([*(_value(value) for value in point), _cell(metric, found)]))
    return [*lines, ""]


def _cell(metric: str, found: Cell) -> str:
    if found.mean is None:
        return "✕" if found.trials else "–"
    spread = "" if found.margin is None else f" {behind(metric, found.margin).replace('±', '± ')}"
    unit = ("" if MEASURES[metric].signed else " %") if MEASURES[metric].scale == "fraction" else ""
    return f"{shown(metric, found.mean)}{spread}{unit}{'' if found.ok == found.trials else ' †'}"


def _name(study: Study, row: Row) -> str:
    parts = [row["variant"], row["model"].upper()]
    parts += [f"{axis.title} = {_value(row[axis.column])}" for axis in study.axes if row["in_plan"]]
    return ", ".join([part for part in parts if part] + [f"seed {row['seed']}"])


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
