"""Prints the tables of docs/theory.md.

python docs/tools/prospective_theory.py
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from dyadnet.dynamics.prospective import (
    best,
    growths,
    largest_stable_step,
    modes_of,
    noise_gain,
    stable_radius,
    ticks,
    tuned,
)
from dyadnet.dynamics.step_size import over_relaxation

CONTINUOUS = 24
"""Age at which the recursion stands for the delay equation."""


def table(head: str, rows: Sequence[Sequence[object]]) -> None:
    """Print a table in Markdown."""
    columns = head.split(" | ")
    print(f"\n| {head} |\n|{'---|' * len(columns)}")
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")


def cost() -> None:
    """Best η and γ by ρ and delay, with their margins, and over-relaxed red-black stretched to the delay."""
    rows = []
    for rho in (1.2, 2.4, 5.0, 10.0):
        for age in (1, 2, 6, 11):
            plain, lead, safe = best(rho, age, gamma=0.0), best(rho, age), tuned(rho, age)
            growth = float(growths(safe.eta, safe.gamma, modes_of(rho, "imaginary"), age).max())
            ratios = ", ".join(f"{stable_radius(one, age) / rho:.2f}" for one in (plain, lead, safe))
            sweeps = math.log(1e-3) / math.log(1.0 - over_relaxation(rho))
            rows.append(
                (
                    f"{rho:g}, {age}",
                    f"{plain.eta:.4f}, {ticks(plain.growth):.0f}",
                    f"{lead.eta:.4f}, {lead.gamma:.2f}, {ticks(lead.growth):.0f}",
                    f"{safe.eta:.4f}, {safe.gamma:.2f}, {ticks(growth):.0f}",
                    ratios,
                    f"{sweeps * 2 * age:.0f}",
                )
            )
    table("ρ, delay | plain: η, ticks | best: η, γ, ticks | `auto`: η, γ, ticks | stable to | red-black", rows)


def spans() -> None:
    """What the span costs in ticks and saves in noise, at a delay of 11."""
    rows = []
    for rho in (2.4, 5.0):
        plain = best(rho, 11, gamma=0.0)
        noise = noise_gain(plain.eta, 0.0, 0.5j * rho, 11)
        rows.append((f"{rho:g}", "plain", f"{plain.eta:.4f}", "0", f"{ticks(plain.growth):.0f}", f"{noise:.2f}"))
        for span in (1, 2, 3, 6, 11, 16):
            one = best(rho, 11, span)
            noise = noise_gain(one.eta, one.gamma, 0.5j * rho, 11, span)
            own = f"{one.eta:.4f}", f"{one.gamma:.2f}", f"{ticks(one.growth):.0f}", f"{noise:.2f}"
            rows.append((f"{rho:g}", str(span), *own))
    table("ρ | span | η | γ | ticks | noise", rows)


def limits() -> None:
    """The largest stable η."""
    rows = []
    for rho in (1.2, 1.42, 2.4, 5.0):
        for age in (1, 4, 11):
            found = [largest_stable_step(modes_of(rho, "imaginary"), age, g, ceiling=1.9) for g in (0.0, 0.5, 1.0)]
            rows.append((f"{rho:g}", age, *(f"{eta:.3f}" for eta in found)))
    table("ρ | delay | γ = 0 | γ = 0.5 | γ = 1", rows)


def real_time() -> None:
    """The delay equation: T and the time to a thousandth, in units of δ."""
    rows = []
    for rho in (1.2, 2.4, 5.0, 10.0):
        cells = [f"{rho:g}"]
        for span, gamma in ((1, 0.0), (CONTINUOUS // 4, None), (CONTINUOUS, None)):
            one = best(rho, CONTINUOUS, span, gamma=gamma)
            what = f"T {1 / (one.eta * CONTINUOUS):.1f}" + (f", γ {one.gamma:.2f}" if gamma is None else "")
            cells.append(f"{what}, time {ticks(one.growth) / CONTINUOUS:.0f}")
        rows.append(cells)
    table("ρ | plain | span δ/4 | span δ", rows)


def bilinear() -> None:
    """A bilinear game, min over x and max over y of x·y, with a fixed delay m: the players have no leak."""
    rows = []
    for m in (0, 1, 2, 4, 8, 16):
        standard = _game(m + 1, 1.0)
        extra = min(standard, _game(m + 1, None))
        for name, (growth, eta, gamma) in (("standard", standard), ("extra", extra)):
            rows.append((m, name, f"{eta:.3f}", f"{gamma * (m + 1):.1f}", f"{ticks(growth):.0f}"))
    table("m | optimism | η | weight | ticks", rows)


def _game(age: int, gamma: float | None) -> tuple[float, float, float]:
    def growth(log_eta: float, g: float) -> float:
        return float(growths(math.exp(log_eta), g, [1j], age, leak=0).max())

    gammas = [gamma] if gamma is not None else list(np.linspace(0.6, 2.5, 39))
    start = min((growth(x, g), x, g) for x in np.linspace(math.log(1e-3), 0, 80) for g in gammas)
    return _refined(growth, start, free=gamma is None)


def _refined(
    growth: Callable[[float, float], float], start: tuple[float, float, float], *, free: bool
) -> tuple[float, float, float]:
    least, x, g = start
    wide = 0.1
    while wide > 1e-5:
        along = (-wide, 0.0, wide)
        moves = [(dx, dg) for dx in along for dg in (along if free else (0.0,)) if dx or dg]
        there = min((growth(x + dx, g + dg), x + dx, g + dg) for dx, dg in moves)
        if there[0] < least:
            least, x, g = there
        else:
            wide /= 2
    return least, math.exp(x), g


def other_signs() -> None:
    """Positive κ (real modes), and mixed signs and cycles (a disc)."""
    rows = []
    for kind, name in (("real", "κ > 0"), ("disc", "mixed")):
        for rho in (0.8, 1.5, 2.4, 5.0):
            for age in (1, 6, 11):
                plain, lead = best(rho, age, 1, kind, gamma=0.0), best(rho, age, 1, kind)  # type: ignore[arg-type]
                own = f"{lead.eta:.3f}, {lead.gamma:.2f}, {ticks(lead.growth):.0f}"
                rows.append((name, f"{rho:g}", age, f"{plain.eta:.4f}, {ticks(plain.growth):.0f}", own))
    table("κ | ρ | delay | plain: η, ticks | best: η, γ, ticks", rows)


if __name__ == "__main__":
    for one in (cost, spans, limits, real_time, bilinear, other_signs):
        one()
