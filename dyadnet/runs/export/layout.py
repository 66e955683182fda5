"""Convert weights between the layout of files (by projection and population) and of training (by block)."""

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
    """Join the parameters of blocks to the arrays of whole projections and populations.

    Parameters
    ----------
    parameters
        Arrays by block, then by name; see `dyadnet.learning.block.Block.parameters`.

    Returns
    -------
    dict
        ``weights/<pre>-><post>`` of shape (n_post, n_pre) in the order of the network description, where the `pre` of
        θ₀ is ``input``; then ``bias/<population>`` of shape (n,). A projection that is not dense has
        ``weights/<pre>-><post>.<name>`` for each of its parameters.

    Raises
    ------
    RunFolderError
        If a parameter is missing or has another shape or type, so that the weights belong to another network.
    """
    arrays: Arrays = {}
    # If even the bias is missing, the loop below reports it.
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
        # Do not assign to a view: indexing the numbers of sparse synapses makes a copy.
        arrays[name][place] = found
    return arrays


def shapes(network: Network) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a network's arrays, by the names that `joined` gives them."""
    found = {
        named("weights/" + projection.name, name): shape
        for projection in network.projections
        for name, shape in network.shapes(projection).items()
    }
    return found | {f"bias/{p.name}": (p.size // p.sharing,) for p in network.populations}


def named(projection: str, parameter: str) -> str:
    """Return the name of a projection's array; for dense synapses, whose θ has no name, the projection's own name."""
    return f"{projection}.{parameter}" if parameter else projection


def split(arrays: Arrays, topology: Topology) -> dict[str, Arrays]:
    """Split arrays from `joined` into the parameters of blocks. Each array is contiguous."""
    parameters: dict[str, Arrays] = {}
    for block, key, name, place in _places(topology):
        parameters.setdefault(block, {})[key] = np.ascontiguousarray(arrays[name][place])
    return parameters


def _places(topology: Topology) -> list[tuple[str, str, str, Any]]:
    """List (block, name in the block, name of the file's array, index into it) of each parameter, in file order."""
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
    """List the entries of `_places` for a projection. Parameters of user-defined synapses are never split."""
    kind, ends = projection.connectivity, network.ends(projection)
    place = kind.part(ends, post.neurons, pre) if isinstance(kind, CompiledKind) else ()
    return [
        (post.name, named(source, name), named(f"weights/{projection.name}", name), place) for name in kind.shapes(ends)
    ]
