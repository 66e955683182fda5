"""Draws the output of ``dyadnet status`` and ``dyadnet top`` from glances at runs; independent of Ray."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from dyadnet.numerics.scores import headline, written
from dyadnet.process.console import for_people

BARS = "▁▂▃▄▅▆▇█"
WIDE, NARROW = 10, 4
"""Characters of a bar: normally, and where there is little room."""
STILL = 1.0
"""Seconds without movement after which a run counts as standing still."""
COLUMNS = 112
"""Width of the output into a file or a pipe, and width that the full live view needs."""
STATES = {
    "starting": "yellow",
    "training": "green",
    "evaluating": "cyan",
    "finished": "bold green",
    "diverged": "bold red",
    "failed": "bold red",
    "stopped": "yellow",
}
ACTIVITIES = {
    "computing": "green",
    "learning": "blue",
    "radius": "magenta",
    "sending": "yellow",
    "held": "red",
    "waiting": "grey42",
}

Glance = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rates:
    """Rates per second between two glances; if there is only one glance, since the run began.

    Attributes
    ----------
    updates
        Firings per second, by block.
    activities
        Fraction of each actor's time by activity, by actor.
    ages
        Mean age in seconds of the messages that were read, by actor; free-running mode only.
    minibatches
        Minibatches per second.
    """

    updates: dict[str, float]
    activities: dict[str, dict[str, float]]
    ages: dict[str, float]
    minibatches: float


def rates(glance: Glance, before: Glance | None = None) -> Rates:
    """Return the rates since an earlier glance, or since the run began."""
    elapsed = max(1e-9, glance["now"] - (glance["started"] if before is None else before["now"]))
    old: Glance = before or {"blocks": {}, "actors": {}, "minibatches": 0}
    updates = {
        name: (block["updates"] - old["blocks"].get(name, {}).get("updates", 0)) / elapsed
        for name, block in glance["blocks"].items()
    }
    activities, ages = {}, {}
    for name, actor in glance["actors"].items():
        earlier = old["actors"].get(name, {"seconds": {}, "ages": {}})
        spent = {key: seconds - earlier["seconds"].get(key, 0.0) for key, seconds in actor["seconds"].items()}
        total = sum(spent.values())
        activities[name] = {key: seconds / total for key, seconds in spent.items()} if total > 0 else {}
        read = [
            (count - earlier["ages"].get(source, (0, 0.0))[0], seconds - earlier["ages"].get(source, (0, 0.0))[1])
            for source, (count, seconds) in actor["ages"].items()
        ]
        count = sum(pair[0] for pair in read)
        if count:
            ages[name] = sum(pair[1] for pair in read) / count
    return Rates(updates, activities, ages, (glance["minibatches"] - old["minibatches"]) / elapsed)


def console() -> Console:
    """Return the console: as wide as the terminal, or `COLUMNS` wide if there is no terminal."""
    there = for_people(results=True)
    return there if there.is_terminal else for_people(results=True, width=COLUMNS)


def overview(glances: Sequence[tuple[str, Glance]]) -> RenderableType:
    """Return a table with one line per run.

    Parameters
    ----------
    glances
        Name of each run's coordinator, and the glance at the run; empty if the coordinator does not answer.
    """
    table = Table(box=None, pad_edge=False, collapse_padding=True, header_style="bold")
    for heading, justify in (
        ("run", "left"),
        ("model", "left"),
        ("state", "left"),
        ("epoch", "right"),
        ("batch", "right"),
        ("train", "right"),
        ("valid.", "right"),
        ("age", "right"),
        ("silent", "right"),
        ("actors", "right"),
    ):
        # A long name wraps, so that it and all numbers stay readable.
        name = heading == "run"
        table.add_column(heading, justify=justify, no_wrap=not name, overflow="fold")  # type: ignore[arg-type]
    for coordinator, glance in glances:
        if not glance:
            table.add_row(coordinator.rpartition("-")[2], "", Text("no answer", style="bold red"))
            continue
        shown, score = _shown(glance, digits=1)
        table.add_row(
            glance["run"],
            glance["model"],
            Text(glance["state"], style=STATES[glance["state"]]),
            f"{glance['epoch']}/{glance['planned']}",
            _minibatch(glance),
            score(shown.get("train")),
            score(shown.get("validation")),
            duration(glance["now"] - glance["started"]),
            duration(glance["now"] - glance["progress"]),
            str(len(glance["places"])),
        )
    return table


def waiting(states: Mapping[str, str], glance: Glance) -> RenderableType:
    """Return a table of what every actor of a run does or waits for."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("actor", "where", "doing"):
        table.add_column(heading)
    for name, state in states.items():
        place = glance.get("places", {}).get(name)
        where = f"{place['address']} pid {place['pid']}" if place else ""
        bad = "dead" in state or "does not answer" in state
        table.add_row(name, Text(where, style="grey58"), Text(state, style="bold red" if bad else ""))
    return table


