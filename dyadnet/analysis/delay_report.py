"""Write the results of the delay experiment: three CSV files and a picture."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, fields
from itertools import product
from pathlib import Path
from typing import Any

from dyadnet.analysis.delays import CEILING, SMALL_STEP, WAYS, Cost, Limit, Rest
from dyadnet.reporting.plots import colour_of, dress, panels, spared, written
from dyadnet.runs.folder import whole

LIMITS, COSTS, RESTS, PICTURE = "limits.csv", "costs.csv", "rests.csv", "delay.png"
STYLES = {
    "fixed": (f"η = {SMALL_STEP}", "#b4441f", "v"),
    "tuned": ("η tuned to the delay", "#d98c21", "s"),
    "prospective": ("prospective", "#5a3f9e", "^"),
    "stretched": ("red-black, stretched", "#1f6fb4", "o"),
}
MODELS_OF = {-1.0: "SSHM", 0.0: "FFM", 1.0: "HM"}


def report(folder: Path, limits: Sequence[Limit], costs: Sequence[Cost], rests: Sequence[Rest]) -> list[Path]:
    """Write the data and the picture of an experiment into a folder, each file atomically. Return the paths."""
    paths = [folder / LIMITS, folder / COSTS, folder / RESTS, folder / PICTURE]
    _table(paths[0], Limit, limits)
    _table(paths[1], Cost, costs)
    _table(paths[2], Rest, rests)
    _draw(paths[3], limits, costs, rests)
    return paths


def _table(path: Path, kind: Any, rows: Sequence[Any]) -> None:
    with whole(path) as fresh, fresh.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(kind)], lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({key: _short(value) for key, value in asdict(row).items()})


def _short(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value


@spared
def _draw(path: Path, limits: Sequence[Limit], costs: Sequence[Cost], rests: Sequence[Rest]) -> None:
    """Draw the largest stable step by γ (above), and ticks to settle and accuracy of each model (below)."""
    kappas = list(dict.fromkeys(limit.kappa for limit in limits))
    models = list(dict.fromkeys(rest.kappa for rest in rests))
    columns = max(2, len(models))
    gammas = list(dict.fromkeys(limit.gamma for limit in limits))
    below = len(gammas) + bool(costs)
    figure, axes = panels(2 + below, columns, (3.7 * columns, 3.5 * (2 + below)))
    for row, gamma in enumerate(gammas):
        of_gamma = [limit for limit in limits if limit.gamma == gamma]
        _limits(axes[row, 0], of_gamma, kappas, f"prospective, γ = {gamma:g}" if gamma else "plain")
        _agreement(axes[row, 1], of_gamma, kappas)
        for unused in axes[row, 2:]:
            unused.axis("off")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    if columns > 2:
        axes[0, 2].legend(handles, labels, frameon=False, loc="center left", fontsize="small")
    else:
        axes[0, 0].legend(frameon=False, fontsize="small")
    if costs:
        _costs(axes[len(gammas), 0], axes[len(gammas), 1], costs, kappas)
        for unused in axes[len(gammas), 2:]:
            unused.axis("off")
    for column, kappa in enumerate(models):
        of_model = [rest for rest in rests if rest.kappa == kappa]
        _rest(axes[below, column], axes[below + 1, column], of_model, f"{MODELS_OF[kappa]}, {_name(kappa)}")
    for row in (below, below + 1):
        for unused in axes[row, len(models) :]:
            unused.axis("off")
    written(figure, path)


def _limits(axis: Any, limits: Sequence[Limit], kappas: Sequence[float], name: str) -> None:
    for index, kappa in enumerate(kappas):
        found = [limit for limit in limits if limit.kappa == kappa]
        delays, colour = [limit.delay for limit in found], colour_of(index, len(kappas))
        axis.plot(delays, [limit.theory for limit in found], color=colour, linewidth=1.2, label=_name(kappa))
        axis.plot(delays, [limit.simulated for limit in found], color=colour, linestyle="", marker="o", markersize=4)
    axis.axhline(SMALL_STEP, color="#bbbbbb", linewidth=0.8, linestyle="--", zorder=0)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_title(f"{name} (lines: theory, points: simulation)", fontsize="medium")
    dress(axis, "largest stable η, synchronous", "delay (ticks)")


def _agreement(axis: Any, limits: Sequence[Limit], kappas: Sequence[float]) -> None:
    """Draw the ratio of simulation to theory, where either limit is below the ceiling."""
    for index, kappa in enumerate(kappas):
        found = [limit for limit in limits if limit.kappa == kappa and min(limit.theory, limit.simulated) < CEILING]
        ratios = [limit.simulated / limit.theory for limit in found]
        axis.plot(
            [limit.delay for limit in found], ratios, color=colour_of(index, len(kappas)), marker="o", markersize=4
        )
    for bound in (0.9, 1.0, 1.1):
        axis.axhline(bound, color="#bbbbbb", linewidth=0.8, linestyle="-" if bound == 1 else "--", zorder=0)
    axis.set_xscale("log")
    axis.set_ylim(0.85, 1.15)
    axis.set_title("dashed: a tenth", fontsize="medium")
    dress(axis, "simulation over theory", "delay (ticks)")


def _costs(cost: Any, agreement: Any, costs: Sequence[Cost], kappas: Sequence[float]) -> None:
    """Draw the ticks for a decay by 1000: plain (dashed, crosses) and prospective (solid, points)."""
    for kappa, way in product(dict.fromkeys(one.kappa for one in costs), ("plain", "prospective")):
        own = [one for one in costs if one.kappa == kappa and (one.gamma > 0) == (way == "prospective")]
        colour, marker = colour_of(list(kappas).index(kappa), len(kappas)), "o" if way == "prospective" else "x"
        style = {"color": colour, "linewidth": 1.2, "linestyle": "-" if way == "prospective" else "--"}
        delays = [one.delay for one in own]
        cost.plot(delays, [one.theory for one in own], **style)
        cost.plot(delays, [one.simulated for one in own], color=colour, linestyle="", marker=marker, markersize=4)
        agreement.plot(delays, [one.simulated / one.theory for one in own], marker=marker, markersize=4, **style)
    for bound in (0.9, 1.0, 1.1):
        agreement.axhline(bound, color="#bbbbbb", linewidth=0.8, linestyle="-" if bound == 1 else "--", zorder=0)
    for axis in (cost, agreement):
        axis.set_xscale("log")
    cost.set_yscale("log")
    cost.set_title("dashed: plain, solid: prospective", fontsize="medium")
    dress(cost, "ticks for a factor of 1000", "delay (ticks)")
    agreement.set_ylim(0.8, 1.2)
    dress(agreement, "simulation over theory", "delay (ticks)")


def _rest(settling: Any, accuracy: Any, rests: Sequence[Rest], name: str) -> None:
    for way in WAYS:
        label, colour, marker = STYLES[way]
        of_way = [rest for rest in rests if rest.way == way]
        settled = [(rest.delay, rest.ticks) for rest in of_way if rest.ticks is not None]
        settling.plot(*zip(*settled, strict=True) if settled else ((), ()), color=colour, marker=marker, label=label)
        accuracies = [100 * rest.accuracy for rest in of_way]
        accuracy.plot([rest.delay for rest in of_way], accuracies, color=colour, marker=marker, label=label)
    for axis in (settling, accuracy):
        axis.set_xscale("log")
        axis.set_xlim(0.9, 1.15 * max(rest.delay for rest in rests))
    settling.set_yscale("log")
    settling.legend(frameon=False, fontsize="small")
    settling.set_title(name, fontsize="medium")
    dress(settling, "ticks to settle (missing: never)", "delay (ticks)")
    accuracy.set_ylim(0, 100)
    dress(accuracy, "test accuracy (%)", "delay (ticks)")


def _name(kappa: float) -> str:
    return f"κ = {kappa:g}".replace("-", "−")
