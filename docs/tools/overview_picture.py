"""Draws the README's picture: late and lost messages between dyads, and what they do to accuracy.

python -m docs.tools.overview_picture docs/images/overview.svg
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path
from statistics import mean

from docs.tools.concept_pictures import Picture

RESULTS = Path(__file__).parents[1] / "results" / "robustness" / "delay-loss" / "results.csv"
LEFT, RIGHT, TOP, BOTTOM = 510.0, 850.0, 70.0, 246.0  # the axes of the chart
DELAYS = (1, 2, 4, 8, 16)


def accuracies(variant: str, model: str = "sshm", loss: float = 0.0) -> dict[int, float]:
    """Test accuracy in per cent by delay: means over the seeds of one variant and model.

    Raises
    ------
    ValueError
        If a delay has no result.
    """
    found = defaultdict(list)
    with RESULTS.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if (row["variant"], row["model"]) == (variant, model) and float(row["loss"]) == loss:
                found[int(row["delay"])].append(100 * float(row["test_accuracy"]))
    if set(found) != set(DELAYS):
        raise ValueError(f"{variant}: no result for some of the delays {DELAYS}")
    return {delay: mean(found[delay]) for delay in DELAYS}


def network(picture: Picture) -> None:
    """Three layers of dyads, and messages between them that come late, do not come, or carry noise."""
    picture.text(28, 36, "Every layer is an actor with a clock of its own", "head")
    layers = {"h1": (66.0, 4), "h2": (222.0, 4), "out": (378.0, 3)}
    for name, (x, rows) in layers.items():
        height = 30.0 * rows + 24
        picture.box(x - 38, 158 - height / 2, 76, height)
        for column in (-15, 15):
            for row in range(rows):
                picture.dyad(x + column, 158 + 30 * (row - (rows - 1) / 2), 9)
        picture.text(x, 158 + height / 2 + 20, name, "soft middle")
    (h1, _), (h2, _), (out, _) = layers.values()
    picture.arrow((h1 + 42, 132), (h2 - 42, 132), "mean")
    picture.arrow((h2 - 42, 184), (h1 + 42, 184), "difference")
    picture.arrow((h2 + 42, 132), (out - 42, 132), "mean faint dash")
    picture.line([(out - 42, 184), ((h2 + out) / 2 + 9, 184)], "difference dash")
    picture.text((h2 + out) / 2, 190, "✕", "head middle")
    for x, above, below in (((h1 + h2) / 2, "means", "differences"), ((h2 + out) / 2, "late", "lost")):
        picture.text(x, 122, above, "soft middle")
        picture.text(x, 206, below, "soft middle")
    picture.text(28, 284, "Messages may be late, lost, noisy or coarse.", "soft")


def chart(picture: Picture) -> None:
    """Accuracy over delay with a fixed step, and with a step and clock that follow the delay."""

    def at(index: int, accuracy: float) -> tuple[float, float]:
        return LEFT + index * (RIGHT - LEFT) / (len(DELAYS) - 1), BOTTOM - (BOTTOM - TOP) * accuracy / 100

    picture.text(LEFT - 34, 36, "Does the network still learn?  Test accuracy (%) by delay", "head")
    for level in (0, 50, 100):
        y = at(0, level)[1]
        picture.line([(LEFT, y), (RIGHT, y)], "axis faint")
        picture.text(LEFT - 10, y + 4, str(level), "soft end")
    for index, delay in enumerate(DELAYS):
        picture.text(at(index, 0)[0], BOTTOM + 18, str(delay), "soft middle")
    picture.text((LEFT + RIGHT) / 2, 284, "delay of every message, in ticks", "soft middle")
    for variant, kind, words, place in (
        ("fixed", "difference", "a fixed step", (at(4, 0)[0] - 12, at(0, 11)[1] - 8)),
        ("tuned", "mean", "a step and a clock that follow the delay", (at(3, 0)[0], at(0, 70)[1])),
    ):
        found = list(accuracies(variant).values())
        points = [at(index, accuracy) for index, accuracy in enumerate(found)]
        picture.line(points, kind)
        for x, y in points:
            picture.parts.append(f'<circle class="fill-{kind}" cx="{x:g}" cy="{y:g}" r="4"/>')
        picture.text(points[-1][0] + 10, points[-1][1] + 4, f"{found[-1]:.1f}", "soft")
        picture.parts.append(f'<text class="end fill-{kind}" x="{place[0]:g}" y="{place[1]:g}">{words}</text>')


def main() -> None:
    """Draw it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    file = parser.parse_args().file
    picture = Picture(910, 306, "Layers of dyads exchange late and lost messages; accuracy by delay, with two steps")
    network(picture)
    chart(picture)
    picture.save(file.parent, file.stem)


if __name__ == "__main__":
    main()
