"""Weights by projection and population, as a file holds them, and by block, as they are trained."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.errors import RunFolderError
from dyadnet.network.description import INPUT, Network, Projection
from dyadnet.network.topology import BlockSlice, Topology
from dyadnet.runs.weights import Parameters
from dyadnet.synapses.compiled import CompiledKind

Arrays = dict[str, NDArray[Any]]


def joined(parameters: Parameters, topology: Topology) -> Arrays:
    """Whole projections and populations.

    Parameters
    ----------
    parameters
        By block, then by name; see `dyadnet.learning.block.Block.parameters`.

    Returns
    -------
    dict
        ``weights/<pre>-><post>`` of shape (n_post, n_pre) in the order of the description, ``input`` for θ₀'s `pre`;
        then ``bias/<population>`` of shape (n,). A projection that is not dense has ``weights/<pre>-><post>.<name>``
        for each of its parameters.

    Raises
    ------
    RunFolderError
        If a parameter is missing, or of another shape or type: these are weights of another network.
    """
    arrays: Arrays = {}
    # Where even that is missing, the loop below says so.
    dtype = next(iter(parameters.values())).get("bias", np.empty(0)).dtype
    for name, shape in shapes(topology.network).items():
        arrays[name] = np.empty(shape, dtype)
    for block, key, name, place in _places(topology):
        shape, found = arrays[name][place].shape, parameters[block].get(key)
        if found is None or found.shape != shape or found.dtype != dtype:
            what = "nothing" if found is None else f"{found.dtype} {found.shape}"
            raise RunFolderError(
                f"block {block}: parameter {key!r} should be {dtype} {shape}, found {what}; "
                "these are weights of another network, or damaged"
            )
        # Not into a view: numbers of sparse synapses are picked out, which makes a copy.
        arrays[name][place] = found
    return arrays


def shapes(network: Network) -> dict[str, tuple[int, ...]]:
    """Shapes of a network's arrays, by the names that `joined` gives them."""
    found = {
        named("weights/" + projection.name, name): shape
        for projection in network.projections
        for name, shape in network.shapes(projection).items()
    }
    return found | {f"bias/{p.name}": (p.size // p.sharing,) for p in network.populations}


def named(projection: str, parameter: str) -> str:
    """Name of a projection's array: its own for θ of dense synapses, whose parameter has no name."""
    return f"{projection}.{parameter}" if parameter else projection


def split(arrays: Arrays, topology: Topology) -> dict[str, Arrays]:
    """What `joined` joined, by block again, each array in memory of its own."""
    parameters: dict[str, Arrays] = {}
    for block, key, name, place in _places(topology):
        parameters.setdefault(block, {})[key] = np.ascontiguousarray(arrays[name][place])
    return parameters


def _places(topology: Topology) -> list[tuple[str, str, str, Any]]:
    """Of each parameter, in the documented order: its block, its name there, its array in a file, its place in it."""
    places: list[tuple[str, str, str, Any]] = []
    for name, spec in topology.blocks.items():
        source = topology.input_projection(name)
        if source is not None:
            inputs = slice(0, topology.network.inputs)
            places += _of_projection(topology.network, source, spec, INPUT, inputs)
        for link in topology.afferent(name):
            places += _of_projection(topology.network, link.projection, spec, link.pre.name, link.pre.neurons)
        shared = spec.population.sharing
        places.append((name, "bias", f"bias/{spec.population.name}", slice(spec.start // shared, spec.stop // shared)))
    return places


def _of_projection(
    network: Network, projection: Projection, post: BlockSlice, source: str, pre: slice
) -> list[tuple[str, str, str, Any]]:
    """Of each parameter of a projection, as in `_places`; what a kind of a user's own learns is whole."""
    kind, ends = projection.connectivity, network.ends(projection)
    place = kind.part(ends, post.neurons, pre) if isinstance(kind, CompiledKind) else ()
    return [
        (post.name, named(source, name), named(f"weights/{projection.name}", name), place) for name in kind.shapes(ends)
    ]
