"""The local Hebbian contrast: what one lane of a block contributes to the gradient of each parameter (paper, eq. 5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.numerics import kernels
from tests.reference.turns import dyadic

if TYPE_CHECKING:
    from tests.reference.dyads import Dyads

Array = NDArray[Any]


def contrasts(dyads: Dyads) -> Iterator[tuple[str, tuple[Array, ...]]]:
    """The factors of −β times the gradient (paper, eq. 5) of this lane, by parameter name.

    A pair (left, right) stands for leftᵀ·right, a single array for itself.
    """
    averages = dyads.averages
    state = dyads.readout
    m = state[0]
    d = state[1] if len(state) == 2 else np.zeros_like(m)
    if dyads.block.input_weights is not None and dyads.inputs is not None:
        yield "input", (d, dyads.inputs)
    for synapses in dyads.block.synapses:
        held = dyads.held[synapses.source, "state"].payload
        if averages.own.count:
            held = averages.held[synapses.source].value(dyads.block.dtype)
        if dyads.turn is not None:
            side = dyads.block.sides[synapses.link.pre.population.name]
            held = dyadic(dyads.turn.held[synapses.source], held[0], side)
        if synapses.coupling and len(held) == 2:
            left = np.concatenate((d, m if synapses.coupling == 1 else m * m.dtype.type(synapses.coupling)))
            yield synapses.source, (left, held.reshape(-1, held.shape[2]))
        else:
            yield synapses.source, (d, held[0])
    sums = np.empty(d.shape[1], dtype=d.dtype)
    kernels.column_sums(np.ascontiguousarray(d).reshape(-1), len(d), sums)
    yield "bias", (sums,)
