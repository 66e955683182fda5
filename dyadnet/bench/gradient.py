"""How good the Hebbian contrast is: its cosine to the exact gradient, against tolerance and β, in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.config import RunConfig, merged
from dyadnet.data import Dataset
from dyadnet.description import MODELS
from dyadnet.engine.local import LocalEngine
from dyadnet.relaxation import Phase, Relaxation

TOLERANCES = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 1e-4)
BETAS = (0.5, 0.1, 0.01, 0.001)
EXACT = {"dtype": "float64", "tolerance": 1e-11, "tolerance_difference": 1e-9, "fixed": False}
EXACT_BETA = 1e-4


def measure(values: dict[str, Any], dataset: Dataset, minibatch: int) -> dict[str, Any]:
    """Cosines for each model, averaged over nothing: one minibatch at the initial weights.

    The exact gradient is the contrast at β = 1e-4, settled to 1e-11 in float64, which agrees with finite differences.

    Parameters
    ----------
    values
        Settings of a run, as plain values.
    """
    rows = []
    for model in ("sshm", "ffm", "hm"):
        settings = merged(values, {"network": {"layered": {"lam": MODELS[model]}}})
        exact, _ = contrast(settings, dataset, minibatch, EXACT_BETA, EXACT)
        for beta in BETAS:
            for tolerance in TOLERANCES:
                dynamics = {"tolerance_difference": tolerance, "fixed": False}
                found, sweeps = contrast(settings, dataset, minibatch, beta, dynamics)
                cosine = float(found @ exact / (np.linalg.norm(found) * np.linalg.norm(exact)))
                rows.append({"model": model, "beta": beta, "tolerance": tolerance, "cosine": cosine, "sweeps": sweeps})
    return {"data": dataset.name, "minibatch": minibatch, "rows": rows}


def contrast(
    values: dict[str, Any], dataset: Dataset, minibatch: int, beta: float, dynamics: dict[str, Any]
) -> tuple[NDArray[np.float64], float]:
    """The Hebbian gradient of all parameters, flat and in block order, and the sweeps that it took."""
    config = RunConfig.read(merged(values, {"dynamics": dynamics | {"sweeps": 5000, "nudged_sweeps": 5000}}))
    engine = LocalEngine(config, dataset)
    try:
        couplings = tuple(p.coupling for p in config.network.recurrent)
        rule = engine.timing.rule
        radius = engine.spectral_radius(couplings, engine.timing.symmetric_radius, 100) if rule.needs_radius else 0.0
        phases = (Phase("free", 0.0, 5000), Phase("nudged", beta, 5000))
        rows = np.arange(minibatch)
        outcome = engine.relax(Relaxation(1, "train", rows, phases, couplings, rule.step(radius)))
        parts = [
            gradient.astype(np.float64).reshape(-1)
            for name, block in engine.blocks.items()
            for gradient in block.gradients(engine.dyads[name], beta, minibatch).values()
        ]
        return np.concatenate(parts), outcome.sweeps
    finally:
        engine.close()
