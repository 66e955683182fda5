"""A drive as a sum of terms: which these are, and the form in which the kernel adds them up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tests.reference.dyads import Dyads

Array = NDArray[Any]
Term = tuple[Array, float]
"""An array that goes into a drive, and its factor."""


def drives(dyads: Dyads) -> tuple[list[Term], list[Term]]:
    """Terms of A* (beside the base) and of D*, from what is held of the neighbours and the nudge (paper, eq. 8)."""
    means: list[Term] = []
    differences: list[Term] = []
    at = dyads.course.tick, dyads.moment
    source = dyads.block.topology.input_projection(dyads.name)
    if dyads.device.reads and source is not None and dyads.inputs is not None:
        x = dyads.inputs[np.newaxis]
        means.append((dyads.device.read("input", source, x.shape[2], x, dyads.block.spec.size, at)[0], 1.0))
    for synapses in dyads.block.synapses:
        message = dyads.held[synapses.source, "state"]
        product = dyads.product(synapses, message)
        if dyads.device.reads:
            link, x = synapses.link, message.payload
            fan_in, size = link.pre.population.size, dyads.block.spec.size
            noise = dyads.device.read(synapses.source, link.projection, fan_in, x, size, at)
            product = product[: len(x)] + noise
        means.append((product[0], 1.0))
        if message.difference:
            differences.append((product[1], synapses.coupling))
    for axon in dyads.block.axons:
        message = dyads.held[axon.link.post.name, "feedback"]
        if message.mean:
            means.append((message.means, 1.0))
        if message.difference:
            differences.append((message.differences, 1.0))
    if dyads.beta and dyads.targets is not None:
        m = dyads.state[0]
        d = dyads.state[1] if dyads.speaks else np.zeros_like(m)
        mean, difference = dyads.device.nudge(*dyads.loss.nudge(m, d, dyads.targets), at)
        if dyads.side:
            means.append((mean, -dyads.side * dyads.beta))
            return means, differences
        means.append((difference, -dyads.beta))
        differences.append((mean, -dyads.beta))
    return means, differences


def reduced(terms: list[Term], none: Array) -> tuple[Array, float, Array]:
    """Terms as (first, scale, second), which stand for scale·first + second; `none` where there is no term.

    One or two terms are left to the kernel, of which only one may have a factor; more are added up here, those with a
    factor first.
    """
    terms = sorted(terms, key=lambda term: term[1] == 1.0)
    if len(terms) > 2 or (len(terms) == 2 and terms[1][1] != 1.0):
        first = terms[0][0] * terms[0][0].dtype.type(terms[0][1])
        for array, factor in terms[1:]:
            first += array if factor == 1.0 else array * array.dtype.type(factor)
        return first, 1.0, none
    first, scale = terms[0] if terms else (none, 1.0)
    return first, scale, terms[1][0] if len(terms) == 2 else none