def chains(found: Mapping[str, Any], mode: str = "lockstep") -> RenderableType:
    """Return who waits for whom: the reason why a run stands still, or the waits at this moment.

    `found` comes from `dyadnet_actors.protocol.stall_diagnosis.Diagnosis.plain`.
    In free-running mode no block waits for a message, so a moment has no waits to show.
    """
    stands = found["still"] >= STILL
    if not stands and mode == "free":
        return Text.assemble(("at this moment: ", "bold"), "nobody waits for anybody: the run is free-running")
    head = f"nothing has moved for {found['still']:.1f} s: " if stands else "at this moment: "
    return Text.assemble((head, "bold red" if stands else "bold"), found["text"] or "nobody waits for anybody")


def board(glance: Glance, found: Rates, width: int = COLUMNS) -> RenderableType:
    """Return the live view of one run.

    Parameters
    ----------
    width
        Characters per line. If there are fewer than `COLUMNS`, bars are short.
    """
    narrow = width < COLUMNS
    title = Text.assemble(
        (f" {glance['run']} ", "bold default"),
        (f"{glance['model']} on {glance['data']} · {glance['mode']} ", "default"),
        (f"· {glance['state']} ", STATES[glance["state"]]),
    )
    parts: list[RenderableType] = [_learning(glance, found), Text(), _blocks(glance, found, narrow)]
    if found.activities:
        parts += [Text(), _actors(glance, found, narrow), _legend()]
    if glance["why"]:
        parts += [Text(), Text(glance["why"], style="bold red")]
    return Panel(Group(*parts), title=title, title_align="left", border_style="grey42", padding=(1, 1 if narrow else 2))


def _learning(glance: Glance, found: Rates) -> RenderableType:
    settings, loss = glance["settings"], glance["loss"]
    shown, score = _shown(glance)
    grid = Table.grid(padding=(0, 2))
    for _ in range(4):
        grid.add_column(no_wrap=True)
    losses = [point["loss"] for point in glance["curve"]]
    grid.add_row(
        _pair("epoch", f"{glance['epoch']}/{glance['planned']}"),
        _pair("minibatch", _minibatch(glance)),
        _pair("minibatches/s", f"{found.minibatches:.1f}"),
        _pair("running", duration(glance["now"] - glance["started"])),
    )
    grid.add_row(
        _pair("train", score(shown.get("train"))),
        _pair("validation", score(shown.get("validation"))),
        _pair("μ", _number(settings.get("radius"))),
        _pair("step", _number(settings.get("step"))),
    )
    curve = Text.assemble(("loss ", "grey58"), (_number(loss.get("minibatch")), "bold"), "  ")
    curve.append(sparkline(losses, 60), style="green")
    return Group(grid, curve)


