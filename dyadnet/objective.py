"""The saddle objective (paper, eq. 4 as mended), summed block by block.

    L = ½ℓ(s⁺) + ½ℓ(s⁻) + [ΣG(s⁺) − ΣG(s⁻) − 2dᵀ(θ₀x + b + W_κ m)] / 2β

Its stationary points are the fixed points of eq. 8 with the nudge ∓β∇ℓ, its gradient with respect to θ at such a
point is the Hebbian contrast of eq. 5, and as β → 0 it becomes the loss.
"""

from __future__ import annotations

import numpy as np

from dyadnet.dyads import Dyads


def contribution(dyads: Dyads, beta: float) -> float:
    """One block's part of the objective, summed over the samples of its lane, in float64.

    The drive W_κ m is formed from what the block holds of its neighbours.
    """
    activation, device = dyads.block.activation, dyads.device
    A = device.seen(dyads.A.astype(np.float64))
    D = device.scaled(dyads.D.astype(np.float64))
    plus, minus = activation.value(A + D), activation.value(A - D)
    d = 0.5 * (plus - minus)
    drive = dyads.base.astype(np.float64)
    for synapses in dyads.block.synapses:
        state = dyads.held[synapses.source, "state"]
        drive = drive + state.means.astype(np.float64) @ synapses.weights.T.astype(np.float64)
    for axon in dyads.block.axons:
        feedback = dyads.held[axon.target, "feedback"]
        if feedback.mean:
            drive = drive + feedback.means
    potentials = np.sum(device.potential(activation, plus)) - np.sum(device.potential(activation, minus))
    total = (potentials - 2.0 * np.sum(d * drive)) / (2.0 * beta)
    if dyads.targets is not None:
        loss = dyads.loss
        total += 0.5 * (np.sum(loss.value(plus, dyads.targets)) + np.sum(loss.value(minus, dyads.targets)))
    return float(total)
