"""Draws the pictures of ``docs/concepts.md`` as SVG that follows its reader's light or dark colours.

python docs/tools/concept_pictures.py docs/images
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

STYLE = """
.ground { fill: #fffefb; stroke: #dedbd3 }
text { fill: #1d2329; font: 13px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif }
.head { font-weight: 600 } .soft { fill: #68717b; font-size: 12px } .middle { text-anchor: middle }
.end { text-anchor: end }
.math { font-style: italic; font-family: Georgia, "DejaVu Serif", serif; font-size: 14px }
.plus { fill: #0f8b8d } .minus { fill: #d1495b } .cell { fill: #f4f3ef; stroke: #b9b5aa }
.axis { stroke: #b9b5aa; fill: none } .mean { stroke: #0f8b8d; fill: none; stroke-width: 2 }
.difference { stroke: #d1495b; fill: none; stroke-width: 2 }
.plain { stroke: #68717b; fill: none; stroke-width: 1.5 } .faint { opacity: .38 }
.dash { stroke-dasharray: 4 4 } .fill-mean { fill: #0f8b8d } .fill-difference { fill: #d1495b }
.fill-plain { fill: #68717b } .target { stroke: #d08a1d; stroke-width: 2.5 } .amber { fill: #b87410 }
@media (prefers-color-scheme: dark) { .ground { fill: #14191f; stroke: #262d36 } text { fill: #e7eaee }
.soft { fill: #8d97a3 } .plus { fill: #3fc1c0 } .minus { fill: #f2788a }
.cell { fill: #1b2129; stroke: #4a5561 } .axis { stroke: #4a5561 } .mean { stroke: #3fc1c0 }
.difference { stroke: #f2788a } .plain { stroke: #8d97a3 } .fill-mean { fill: #3fc1c0 }
.fill-difference { fill: #f2788a } .fill-plain { fill: #8d97a3 } .target { stroke: #efb04a }
.amber { fill: #efb04a } }
"""


@dataclass
class Picture:
    """An SVG in the making; coordinates are pixels from the upper left."""

    width: int
    height: int
    title: str
    parts: list[str] = field(default_factory=list)

    def text(self, x: float, y: float, words: str, kind: str = "") -> None:
        """Words, by default from `x` on."""
        self.parts.append(f'<text x="{x:g}" y="{y:g}" class="{kind}">{escape(words)}</text>')

    def line(self, points: Sequence[tuple[float, float]], kind: str) -> None:
        """Straight lines through points."""
        self.parts.append(f'<path class="{kind}" d="M{"L".join(f"{x:g} {y:g}" for x, y in points)}"/>')

    def arrow(self, start: tuple[float, float], end: tuple[float, float], kind: str) -> None:
        """A line that ends in a point; `kind` begins with its colour."""
        (x1, y1), (x2, y2) = start, end
        length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
        ux, uy = (x2 - x1) / length, (y2 - y1) / length
        colour, *rest = kind.split()
        self.line([start, (x2 - 7 * ux, y2 - 7 * uy)], kind)
        tip = [(x2 - 9 * ux - 4.5 * uy, y2 - 9 * uy + 4.5 * ux), end, (x2 - 9 * ux + 4.5 * uy, y2 - 9 * uy - 4.5 * ux)]
        faint = " faint" if "faint" in rest else ""
        self.parts.append(f'<path class="fill-{colour}{faint}" d="M{"L".join(f"{x:g} {y:g}" for x, y in tip)}z"/>')

    def box(self, x: float, y: float, width: float, height: float, kind: str = "cell") -> None:
        """A rounded rectangle."""
        self.parts.append(f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="10"/>')

    def dyad(self, x: float, y: float, radius: float, apart: float = 0.8, kind: str = "") -> None:
        """A neuron: two halves."""
        for half, sweep, sign in (("plus", 0, -1), ("minus", 1, 1)):
            start = f"M{x + sign * apart:g} {y - radius:g}"
            arc = f"a{radius:g} {radius:g} 0 0 {sweep} 0 {2 * radius:g}z"
            self.parts.append(f'<path class="{half} {kind}" d="{start}{arc}"/>')

    def save(self, folder: Path, name: str) -> None:
        """Write it."""
        size = f'viewBox="0 0 {self.width} {self.height}" width="{self.width}" height="{self.height}"'
        ground = f'<rect class="ground" x=".5" y=".5" width="{self.width - 1}" height="{self.height - 1}" rx="12"/>'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img"><title>{escape(self.title)}</title>'
        body = "\n".join([head, f"<style>{STYLE}</style>", ground, *self.parts, "</svg>", ""])
        (folder / f"{name}.svg").write_text(body, encoding="utf-8")


def dyad() -> Picture:
    """A neuron before and after its output has been nudged."""
    picture = Picture(780, 230, "A dyad: two compartments, their mean and half their difference")
    scenes = (
        (30, "free: the compartments agree", 150.0, 150.0, False),
        (290, "nudged: pulled apart", 168.0, 112.0, True),
        (550, "passed on to a hidden neuron", 158.0, 138.0, False),
    )
    for left, title, plus, minus, output in scenes:
        picture.text(left, 36, title, "head")
        picture.line([(left, 150), (left + 200, 150)], "axis")
        for end, label in ((0, "0"), (200, "1")):
            picture.line([(left + end, 145), (left + end, 155)], "axis")
            picture.text(left + end, 172, label, "soft middle")
        mean = (plus + minus) / 2
        if output:
            picture.line([(left + 200, 128), (left + 200, 158)], "target")
            picture.text(left + 200, 118, "target y", "amber end")
        if plus == minus:
            picture.dyad(left + plus, 150, 10)
            picture.text(left + plus, 128, "s⁺ = s⁻ = m", "math middle")
            picture.text(left, 205, "d = 0: there is nothing to learn", "soft")
            continue
        picture.line([(left + minus, 150), (left + plus, 150)], "plain")
        for at, half in ((plus, "plus"), (minus, "minus")):
            picture.parts.append(f'<circle class="{half}" cx="{left + at:g}" cy="150" r="6.5"/>')
        picture.text(left + plus + (2 if output else 6), 138, "s⁺", "math middle")
        picture.text(left + minus - 2, 138, "s⁻", "math middle")
        picture.line([(left + mean, 143), (left + mean, 157)], "plain")
        picture.text(left + mean, 180 if output else 172, "m", "math middle")
        picture.arrow((left + mean, 94), (left + plus, 94), "difference")
        picture.text(left + (mean + plus) / 2, 84, "d", "math middle")
        words = "an output: d points to its target" if output else "d has come as messages"
        picture.text(left, 205, words, "soft")
    picture.text(30, 66, "s: the state of a compartment", "soft")
    return picture


def streams() -> Picture:
    """What travels between layers, by λ."""
    picture = Picture(780, 392, "What travels between layers: means and differences, up and down, by λ")
    rows = ((1.0, "symmetric", "+"), (0.5, "feedforward", ""), (0.0, "skew-symmetric", "−"))
    layers = ((250, "x"), (400, "h1"), (550, "h2"), (700, "out"))
    for row, (lam, name, sign) in enumerate(rows):
        y = 84 + row * 112
        picture.text(26, y - 8, name, "head")
        picture.text(26, y + 12, f"λ = {lam:g},  κ = {2 * lam - 1:+g}".replace("+0", "0").replace("-", "−"), "soft")
        for x, label in layers:
            picture.box(x - 30, y - 32, 60, 64)
            if label == "x":
                picture.text(x, y + 5, "input", "soft middle")
                continue
            for dx in (-11, 11):
                for dy in (-14, 10):
                    picture.dyad(x + dx, y + dy, 7)
            picture.text(x, y + 46, label, "soft middle")
        picture.arrow((280, y), (370, y), "mean")
        for x in (430, 580):
            picture.arrow((x, y - 22), (x + 90, y - 22), "mean")
            picture.arrow((x + 90, y + 22), (x, y + 22), "difference")
            if sign:
                picture.arrow((x + 90, y - 9), (x, y - 9), "mean dash")
                picture.arrow((x, y + 9), (x + 90, y + 9), "difference dash")
                picture.text(x + 45, y + 5, sign, "head middle")
    for x, kind, words in ((180, "mean", "means m"), (330, "difference", "differences d")):
        picture.line([(x, 30), (x + 34, 30)], kind)
        picture.text(x + 42, 34, words, "soft")
    picture.line([(510, 30), (544, 30)], "plain dash")
    picture.text(552, 34, "weighed by κ; not sent where κ = 0", "soft")
    return picture


def time() -> Picture:
    """Firings and messages over ticks."""
    picture = Picture(780, 300, "Virtual time: blocks fire at their ticks, messages arrive later")
    tick, rows = 70, {"out": 70, "h2": 150, "h1": 230}
    at = {step: 90 + tick * (step - 1) for step in range(1, 10)}
    for step, x in at.items():
        picture.line([(x, 48), (x, 252)], "axis faint dash")
        picture.text(x, 276, str(step), "soft middle")
    picture.text(30, 276, "tick", "soft")
    for name, y in rows.items():
        picture.line([(70, y), (at[9] + 40, y)], "axis faint")
        picture.text(30, y + 5, name, "head")
    sent = (
        ("h1", 1, "h2", 2, ""), ("h1", 3, "h2", 7, "late"), ("h1", 5, "h2", 6, ""), ("h1", 7, "h2", 8, ""),
        ("h2", 2, "out", 3, ""), ("h2", 4, "out", 5, ""), ("h2", 6, "out", 7, ""), ("h2", 8, "out", 9, ""),
        ("h2", 2, "h1", 3, "back"), ("h2", 4, "h1", 5, "back"), ("h2", 6, "h1", 7, "lost"), ("h2", 8, "h1", 9, "back"),
        ("out", 1, "h2", 2, "back"),
        ("out", 3, "h2", 4, "back"), ("out", 5, "h2", 6, "back"), ("out", 7, "h2", 8, "back"),
    )  # fmt: skip
    for source, start, target, end, kind in sent:
        (x1, y1), (x2, y2) = (at[start], rows[source]), (at[end], rows[target])
        down = y2 > y1
        begin, finish = (x1 + 7, y1 + (9 if down else -9)), (x2 - 9, y2 - (9 if down else -9))
        if kind == "lost":
            middle = ((x1 + x2) / 2, (y1 + y2) / 2)
            picture.line([begin, middle], "difference dash")
            picture.text(middle[0], middle[1] + 6, "✕", "head middle")
            continue
        picture.arrow(begin, finish, {"": "mean", "back": "difference", "late": "mean faint"}[kind])
    for name, first in (("out", 1), ("h2", 2), ("h1", 1)):
        for step in range(first, 10, 2):
            picture.dyad(at[step], rows[name], 9)
    for x, kind, words in ((30, "mean", "state goes up"), (160, "difference", "feedback goes down")):
        picture.line([(x, 26), (x + 26, 26)], kind)
        picture.text(x + 34, 30, words, "soft")
    picture.line([(322, 26), (348, 26)], "mean faint")
    picture.text(356, 30, "stale: h2 holds something newer", "soft")
    picture.text(572, 31, "✕", "head")
    picture.text(592, 30, "lost: h1 keeps what it holds", "soft")
    return picture


def actors() -> Picture:
    """Who talks to whom on a cluster."""
    picture = Picture(780, 250, "Actors: a coordinator hands out minibatches, blocks talk to their neighbours")
    picture.box(40, 40, 110, 46)
    picture.text(95, 68, "driver", "head middle")
    picture.box(300, 40, 180, 46)
    picture.text(390, 68, "coordinator", "head middle")
    picture.arrow((150, 63), (300, 63), "plain")
    picture.text(225, 54, "creates", "soft middle")
    places = {"h1": 180, "h2": 390, "out": 600}
    for name, x in places.items():
        picture.box(x - 40, 160, 80, 60)
        picture.dyad(x - 18, 190, 9)
        picture.text(x + 16, 195, name, "head middle")
        picture.arrow((390 + (x - 390) * 0.3, 86), (x, 158), "plain dash")
    picture.text(516, 112, "minibatch, verdict, update", "soft")
    for left, right in (("h1", "h2"), ("h2", "out")):
        a, b = places[left] + 40, places[right] - 40
        picture.arrow((a, 180), (b, 180), "mean")
        picture.text((a + b) / 2, 172, "state (m, d)", "soft middle")
        picture.arrow((b, 202), (a, 202), "difference")
        picture.text((a + b) / 2, 222, "feedback (κθᵀm, θᵀd)", "soft middle")
    return picture


def main() -> None:
    """Draw them all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    for draw in (dyad, streams, time, actors):
        draw().save(folder, draw.__name__)


if __name__ == "__main__":
    main()
