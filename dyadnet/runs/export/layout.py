"""Weights by projection and population, as a file holds them, and by block, as they are trained."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.errors import RunFolderError
from dyadnet.network.description import INPUT
from dyadnet.network.topology import Topology
from dyadnet.runs.weights import Parameters

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
        then ``bias/<population>`` of shape (n,).

    Raises
    ------
    RunFolderError
        If a parameter is missing, or of another shape or type: these are weights of another network.
    """
    arrays: Arrays = {}
    # Where even that is missing, the loop below says so.
    dtype = next(iter(parameters.values())).get("bias", np.empty(0)).dtype
    for projection in topology.network.projections:
        pre = topology.network.inputs if projection.from_input else topology.network.by_name[projection.pre].size
        shape = (topology.network.by_name[projection.post].size, pre)
        arrays[f"weights/{projection.name}"] = np.empty(shape, dtype)
    for population in topology.network.populations:
        arrays[f"bias/{population.name}"] = np.empty(population.size, dtype)
    for block, key, name, place in _places(topology):
        target, found = arrays[name][place], parameters[block].get(key)
        if found is None or found.shape != target.shape or found.dtype != dtype:
            what = "nothing" if found is None else f"{found.dtype} {found.shape}"
            raise RunFolderError(
                f"block {block}: parameter {key!r} should be {dtype} {target.shape}, found {what}; "
                "these are weights of another network, or damaged"
            )
        target[...] = found
    return arrays


def split(arrays: Arrays, topology: Topology) -> dict[str, Arrays]:
    """What `joined` joined, by block again, each array in memory of its own."""
    parameters: dict[str, Arrays] = {}
    for block, key, name, place in _places(topology):
        parameters.setdefault(block, {})[key] = np.ascontiguousarray(arrays[name][place])
    return parameters


def _places(topology: Topology) -> list[tuple[str, str, str, tuple[slice, ...]]]:
    """Of each parameter, in the documented order: its block, its name there, its array in a file, its place in it."""
    places: list[tuple[str, str, str, tuple[slice, ...]]] = []
    for name, spec in topology.blocks.items():
        rows = slice(spec.start, spec.stop)
        source = topology.input_projection(name)
        if source is not None:
            places.append((name, INPUT, f"weights/{source.name}", (rows, slice(None))))
        for link in topology.afferent(name):
            columns = slice(link.pre.start, link.pre.stop)
            places.append((name, link.pre.name, f"weights/{link.projection.name}", (rows, columns)))
        places.append((name, "bias", f"bias/{spec.population.name}", (rows,)))
    return places
