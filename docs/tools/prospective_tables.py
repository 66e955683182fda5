"""Prints the tables of docs/results/prospective.md that are of studies.

python docs/tools/prospective_tables.py docs/results/prospective/study docs/results/prospective/noise
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

LAWS = {
    "constant": "delay 11",
    "uniform": "uniform 1–21",
    "geometric": "geometric, mean 5",
    "lost": "uniform 1–21, loss 0.2",
    "half": "Bernoulli 0.5",
    "fifth": "Bernoulli 0.2",
}
WAYS = {"plain": "plain", "last-two": "last two", "over-delay": "over the age"}
MODELS = ("hm", "ffm", "sshm")


def read(folder: Path, *keys: str) -> dict[tuple[str, ...], list[dict[str, str]]]:
    """Trials that ended well, by the values of some columns."""
    found: dict[tuple[str, ...], list[dict[str, str]]] = defaultdict(list)
    with (folder / "results.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["status"] == "ok":
                found[tuple(row[key] for key in keys)].append(row)
    return found


def mean(rows: list[dict[str, str]], column: str, scale: float = 1.0) -> float:
    """Over seeds."""
    return scale * float(np.mean([float(row[column]) for row in rows]))


def laws(folder: Path) -> None:
    """Ticks, phases at their cap and accuracy, plain → prospective."""
    found = read(folder, "variant", "model", "prospective")
    print("| delays | " + " | ".join(model.upper() for model in MODELS) + " |\n|---|---|---|---|")
    for law, name in LAWS.items():
        cells = []
        for model in MODELS:
            one, other = found[law, model, "none"], found[law, model, "auto"]
            ticks = f"{mean(one, 'ticks_mean'):.0f} → {mean(other, 'ticks_mean'):.0f} ticks"
            capped = f"{mean(one, 'capped', 100):.0f} → {mean(other, 'capped', 100):.0f} % capped"
            accuracy = f"{mean(one, 'test_accuracy', 100):.1f} → {mean(other, 'test_accuracy', 100):.1f} %"
            cells.append(f"{accuracy}, {ticks}, {capped}")
        print(f"| {name} | " + " | ".join(cells) + " |")


def noise(folder: Path) -> None:
    """Accuracy by delay and noise: plain / last two / over the age."""
    found = read(folder, "model", "delay", "noise", "variant")
    for model in MODELS:
        own = [key for key in found if key[0] == model]
        levels = sorted({key[2] for key in own}, key=float)
        print(f"\n| {model.upper()}, delay | " + " | ".join(f"σ = {float(level):g}" for level in levels) + " |")
        print("|---|" + "---|" * len(levels))
        for delay in sorted({key[1] for key in own}, key=int):
            cells = []
            for level in levels:
                ways = [found.get((model, delay, level, way)) for way in WAYS]
                cells.append(
                    " / ".join("–" if rows is None else f"{mean(rows, 'test_accuracy', 100):.1f}" for rows in ways)
                )
            print(f"| {delay} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    laws(Path(sys.argv[1]))
    noise(Path(sys.argv[2]))
