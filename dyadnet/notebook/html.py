"""HTML representations of networks, settings and runs for notebooks. Names are escaped."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from dyadnet.config import RunConfig
from dyadnet.network.description import Network
from dyadnet.numerics.scores import headline, written
from dyadnet.synapses.kinds import described

MANY = 12
"""Largest number of populations, and of projections, that are listed."""
WIDE, HIGH = 170, 36
"""Size of a curve in pixels."""


def network(net: Network) -> str:
    """Represent a network by two tables: populations and projections."""
    populations = [[p.name, _size(net, p.name), p.activation, p.blocks] for p in net.populations]
    projections = [
        [
            f"{p.pre} → {p.post}" + ("" if p.is_dense else f" ({described(p.connectivity)})"),
            "–" if p.lam is None else f"{p.lam:g}",
            f"{p.gain:g}",
        ]
        for p in net.projections
    ]
    return (
        f"<div><b>Network</b> {html.escape(_told(net))}"
        f"{_table(['population', 'neurons', 'activation', 'blocks'], populations)}"
        f"{_table(['projection', 'λ', 'gain'], projections)}</div>"
    )


def config(settings: RunConfig) -> str:
    """Represent settings by a table of those that differ from the defaults, and all as YAML, collapsed."""
    from dyadnet.reporting.contents import written_settings

    told = written_settings(settings)
    rows = [[key, told["settings"][key]] for key in told["changed"]]
    return (
        f"<div><b>RunConfig</b> {html.escape(_told(settings.network))}"
        f"{_table(['setting', 'other than the default'], rows)}"
        f"<details><summary>everything resolved</summary><pre>{html.escape(told['yaml'])}</pre></details></div>"
    )


def run(one: Any) -> str:
    """Represent a `dyadnet.Run` by its status, its results, and its loss and error over epochs."""
    from dyadnet.reporting.page import REPORT

    status = one.status
    head = f"<b>Run</b> {html.escape(str(one.path))} · {html.escape(status.state)}"
    why = f"<br><small>{html.escape(status.why)}</small>" if status.why else ""
    done = len(one.history["epoch"])
    if not done:
        return f"<div>{head} · no epoch has ended{why}</div>"
    name, called = headline([key.removeprefix("validation_") for key in one.history])
    numbers = [
        [f"test {called}", written(name, getattr(one, f"test_{name}"))],
        [f"validation {called}", written(name, getattr(one.summary, f"validation_{name}"))],
        ["best epoch", f"{one.best_epoch} of {done}"],
        ["training loss, last epoch", f"{one.train_loss:.4g}"],
        ["seconds", f"{one.seconds:.3g}"],
    ]
    curves = [
        ["loss", curve(one.history["train_loss"])],
        ["validation error", curve(1 - one.history["validation_accuracy"])]
        if name == "accuracy"
        else [f"validation {called}", curve(one.history[f"validation_{name}"])],
    ]
    shown = "".join(f'<td style="text-align: center"><small>{name}</small><br>{drawn}</td>' for name, drawn in curves)
    page = one.path / REPORT
    link = f"<small>report: {html.escape(str(page))}</small>" if page.exists() else ""
    return f"<div>{head}{why}{_table(['', ''], numbers)}<table><tr>{shown}</tr></table>{link}</div>"


def curve(values: Sequence[float] | np.ndarray[Any, Any]) -> str:
    """Draw values over epochs as a small SVG, scaled from the smallest to the largest; NaN is left out."""
    array = np.asarray(values, dtype=float)
    known = np.flatnonzero(np.isfinite(array))
    if not len(known):
        return ""
    low, high = array[known].min(), array[known].max()
    x = 3 + (WIDE - 6) * known / max(1, len(array) - 1)
    y = HIGH - 4 - (HIGH - 8) * (array[known] - low) / ((high - low) or 1.0)
    points = " ".join(f"{one:.1f},{other:.1f}" for one, other in zip(x, y, strict=True))
    return (
        f'<svg width="{WIDE}" height="{HIGH}" viewBox="0 0 {WIDE} {HIGH}" xmlns="http://www.w3.org/2000/svg">'
        f'<polyline points="{points}" fill="none" stroke="#0f8b8d" stroke-width="1.6"/>'
        f'<circle cx="{x[-1]:.1f}" cy="{y[-1]:.1f}" r="2.4" fill="#0f8b8d"/></svg>'
    )


def _told(net: Network) -> str:
    """Describe the sizes of a network in words; sizes taken from the data are not known yet."""
    inputs = "inputs from the data" if "inputs" in net.from_data else f"{_times(net.input_shape) or net.inputs} inputs"
    neurons = sum(population.size for population in net.populations)
    if net.from_data:
        return f"{inputs}, {len(net.populations)} populations"
    synapses = sum(math.prod(shape) for p in net.projections for shape in net.shapes(p).values())
    return f"{inputs}, {len(net.populations)} populations, {neurons:,} neurons, {synapses:,} synapses"


def _size(net: Network, name: str) -> str:
    if "outputs" in net.from_data and name == net.output:
        return "from the data"
    population = net.by_name[name]
    return _times(population.shape) or str(population.size)


def _times(shape: tuple[int, ...] | None) -> str:
    return "×".join(map(str, shape or ()))


def _table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Create an HTML table of the first `MANY` rows."""
    if not rows:
        return ""
    head = "" if not any(heads) else _row("th", heads)
    rest = f"<br><small>and {len(rows) - MANY} more</small>" if len(rows) > MANY else ""
    return f"<table>{head}{''.join(_row('td', row) for row in rows[:MANY])}</table>{rest}"


def _row(tag: str, cells: Iterable[Any]) -> str:
    inside = "".join(f'<{tag} style="text-align: left">{html.escape(str(cell))}</{tag}>' for cell in cells)
    return f"<tr>{inside}</tr>"
