"""The power iteration that blocks carry out by messages; see `dyadnet.dynamics.spectral_radius` for what it is of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dyadnet.dynamics.messages import Kind
from dyadnet.dynamics.spectral_radius import ITERATION, Application, Operator, factor, factors, radius
from dyadnet.numerics.rng import Stream
from tests.reference.block import Block
from tests.reference.products import product, product_transposed

Vector = NDArray[np.float64]
Parcel = tuple[str, Kind, Vector]
"""(other block, kind, vector): addressed to a target when it goes out, from a source when it comes in."""


class Response:
    """One block's part of the power iteration.

    Parameters
    ----------
    block
        Its synapses are used as they stand at each call.
    seed
        For the first vector, which is kept from one estimate to the next (a warm start).
    """

    def __init__(self, block: Block, seed: int) -> None:
        self.block = block
        self._seed = seed
        self.vector: Vector = np.empty(0)
        self.restart()
        self._root = np.sqrt(block.hardware.steepest(block.activation))

    def emit(self, application: Application) -> list[Parcel]:
        """What the neighbours are to add up: this block's vector upwards, its feedback downwards."""
        v = (self._root * self.vector).astype(self.block.dtype)
        out: list[Parcel] = [(axon.link.post.name, "state", v) for axon in self.block.axons]
        for synapses in self.block.synapses:
            sent = np.empty((1, synapses.weights.shape[1]), dtype=self.block.dtype)
            product(v[np.newaxis], synapses.weights, sent)
            feedback = sent[0].astype(np.float64)
            out.append((synapses.source, "feedback", factors(application, synapses.coupling)[1] * feedback))
        return out

    def absorb(self, application: Application, incoming: Mapping[tuple[str, Kind], Vector]) -> None:
        """Take the sum of what came in as the next vector."""
        total = np.zeros(self.block.spec.size)
        for synapses in self.block.synapses:
            drive = np.empty((1, self.block.spec.size), dtype=self.block.dtype)
            came = incoming[synapses.source, "state"].astype(self.block.dtype)
            product_transposed(came[np.newaxis], synapses.weights, drive)
            total += factors(application, synapses.coupling)[0] * drive[0]
        for axon in self.block.axons:
            total += incoming[axon.link.post.name, "feedback"]
        self.vector = self._root * total

    @property
    def square(self) -> float:
        """Of the vector."""
        return float(self.vector @ self.vector)

    def scale(self, factor: float | None) -> None:
        """Multiply the vector, so that it neither grows nor vanishes; begin anew at None."""
        if factor is None:
            self.restart()
        else:
            self.vector = self.vector * factor

    def restart(self) -> None:
        """Begin with the first vector again: nothing was left of the last one."""
        self.vector = Stream(self._seed, "spectrum", self.block.name).at().standard_normal(self.block.spec.size)


def spectral_radius(responses: Sequence[Response], operator: Operator, iterations: int) -> float:
    """An estimate of ρ from below, after `iterations` of two applications each.

    Sums run in the order of `responses`, which is block order.
    """
    by_name = {response.block.name: response for response in responses}
    squares = [response.square for response in responses]
    for response in responses:
        response.scale(factor(squares))
    for _ in range(iterations):
        for application in ITERATION[operator]:
            mail: dict[str, dict[tuple[str, Kind], Vector]] = {name: {} for name in by_name}
            for name, response in by_name.items():
                for target, kind, vector in response.emit(application):
                    mail[target][name, kind] = vector
            for name, response in by_name.items():
                response.absorb(application, mail[name])
        squares = [response.square for response in responses]
        for response in responses:
            response.scale(factor(squares))
    return radius(squares)