def _blocks(glance: Glance, found: Rates, narrow: bool) -> RenderableType:
    size = NARROW if narrow else WIDE
    tolerance = glance["tolerance"]["mean"]
    table = Table(box=None, pad_edge=False, collapse_padding=narrow, header_style="bold", expand=True)
    for heading, justify in (
        ("block", "left"),
        ("neurons", "right"),
        ("residual", "right"),
        ("tolerance" if narrow else "against tolerance", "left"),
        ("saturated", "left"),
        ("updates/s", "right"),
        ("age", "right"),
        ("waiting", "left"),
    ):
        name = heading == "block"
        table.add_column(heading, justify=justify, no_wrap=not name, overflow="fold")  # type: ignore[arg-type]
    sizes = {block["name"]: block["size"] for layer in glance["network"]["layers"] for block in layer["blocks"]}
    for name, block in glance["blocks"].items():
        actor = next((label for label in found.activities if name in label.split("+")), None)
        residual, saturated = block["residual"], block["saturated"]
        table.add_row(
            name,
            str(sizes.get(name, "")),
            Text(_number(residual), style=_over(residual, tolerance)),
            _decades(residual, tolerance, size),
            _share(saturated, "yellow", size),
            f"{found.updates[name]:,.0f}",
            _age(glance, block, None if actor is None else found.ages.get(actor)),
            Text("–", style="grey42")
            if actor is None
            else _share(found.activities[actor].get("waiting", 0.0), "grey58", size),
        )
    return table


def _actors(glance: Glance, found: Rates, narrow: bool) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    table.add_column("actor", overflow="fold")
    table.add_column("where", no_wrap=True, style="grey58")
    table.add_column("time", no_wrap=True)
    for name, shares in found.activities.items():
        place = glance["places"].get(name)
        where = f"{place['address']} pid {place['pid']}" if place else ""
        table.add_row(name, where, _stacked(shares, 24 if narrow else 48))
    return table


def _legend() -> Text:
    """Return the legend for the colours of an actor's time."""
    legend = Text()
    for activity, style in ACTIVITIES.items():
        legend.append("█ ", style=style).append(f"{activity}  ", style="grey58")
    return legend


def sparkline(values: Sequence[float | None], width: int) -> str:
    """Return values as bars of eight heights on a logarithmic scale, the newest at the right."""
    known = [value for value in values if value is not None and value > 0]
    if not known:
        return ""
    step = max(1.0, len(known) / width)
    picked = [math.log(known[int(index * step)]) for index in range(min(width, len(known)))]
    low, high = min(picked), max(picked)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(BARS[round((value - low) * scale)] for value in picked)


def duration(seconds: float) -> str:
    """Format seconds as a clock does: minutes and seconds, preceded by hours if there are any."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _minibatch(glance: Glance) -> str:
    size = glance["epoch_minibatches"]
    return f"{glance['minibatches'] - (glance['epoch'] - 1) * size}/{size}" if size else "–"


def _shown(glance: Glance, digits: int = 2) -> tuple[Mapping[str, float], Callable[[float | None], str]]:
    """Return the accuracy, PSNR or R² of each part after the last complete epoch, and a function that formats it."""
    ended = glance["ended"]
    if "r2" not in ended:
        return ended.get("accuracy", {}), partial(_percent, digits=digits)
    name, called = headline(ended)
    return ended[name], lambda value: "–" if value is None else f"{called} {written(name, value)}"


def _pair(label: str, value: str) -> Text:
    return Text.assemble((f"{label} ", "grey58"), (value, "bold"))


def _percent(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}%}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _over(residual: float | None, tolerance: float) -> str:
    return "bold red" if residual is None or residual > tolerance else "green"


def _decades(residual: float | None, tolerance: float, size: int) -> Text:
    """Return a bar over four decades, with the tolerance in its middle."""
    if residual is None:
        return Text("–")
    filled = 0.0 if residual <= 0 else (math.log10(residual / tolerance) + 2.0) / 4.0
    return _bar(filled, _over(residual, tolerance), size)


def _share(value: float | None, style: str, size: int) -> Text:
    if value is None:
        return Text("–")
    return _bar(value, style, size).append(f" {value:4.0%}", style="")


def _bar(filled: float, style: str, size: int) -> Text:
    count = round(min(1.0, max(0.0, filled)) * size)
    return Text("█" * count, style=style).append("░" * (size - count), style="grey30")


def _stacked(shares: Mapping[str, float], width: int) -> Text:
    text = Text()
    for activity, style in ACTIVITIES.items():
        text.append("█" * round(shares.get(activity, 0.0) * width), style=style)
    return text


def _age(glance: Glance, block: Mapping[str, Any], seconds: float | None) -> str:
    if glance["mode"] == "free":
        return "–" if seconds is None else f"{1e3 * seconds:.1f} ms"
    return f"{block['age']} ticks" if block["age"] != 1 else "1 tick"
