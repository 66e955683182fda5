"""Ticks to settle with plain and prospective neurons, under constant delays (also at the best step) and random ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.bench.networks import configuration
from dyadnet.config.overrides import merged
from dyadnet.data import Dataset
from dyadnet.dynamics.prospective import best
from dyadnet.dynamics.request import Phase, Relaxation
from dyadnet.dynamics.step_size import best_step
from dyadnet.engines.local import LocalEngine
from dyadnet.errors import DivergedError
from dyadnet.network.description import INPUT
from dyadnet.program import tables as c
from dyadnet.training.coordinator import COLD_ITERATIONS

RADII = (2.4, 5.0)
DELAYS = (1, 2, 5, 11)
RESIDUAL = 1e-3
PARTS = (1.0, 0.9, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5)
"""Fractions of μ for which prospective neurons are tuned, to find the best; if neurons saturate, |e| is below μ."""
FINE = 1.1
"""Factor between neighbouring steps of the grid that is searched for the best step."""
LAWS: dict[str, dict[str, Any]] = {
    "constant 11": {"dynamics": {"delay": 11}},
    "uniform 1–21": {"dynamics": {"delay": {"kind": "uniform", "low": 1, "high": 21}}},
    "geometric, mean 5": {"dynamics": {"delay": {"kind": "geometric", "p": 0.2, "maximum": 40}}},
    "uniform 1–21, loss 0.2": {
        "dynamics": {"delay": {"kind": "uniform", "low": 1, "high": 21}},
        "imperfections": {"channel": {"loss": 0.2}},
    },
    "uniform 1–21, a neuron": {"dynamics": {"delay": {"kind": "uniform", "low": 1, "high": 21, "draw": "neuron"}}},
    "Bernoulli 0.5": {"dynamics": {"clock": {"kind": "bernoulli", "p": 0.5}}},
    "Bernoulli 0.2": {"dynamics": {"clock": {"kind": "bernoulli", "p": 0.2}}},
    "Bernoulli 0.5, a neuron": {"dynamics": {"clock": {"kind": "bernoulli", "p": 0.5, "unit": "neuron"}}},
}
"""Settings of delays, losses and clocks that override those of a run."""


class SettlingCase:
    """Settles a chain from zero repeatedly, with random weights that are scaled to a spectral radius.

    Parameters
    ----------
    model, inputs, hidden
        Model and sizes of the chain.
    dataset
        Data set whose first samples are used.
    minibatch, cap
        Number of samples, and ticks after which they count as never settling.
    """

    def __init__(
        self, model: str, inputs: int, hidden: Sequence[int], dataset: Dataset, minibatch: int, cap: int
    ) -> None:
        self._model, self._inputs, self._hidden = model, inputs, hidden
        self._dataset, self._minibatch, self._cap = dataset, minibatch, cap

    def settle(self, radius: float, settings: dict[str, Any], step: float | None = None) -> dict[str, Any]:
        """Return the ticks until every residual stays under 1e-3 (None: never), with η and γ.

        Parameters
        ----------
        radius
            μ that the recurrent weights are scaled to.
        settings
            Settings that override the run's: ``dynamics`` and ``imperfections``.
        step
            η; default: that of the run's rule.
        """
        plain = configuration(self._model, self._inputs, self._hidden, minibatch=self._minibatch)
        base = {"dynamics": {"clock": "every-tick", "tolerance": RESIDUAL, "initial": "zero", "patience": self._cap}}
        values = merged(merged(plain.model_dump(mode="json"), base), settings)
        engine = LocalEngine(type(plain).read(values), self._dataset)
        try:
            couplings = tuple(p.coupling for p in plain.network.recurrent)
            factor = radius / engine.spectral_radius(couplings, engine.timing.operator, COLD_ITERATIONS)
            engine.load({block: _scaled(named, factor) for block, named in engine.parameters().items()})
            rule = engine.timing.rule
            eta, gamma = rule.step(radius) if step is None else step, rule.gamma(radius)
            phases = (Phase("free", 0.0, -(-self._cap // engine.timing.sweep)),)
            rows = np.arange(self._minibatch)
            relaxation = Relaxation(1, "train", rows, phases, couplings, eta, gamma=gamma)
            found: dict[str, Any] = {"ticks": None, "step": eta, "gamma": gamma}
            try:
                ((phase,),) = engine.relax(relaxation).lanes
            except DivergedError:
                return found
            if phase.settled:
                found["ticks"] = int(engine.group.lane(0).state.blocks[:, c.S_OVER].max())
            return found
        finally:
            engine.close()

    def best_prospective(self, radius: float, delay: int) -> dict[str, Any]:
        """Return the fewest ticks with η and γ tuned for a fraction of the radius, trying `PARTS` in order."""
        fewest: dict[str, Any] = {}
        for part in PARTS:
            setting = best(round(part * radius, 3), delay)
            late = {"delay": delay, "prospective": setting.gamma, "prospective_span": 1}
            found = self.settle(radius, {"dynamics": late}, setting.eta) | {"part": part}
            if fewest and (found["ticks"] is None or found["ticks"] > fewest["ticks"]):
                break
            if found["ticks"] is not None:
                fewest = found
        return fewest or found

    def best_plain(self, radius: float, settings: dict[str, Any], start: float) -> dict[str, Any]:
        """Find the plain step with the fewest ticks, to within a tenth of the step, by local search from `start`."""
        found: dict[int, dict[str, Any]] = {}

        def ticks(index: int) -> float:
            if index not in found:
                found[index] = self.settle(radius, settings, min(start * FINE**index, 1.0))
            return math.inf if found[index]["ticks"] is None else float(found[index]["ticks"])

        here, stride = 0, 4
        while stride:
            fewest = min((here - stride, here, here + stride), key=ticks)
            here, stride = (fewest, stride) if fewest != here else (here, stride // 2)
        return found[here]


def _scaled(named: Mapping[str, NDArray[Any]], factor: float) -> dict[str, NDArray[Any]]:
    return {key: array if key in (INPUT, "bias") else array * array.dtype.type(factor) for key, array in named.items()}


def constant(
    network: SettlingCase, told: Callable[[str], None], radii: Sequence[float] = RADII
) -> list[dict[str, Any]]:
    """Measure constant delays: plain and prospective, by the rule and at best, and with a stretched red-black clock."""
    rows: list[dict[str, Any]] = []
    for radius in radii:
        for delay in DELAYS:
            told(f"μ = {radius:g}, delay {delay}")
            late = {"dynamics": {"delay": delay}}
            row: dict[str, Any] = {"radius": radius, "delay": delay}
            row["plain"] = network.settle(radius, late)
            row["best"] = network.best_plain(radius, late, best_step(round(radius, 3), delay - 1, -1))
            row["prospective"] = network.settle(radius, merged(late, {"dynamics": {"prospective": "auto"}}))
            row["best prospective"] = network.best_prospective(radius, delay)
            row["red-black"] = network.settle(radius, merged(late, {"dynamics": {"clock": "auto"}}))
            rows.append(row)
    return rows


def random(network: SettlingCase, told: Callable[[str], None], radii: Sequence[float] = RADII) -> list[dict[str, Any]]:
    """Measure the delays, losses and clocks of `LAWS`, with the rule's plain step and with prospective `auto`."""
    rows: list[dict[str, Any]] = []
    for radius in radii:
        for law, settings in LAWS.items():
            told(f"μ = {radius:g}, {law}")
            row: dict[str, Any] = {"radius": radius, "law": law, "plain": network.settle(radius, settings)}
            row["prospective"] = network.settle(radius, merged(settings, {"dynamics": {"prospective": "auto"}}))
            rows.append(row)
    return rows


