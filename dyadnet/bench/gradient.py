"""Quality of the Hebbian contrast: its cosine to the exact gradient, by tolerance and β, in float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from dyadnet.analysis.gradient import EXACT, EXACT_BETA, contrast, cosine
from dyadnet.config import RunConfig
from dyadnet.config.overrides import merged
from dyadnet.data import Dataset
from dyadnet.network.description import MODELS

TOLERANCES = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 1e-4)
BETAS = (0.5, 0.1, 0.01, 0.001)


def measure(values: dict[str, Any], dataset: Dataset, minibatch: int) -> dict[str, Any]:
    """Measure the cosine of each model, β and tolerance, for one minibatch at the initial weights.

    Parameters
    ----------
    values
        Settings of a run, as plain values.
    """
    rows = []
    chosen = np.arange(minibatch)

    def config(model: str, dynamics: dict[str, Any]) -> RunConfig:
        over = {"network": {"layered": {"lam": MODELS[model]}}, "dynamics": dynamics | {"fixed": False}}
        return RunConfig.read(merged(values, over))

    for model in ("sshm", "ffm", "hm", "asymmetric"):
        exact = contrast(config(model, EXACT), dataset, chosen, EXACT_BETA).whole
        for beta in BETAS:
            for tolerance in TOLERANCES:
                found = contrast(config(model, {"tolerance_difference": tolerance}), dataset, chosen, beta)
                row = {"model": model, "beta": beta, "tolerance": tolerance}
                rows.append(row | {"cosine": cosine(found.whole, exact), "sweeps": found.sweeps})
    return {"data": dataset.name, "minibatch": minibatch, "rows": rows}
