"""The saddle objective (paper, eq. 4, corrected), summed block by block.

    L = ½ℓ(s⁺) + ½ℓ(s⁻) + [ΣG(s⁺) − ΣG(s⁻) − 2dᵀ(θ₀x + b + W_κ m)] / 2β

Its stationary points are the fixed points of eq. 8 with the nudge ∓β∇ℓ, its gradient with respect to θ at such a
point is the Hebbian contrast of eq. 5, and as β → 0 it becomes the loss.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.imperfections.realized import DeviceModel
from dyadnet.network.activations import Activation
from dyadnet.network.losses import Loss

Array = NDArray[Any]


def value(
    activation: Activation,
    device: DeviceModel,
    loss: Loss,
    A: Array,
    D: Array,
    drive: Array,
    targets: Array | None,
    beta: float,
) -> float:
    """Compute one block's part of the objective, summed over samples, in float64.

    Parameters
    ----------
    A, D, drive
        Pre-activations, and θ₀x + b + W_κ m: float64 of shape (batch, n).
    targets
        y at the output; None elsewhere.
    """
    seen, scaled = device.seen(A), device.scaled(D)
    plus, minus = activation.value(seen + scaled), activation.value(seen - scaled)
    d = 0.5 * (plus - minus)
    potentials = np.sum(device.potential(activation, plus)) - np.sum(device.potential(activation, minus))
    total = (potentials - 2.0 * np.sum(d * drive)) / (2.0 * beta)
    if targets is not None:
        total += 0.5 * (np.sum(loss.value(plus, targets)) + np.sum(loss.value(minus, targets)))
    return float(total)
