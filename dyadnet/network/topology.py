"""Blocks and links of a network: which blocks exchange messages, and which graphs are two-colourable.

A block is a contiguous slice of one population. It is the unit of state, clock, messages and placement. Blocks are
ordered as in the description, and every sum over blocks runs in this order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

import numpy as np
from numpy.typing import NDArray

from dyadnet.errors import ConfigError
from dyadnet.network.description import Network, Population, Projection
from dyadnet.synapses.base import positions
from dyadnet.synapses.compiled import CompiledKind


@dataclass(frozen=True, slots=True)
class BlockSlice:
    """One block: neurons ``start`` to ``stop`` of a population."""

    name: str
    population: Population
    start: int
    stop: int
    index: int

    @property
    def size(self) -> int:
        """Number of neurons."""
        return self.stop - self.start

    @property
    def neurons(self) -> slice:
        """Slice of the population's neurons that the block contains."""
        return slice(self.start, self.stop)

    @property
    def positions(self) -> NDArray[np.float64]:
        """Positions of its neurons in a unit square, shape (n, 2)."""
        return positions(self.population.extent)[self.neurons]

    @property
    def biases(self) -> int:
        """Number of biases: one per neuron, or one per channel if they are shared."""
        return self.size // self.population.sharing


@dataclass(frozen=True, slots=True)
class Link:
    """The part of one projection between two blocks with synapses: `state` goes to `post`, `feedback` goes back."""

    projection: Projection
    pre: BlockSlice
    post: BlockSlice

    @property
    def distances(self) -> NDArray[np.float64]:
        """Distances of presynaptic neurons from the centre of `post`, in sides of the square, shape (n_pre,)."""
        return np.asarray(np.linalg.norm(self.pre.positions - self.post.positions.mean(axis=0), axis=1))


class Topology:
    """Blocks and links of a network.

    Attributes
    ----------
    blocks
        Blocks by name, in the order of the description.
    links
        Links in the order of the projections, then of post blocks, then of pre blocks.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.blocks: dict[str, BlockSlice] = {}
        self.of_population: dict[str, list[BlockSlice]] = {}
        for population in network.populations:
            # Neurons of one channel stay together.
            area = population.area
            units = population.size // area
            for part in range(population.blocks):
                start = part * units // population.blocks * area
                stop = (part + 1) * units // population.blocks * area
                name = population.name if population.blocks == 1 else f"{population.name}.{part}"
                spec = BlockSlice(name, population, start, stop, len(self.blocks))
                self.blocks[name] = spec
                self.of_population.setdefault(population.name, []).append(spec)
        self.links: list[Link] = [
            Link(projection, pre, post)
            for projection in network.recurrent
            for post in self.of_population[projection.post]
            for pre in self.of_population[projection.pre]
            if _joined(network, projection, post, pre)
        ]

    def afferent(self, block: str) -> list[Link]:
        """Return the links whose synapses live with `block` (it is their `post`)."""
        return [link for link in self.links if link.post.name == block]

    def efferent(self, block: str) -> list[Link]:
        """Return the links over which `block` sends its state (it is their `pre`)."""
        return [link for link in self.links if link.pre.name == block]

    def input_projection(self, block: str) -> Projection | None:
        """Return the input projection θ₀ into `block`'s population, or None."""
        population = self.blocks[block].population.name
        for projection in self.network.projections:
            if projection.from_input and projection.post == population:
                return projection
        return None


def _joined(network: Network, projection: Projection, post: BlockSlice, pre: BlockSlice) -> bool:
    """Whether there are synapses between two blocks."""
    kind = projection.connectivity
    return not isinstance(kind, CompiledKind) or kind.joins(network.ends(projection), post.neurons, pre.neurons)


def feedforward_order(topology: Topology) -> tuple[str, ...]:
    """Return the blocks in an order in which each follows all blocks that it receives from.

    Raises
    ------
    ConfigError
        If there is a cycle or a self-loop. The error names the blocks.
    """
    heard = {name: [link.pre.name for link in topology.afferent(name)] for name in topology.blocks}
    try:
        return tuple(TopologicalSorter(heard).static_order())
    except CycleError as problem:
        legal = f"only for a network without cycles and self-loops; it has {' -> '.join(problem.args[1])}"
        raise ConfigError("baseline", "backprop", legal) from None


def colours(network: Network) -> dict[str, int] | None:
    """Return a two-colouring of the populations such that no projection joins equal colours, or None."""
    neighbours: dict[str, list[str]] = {p.name: [] for p in network.populations}
    for projection in network.recurrent:
        neighbours[projection.pre].append(projection.post)
        neighbours[projection.post].append(projection.pre)
    colour: dict[str, int] = {}
    for root in neighbours:
        if root in colour:
            continue
        colour[root] = 0
        queue = [root]
        while queue:
            here = queue.pop(0)
            for there in neighbours[here]:
                if there not in colour:
                    colour[there] = 1 - colour[here]
                    queue.append(there)
                elif colour[there] == colour[here]:
                    return None
    return colour


def is_forest(network: Network, projections: Sequence[Projection] | None = None) -> bool:
    """Whether the undirected graph of populations has no cycle (chains and trees: consistently ordered).

    Parameters
    ----------
    projections
        Edges of the graph; default: all projections between populations.
    """
    parent = {p.name: p.name for p in network.populations}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    for projection in network.recurrent if projections is None else projections:
        one, other = root(projection.pre), root(projection.post)
        if one == other:
            return False
        parent[one] = other
    return True
