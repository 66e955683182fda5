"""Small networks that settle on given inputs."""

from __future__ import annotations

from typing import Any

from dyadnet.analysis.trained import Trained, ideal
from dyadnet.config import RunConfig
from dyadnet.network.description import Network
from tests.support import engine

EXACT = {"tolerance": 1e-13, "tolerance_difference": 1e-11, "patience": 5000}


def settler(network: Network, seed: int = 1, **dynamics: Any) -> Trained:
    """A network at its initial weights, settling to rounding."""
    built = engine(network, seed=seed)
    config = RunConfig.read({"network": network, "seed": seed})
    couplings = tuple(p.coupling for p in network.recurrent)
    try:
        return Trained(ideal(config, couplings, **(EXACT | dynamics)), built.parameters())
    finally:
        built.close()
