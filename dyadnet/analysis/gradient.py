"""Quality of the Hebbian contrast (paper, eq. 5): its cosine to the exact gradient, by block and in total.

The exact gradient is the contrast at β = 1e-4, settled to 1e-11 in float64. It agrees with finite differences of the
settled loss to a relative error below 1e-6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.config import RunConfig
from dyadnet.data import Dataset
from dyadnet.dynamics.request import Phase, Relaxation
from dyadnet.engines.local import LocalEngine
from dyadnet.runs.weights import Parameters

EXACT = {"dtype": "float64", "tolerance": 1e-11, "tolerance_difference": 1e-9, "patience": 5000}
"""Dynamics settings for the exact gradient, beside ideal dynamics."""
EXACT_BETA = 1e-4
CAP = 5000
"""Limit of sweeps in each phase, unless the configuration's own limits are used."""


@dataclass(frozen=True)
class Contrast:
    """The gradient of every parameter, as computed by the network.

    Attributes
    ----------
    blocks
        Gradients of all parameters of each block, flattened, in float64.
    sweeps
        Number of sweeps until it settled.
    capped
        Number of phases that ended at their cap.
    """

    blocks: Mapping[str, NDArray[np.float64]]
    sweeps: float
    capped: int

    @property
    def whole(self) -> NDArray[np.float64]:
        """The gradients of all blocks, concatenated in block order."""
        return np.concatenate(list(self.blocks.values()))


def contrast(
    config: RunConfig,
    dataset: Dataset,
    rows: NDArray[np.int64],
    beta: float,
    parameters: Parameters | None = None,
    couplings: tuple[float, ...] | None = None,
    caps: tuple[int, int] = (CAP, CAP),
) -> Contrast:
    """Compute the Hebbian gradient of some rows of the training part: settle freely, then nudged.

    Parameters
    ----------
    config
        The configuration; its dynamics are used, except for the caps.
    parameters
        Parameters by block; default: the initial ones.
    couplings
        κ of each projection; default: those of the network description.
    caps
        Limits of sweeps in the free and in the nudged phase.
    """
    engine = LocalEngine(config, dataset)
    try:
        if parameters is not None:
            engine.load(parameters)
        if couplings is None:
            couplings = tuple(p.coupling for p in config.network.recurrent)
        rule = engine.timing.rule
        radius = engine.spectral_radius(couplings, engine.timing.operator, 100) if rule.needs_radius else 0.0
        fixed = config.dynamics.fixed
        phases = (Phase("free", 0.0, caps[0], fixed), Phase("nudged", beta, caps[1], fixed))
        step, gamma = rule.step(radius), rule.gamma(radius)
        outcome = engine.relax(Relaxation(1, "train", rows, phases, couplings, step, gamma=gamma))
        found = {name: _flat(gradients) for name, gradients in engine.gradients(beta, len(rows)).items()}
        return Contrast(found, outcome.sweeps, outcome.capped)
    finally:
        engine.close()


def cosine(found: NDArray[np.float64], exact: NDArray[np.float64]) -> float:
    """Return the cosine of the angle between two gradients; NaN if either is zero."""
    scale = np.linalg.norm(found) * np.linalg.norm(exact)
    return float(found @ exact / scale) if scale > 0 else float("nan")


def cosines(found: Contrast, exact: Contrast) -> dict[str, float]:
    """Return the cosine of each block, and that of all parameters together under ``whole``."""
    by_block = {name: cosine(found.blocks[name], exact.blocks[name]) for name in exact.blocks}
    return {"whole": cosine(found.whole, exact.whole), **by_block}


def _flat(gradients: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
    return np.concatenate([gradient.astype(np.float64).reshape(-1) for gradient in gradients.values()])
