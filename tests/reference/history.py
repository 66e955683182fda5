"""What a block held before: the slow reference of prospective dynamics; see `dyadnet.program.prospective`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.dynamics.messages import Kind
from dyadnet.numerics.kernels import FLUSH
from tests.reference.messages import Message

if TYPE_CHECKING:
    from tests.reference.dyads import Dyads

Array = NDArray[Any]
Streams = tuple[Array | None, Array | None]
"""Means and differences, where there are any: products with synapses, or feedback as it was held."""


class History:
    """What was held of every channel at the last firings, by the number of the sender's firing.

    Parameters
    ----------
    span
        Firings of the sender that a difference is taken over; one more is kept.
    """

    def __init__(self, span: int) -> None:
        self.span = span
        self._kept: dict[tuple[str, Kind], tuple[tuple[int, Streams], ...]] = {}

    def copy(self) -> History:
        """The same; arrays are never written again."""
        other = History(self.span)
        other._kept = dict(self._kept)
        return other

    def changes(self, channel: tuple[str, Kind], count: int, streams: Streams) -> tuple[Streams, int]:
        """Keep what is held now, and find what it has changed by, over how many firings of its sender.

        Returns
        -------
        tuple
            Changes of means and differences, and at least the span; without a past, no changes.
        """
        kept = self._kept.get(channel, ())
        if kept and count <= kept[-1][0]:
            kept = (*kept[:-1], (kept[-1][0], streams))
        else:
            kept = (*kept, (count, streams))[-self.span - 1 :]
        self._kept[channel] = kept
        if len(kept) == 1:
            return (None, None), self.span
        then, before = next((one for one in kept[-2::-1] if count - one[0] >= self.span), kept[0])
        changed = [None if x is None else x if y is None else x - y for x, y in zip(streams, before, strict=True)]
        return (changed[0], changed[1]), max(count - then, self.span)


def corrections(dyads: Dyads) -> tuple[Array, Array]:
    """γ·age·(held − held before)/(firings between) of all that is held, added up: what goes to A*, and to D*."""
    assert dyads.history is not None
    totals = np.zeros_like(dyads.A), np.zeros_like(dyads.A)
    number, block = dyads.A.dtype.type, dyads.block
    for synapses in block.synapses:
        message = dyads.held[synapses.source, "state"]
        product = dyads.product(synapses, message)
        if dyads.device.reads:
            link, at = synapses.link, (dyads.course.tick, dyads.moment)
            fan_in, x = link.pre.population.size, message.payload
            noise = dyads.device.read(synapses.source, link.projection, fan_in, x, block.spec.size, at)
            product = product[: len(x)] + noise
        streams = product[0].copy(), product[1].copy() if message.difference else None
        _add(dyads, message, streams, totals, synapses.coupling, number)
    for axon in block.axons:
        message = dyads.held[axon.link.post.name, "feedback"]
        own = message.means if message.mean else None, message.differences if message.difference else None
        _add(dyads, message, own, totals, 1.0, number)
    return totals


def _add(
    dyads: Dyads, message: Message, streams: Streams, totals: tuple[Array, Array], kappa: float, number: Any
) -> None:
    assert dyads.history is not None
    channel = message.source, message.kind
    (mean, difference), gap = dyads.history.changes(channel, message.sequence, streams)
    age = (dyads.course.tick - message.tick + dyads.mail.lag(channel)) * dyads.mail.rate(channel)
    weight = dyads.gamma * age / gap
    if mean is not None:
        totals[0][...] += number(weight) * mean
    if difference is not None:
        totals[1][...] += number(weight * kappa) * difference


def relax(
    X: Array, base: Array, first: Array, scale: float, second: Array, correction: Array, eta: Array
) -> tuple[float, float]:
    """X ← (1−η)X + η(X* + correction); the largest |X*−X| before and |X| after, as `tests.reference.kernels.relax`."""
    one, row = X.dtype.type(1), np.zeros_like(X)
    if base.shape[0]:
        row[...] = base
    if first.shape[0]:
        row += X.dtype.type(scale) * first
    if second.shape[0]:
        row += second
    new = (one - eta) * X + eta * (row + correction)
    residual = np.abs(row - X).max()
    X[...] = np.where(np.abs(new) < FLUSH, X.dtype.type(0), new)
    return float(residual), float(np.abs(X).max())
