"""Small networks and data for tests, run by the local engine."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.config import RunConfig
from dyadnet.data import Dataset, Split
from dyadnet.dynamics.outcome import Outcome
from dyadnet.dynamics.request import Phase, Relaxation
from dyadnet.engines.local import LocalEngine
from dyadnet.network.description import Network, Population, Projection
from tests.reference.engine import ReferenceEngine

EXACT = {"dtype": "float64", "tolerance": 1e-13, "tolerance_difference": 1e-11, "patience": 5000}
"""Settings under which a relaxation runs to rounding."""


def data(network: Network, samples: int = 5, seed: int = 1) -> Dataset:
    """Random inputs in [0, 1] and random labels that fit a network."""
    generator = np.random.default_rng(seed)
    x = generator.uniform(0, 1, (samples, network.inputs))
    split = Split(x, generator.integers(0, network.classes, samples))
    return Dataset("random", split, split, 1.0, network.classes)


def engine(
    network: Network, samples: int = 5, seed: int = 1, imperfections: dict[str, Any] | None = None, **dynamics: Any
) -> LocalEngine:
    """A local engine over random data; exact settling in float64 unless other dynamics are given."""
    return LocalEngine(settings(network, seed, imperfections, **dynamics), data(network, samples, seed))


def reference(
    network: Network, samples: int = 5, seed: int = 1, imperfections: dict[str, Any] | None = None, **dynamics: Any
) -> ReferenceEngine:
    """The same network, message by message: the slow reference, whose every part can be looked at."""
    return ReferenceEngine(settings(network, seed, imperfections, **dynamics), data(network, samples, seed))


def settings(
    network: Network, seed: int = 1, imperfections: dict[str, Any] | None = None, **dynamics: Any
) -> RunConfig:
    """A run of a network; exact settling in float64 unless other dynamics are given."""
    values = {"network": network, "dynamics": EXACT | dynamics, "imperfections": imperfections or {}, "seed": seed}
    return RunConfig.read(values)


class Settler:
    """Settles one engine again and again, each time under a new relaxation number."""

    def __init__(self, engine: LocalEngine | ReferenceEngine, samples: int = 5, step: float | None = None) -> None:
        self.engine = engine
        self.samples = samples
        self.couplings = tuple(p.coupling for p in engine.config.network.recurrent)
        rule = engine.timing.rule
        self.radius = radius = 0.0
        if rule.needs_radius:
            self.radius = radius = engine.spectral_radius(self.couplings, engine.timing.operator, 100)
        self.step = rule.step(radius) if step is None else step
        self.gamma = rule.gamma(radius)
        self.number = 0

    def run(self, *phases: Phase) -> Outcome:
        """One relaxation of all samples."""
        self.number += 1
        rows = np.arange(self.samples)
        how = phases, self.couplings, self.step
        return self.engine.relax(Relaxation(self.number, "train", rows, *how, gamma=self.gamma))

    def nudged(self, beta: float, cap: int = 5000) -> Outcome:
        """Settle freely, then nudged."""
        return self.run(Phase("free", 0.0, cap), Phase("nudged", beta, cap))

    def loss(self) -> float:
        """Mean loss at the free fixed point."""
        outcome = self.run(Phase("free", 0.0, 5000))
        assert outcome.capped == 0
        return sum(found.loss for found in outcome.reports.predictions) / self.samples

    def gradients(self, beta: float) -> dict[tuple[str, str], NDArray[Any]]:
        """The Hebbian gradient of every parameter of every block."""
        return {
            (name, key): gradient.copy()
            for name, named in self.engine.gradients(beta, self.samples).items()
            for key, gradient in named.items()
        }


def cyclic(loss: str = "cross-entropy") -> Network:
    """A graph with a cycle, a self-loop and a skew-symmetric projection."""
    return Network(
        6,
        (
            Population("a", 5, "tanh"),
            Population("b", 6, "tanh"),
            Population("c", 4, "tanh"),
            Population("o", 3, "linear"),
        ),
        (
            Projection("input", "a"),
            Projection("a", "b", 0.5, 0.4),
            Projection("b", "c", 0.5, 0.4),
            Projection("c", "a", 0.5, 0.4),
            Projection("b", "b", 0.5, 0.3),
            Projection("c", "o", 0.0, 0.5),
        ),
        loss=loss,
    )
