"""The power iteration over all blocks of a process; `dyadnet.dynamics.spectral_radius` defines its operator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dyadnet.dynamics.spectral_radius import ITERATION, Operator, factor, factors, radius
from dyadnet.learning.block import Block
from dyadnet.numerics.rng import Stream
from dyadnet.program import calls
from dyadnet.program import tables as c
from dyadnet.program.arena import Arena

Array = NDArray[Any]


class Exchange(Protocol):
    """Exchanges data between the processes of one network during a power iteration."""

    def squares(self, own: list[float]) -> list[float]:
        """Send this process's squared norms. Return those of all blocks of the network, in block order."""

    def vectors(self, v: Array, feedback: Array) -> None:
        """Send the parts of this process's blocks and links, and receive those of ghosts."""


class PowerIteration:
    """The power iteration over all blocks of a process.

    Parameters
    ----------
    arena
        Defines the blocks and links.
    seed
        Seed of the first vector.
    weights
        All parameters; each call uses their current values.

    Attributes
    ----------
    starts
        Offset of each block's part in a vector; ghosts follow the blocks of this process.
    vector
        Vector over all neurons of the process, kept from one estimate to the next (a warm start).
    """

    def __init__(self, arena: Arena, seed: int, weights: Array) -> None:
        self._weights, self._arena = weights, arena
        blocks: Sequence[Block] = arena.blocks
        self._own = len(blocks)
        self.starts = np.concatenate([[0], np.cumsum([spec.size for spec in arena.specs])]).astype(np.int64)
        self._first = [Stream(seed, "spectrum", block.name).at().standard_normal(block.spec.size) for block in blocks]
        self.vector = np.concatenate(self._first)
        roots = [np.broadcast_to(np.sqrt(block.actual.steepest(block.activation)), block.spec.size) for block in blocks]
        self._root = np.concatenate(roots).astype(np.float64)
        links, largest = sum(link.pre.size for link in arena.links), max(spec.size for spec in arena.specs)
        sizes = int(self.starts[-1]), max(links, 1), largest, largest, arena.products
        self._scratch = [np.zeros(size, dtype=weights.dtype) for size in sizes]

    def part(self, number: int) -> Array:
        """Return a view of one block's part of the vector."""
        return self.vector[self.starts[number] : self.starts[number + 1]]

    def estimate(
        self, table: int, kappa: Array, operator: Operator, iterations: int, exchange: Exchange | None = None
    ) -> float:
        """Estimate ρ from below, after `iterations` of two applications each.

        Parameters
        ----------
        table
            Address of the view of a lane's tables; see `dyadnet.program.views`.
        kappa
            κ of each link.
        exchange
            Exchange with other processes; None if there are none.
        """
        kappas, of = np.unique(kappa, return_inverse=True)
        ways = [np.array([factors(way, kappa) for kappa in kappas])[of] for way in ITERATION[operator]]
        v, feedback, drive, *products = self._scratch
        squares = self._scaled(exchange)
        for _ in range(iterations):
            for way in ways:
                up, down = np.ascontiguousarray(way.reshape(-1, 2).T)
                calls.send_response(table, self._weights, self.starts, self.vector, self._root, v, feedback, *products)
                self._feed_back(v, feedback)
                if exchange is not None:
                    exchange.vectors(v, feedback)
                calls.take_response(
                    table, self._weights, self.starts, up, down, self.vector, self._root, v, feedback, drive, *products
                )
                self._multiply(v, up)
            squares = self._scaled(exchange)
        return radius(squares)

    def _feed_back(self, v: Array, feedback: Array) -> None:
        """Compute θᵀv of the links that are computed in Python."""
        for number, links in enumerate(self._arena.called):
            for link, synapses in links:
                at = int(self._arena.actual.links[link, c.L_RESPONSE])
                here = v[self.starts[number] : self.starts[number + 1]]
                feedback[at : at + synapses.ends.n_pre] = synapses.transposed(here[None])[0]

    def _multiply(self, v: Array, up: Array) -> None:
        """Add θv of these links to the next vector."""
        for number, links in enumerate(self._arena.called):
            for link, synapses in links:
                pre = int(self._arena.actual.links[link, c.L_PRE])
                product = synapses.product(v[self.starts[pre] : self.starts[pre + 1]][None])[0]
                root = self._root[self.starts[number] : self.starts[number + 1]]
                self.part(number)[...] += root * (up[link] * product.astype(np.float64))

    def _scaled(self, exchange: Exchange | None) -> list[float]:
        """Normalise the whole vector to norm 1. Return the squared norm of every block's part before that."""
        squares = [float(self.part(number) @ self.part(number)) for number in range(self._own)]
        if exchange is not None:
            squares = exchange.squares(squares)
        by = factor(squares)
        if by is None:
            self.vector[:] = np.concatenate(self._first)
        else:
            self.vector *= by
        return squares


@dataclass
class PowerIterate:
    """One block's part of the power iteration's vector."""

    part: Array

    @property
    def vector(self) -> Array:
        """A view of the block's part."""
        return self.part

    @vector.setter
    def vector(self, values: Array) -> None:
        self.part[...] = values
