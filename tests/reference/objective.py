"""The saddle objective of a block that has heard its neighbours; see `dyadnet.dynamics.objective`."""

from __future__ import annotations

import numpy as np

from dyadnet.dynamics.objective import value
from tests.reference.dyads import Dyads
from tests.reference.products import product_transposed


def contribution(dyads: Dyads, beta: float) -> float:
    """`value` of a block that holds what its neighbours have just announced."""
    block = dyads.block
    drive = dyads.base.astype(np.float64)
    for synapses in block.synapses:
        m = dyads.held[synapses.source, "state"].means.astype(np.float64)
        product = np.empty_like(drive)
        product_transposed(m, synapses.weights.astype(np.float64), product)
        drive = drive + product
    for axon in block.axons:
        feedback = dyads.held[axon.link.post.name, "feedback"]
        if feedback.mean:
            drive = drive + feedback.means
    A, D = dyads.A.astype(np.float64), dyads.D.astype(np.float64)
    return value(block.activation, dyads.device, dyads.loss, A, D, drive, dyads.targets, beta)