TABLES = {"constant": constant, "random": random}


NAMES = {
    "plain": "plain",
    "best": "best plain",
    "prospective": "`auto`",
    "best prospective": "best prospective",
    "red-black": "red-black",
}
RATIOS = (
    ("plain", "prospective"),
    ("best", "prospective"),
    ("best", "best prospective"),
    ("prospective", "red-black"),
)


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a table of results in Markdown."""
    ways = [way for way in NAMES if way in rows[0]]
    key = "delay" if "delay" in rows[0] else "law"
    ratios = [(over, under) for over, under in RATIOS if over in ways and under in ways]
    head = ["μ", key, *(NAMES[way] for way in ways), *(f"{NAMES[over]} / {NAMES[under]}" for over, under in ratios)]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        cells = [f"{row['radius']:g}", str(row[key])]
        for way in ways:
            ticks, gamma = row[way]["ticks"], row[way]["gamma"]
            what = f"η {row[way]['step']:.3g}" + (f", γ {gamma:.2f}" if gamma else "")
            cells.append(f"{'never' if ticks is None else ticks} ({what})")
        cells += [_ratio(row[over], row[under]) for over, under in ratios]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _ratio(over: Mapping[str, Any], under: Mapping[str, Any]) -> str:
    if over["ticks"] is None or not under["ticks"]:
        return "–"
    return f"{over['ticks'] / under['ticks']:.2f}"
