"""Decides which blocks share an actor, and on which node each actor runs."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.util.placement_group import (
    PlacementGroup,
    placement_group,
    placement_group_table,
    remove_placement_group,
)

from dyadnet.config import ClusterSpec, RunConfig
from dyadnet.errors import ConfigError
from dyadnet.network.topology import Topology

STRATEGIES = {"pack": "PACK", "spread": "SPREAD", "strict-spread": "STRICT_SPREAD"}
PATIENCE = 30.0
"""Seconds to wait for CPUs that others on the cluster have reserved."""
NODE_LABEL = "ray.io/node-id"
ROUNDING = 1e-9
"""Relative rounding error by which sums of the same weights may differ."""
GRAIN = 1e-4
"""Step in which Ray reserves CPUs."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """Reserved room for every actor, one bundle each.

    Attributes
    ----------
    cpus
        CPUs of each actor.
    nodes
        Node of each actor.
    """

    group: PlacementGroup
    cpus: float
    nodes: tuple[str, ...]


def homes(config: RunConfig, costs: Mapping[str, float] | None = None) -> dict[str, int]:
    """Assign every block to an actor, in block order: keep neighbours together, and minimise the largest load.

    Parameters
    ----------
    costs
        Cost of each block; all equal by default.
    """
    blocks = list(Topology(config.network).blocks)
    actors = config.cluster.actors or len(blocks)
    where = {name: index for index, name in enumerate(blocks)}
    # A link that a fault is to cut must lead from one actor to another.
    links = [[where[name] for name in fault.blocks] for fault in config.faults if fault.link is not None]
    apart = [(min(link), max(link)) for link in links]
    weights = [1.0] * len(blocks) if costs is None else [costs[name] for name in blocks]
    return dict(zip(blocks, partition(weights, actors, apart), strict=True))


def to_be_measured(config: RunConfig) -> bool:
    """Return whether the assignment of blocks to actors depends on their costs."""
    return 1 < (config.cluster.actors or 0) < len(Topology(config.network).blocks)


def partition(weights: Sequence[float], parts: int, apart: Collection[tuple[int, int]] = ()) -> list[int]:
    """Cut a row of weights into contiguous parts: minimise the largest sum, then choose the most even sums.

    This is chains-on-chains partitioning, also known as the linear partition problem. Blocks are listed layer by layer,
    so contiguous blocks are mostly neighbours, whose messages stay in memory.

    Parameters
    ----------
    weights
        Positive weights.
    parts
        Number of parts, none of them empty; at most as many as there are weights.
    apart
        Pairs of indices, the smaller first, that must not share a part, if this is possible.

    Returns
    -------
    list
        The part of each weight.
    """
    largest, _ = _best(weights, parts, apart, lambda before, size: max(before, size))
    if largest == math.inf:
        return partition(weights, parts)
    limit = largest * (1.0 + ROUNDING)
    _, found = _best(weights, parts, apart, lambda before, size: before + size * size if size <= limit else math.inf)
    return found


def _best(
    weights: Sequence[float],
    parts: int,
    apart: Collection[tuple[int, int]],
    worth: Callable[[float, float], float],
) -> tuple[float, list[int]]:
    """Return the smallest worth of a partition (infinity if there is none), and the partition.

    Parameters
    ----------
    worth
        Returns the worth of some parts and one more, given the worth of the former and the sum of the latter; it must
        not decrease with the sum.
    """
    count = len(weights)
    sums = [0.0, *itertools.accumulate(weights)]
    # For each index, the first weight that must not be in the part that begins there.
    limits = [min([b for a, b in apart if a >= begin], default=count) for begin in range(count)]
    # By number of parts and number of leading weights: the smallest worth, and where the last part begins.
    table = [[(0.0, 0)] + [(math.inf, 0)] * count]
    for part in range(1, parts + 1):
        row = [(math.inf, 0)] * (count + 1)
        for end in range(part, count - (parts - part) + 1):
            for begin in range(end - 1, part - 2, -1):
                if limits[begin] < end or worth(0.0, sums[end] - sums[begin]) >= row[end][0]:
                    break
                row[end] = min(row[end], (worth(table[-1][begin][0], sums[end] - sums[begin]), begin))
        table.append(row)
    found: list[int] = []
    end = count
    for part in range(parts, 0, -1):
        begin = table[part][end][1]
        found[:0] = [part - 1] * (end - begin)
        end = begin
    return table[parts][count][0], found


def share(spec: ClusterSpec, actors: int, nodes: Sequence[float]) -> float:
    """Return the CPUs that each actor reserves.

    Parameters
    ----------
    nodes
        CPUs of every node that has any.

    Raises
    ------
    ConfigError
        If the actors do not fit; the message names what would.
    """
    if spec.placement == "strict-spread" and actors > len(nodes):
        legal = f"{actors} actors need as many nodes, the cluster has {len(nodes)}; use spread, or fewer actors"
        raise ConfigError("cluster.placement", "strict-spread", legal)
    if not nodes:
        raise ConfigError("cluster.address", spec.address, "the cluster has no node with CPUs")
    asked = spec.cpus_per_actor
    fits = _largest_share(spec.placement, actors, nodes)
    if asked == "auto":
        return fits
    if asked > fits:
        have = ", ".join(f"{cpus:g}" for cpus in nodes)
        legal = f"{actors} actors on nodes with {have} CPUs get at most {fits:g} each"
        raise ConfigError("cluster.cpus_per_actor", asked, legal)
    return asked


def reserve(spec: ClusterSpec, actors: int, name: str = "", without: Collection[str] = ()) -> Reservation:
    """Reserve room for every actor on the connected cluster.

    Parameters
    ----------
    name
        Name of the reservation. A reservation of the same name, left by a coordinator that died, is released first.
    without
        Lost nodes to avoid; Ray may still believe them to be alive.

    Raises
    ------
    ConfigError
        If the cluster has no room, in general or at present.
    """
    if name:
        release(name)
    nodes = _nodes()
    gone = [node["NodeID"] for node in nodes if node["NodeID"] in without]
    cpus = share(spec, actors, [node["Resources"]["CPU"] for node in nodes if node["NodeID"] not in gone])
    where = [{NODE_LABEL: f"!in({','.join(gone)})"}] * actors if gone else None
    group = placement_group(
        [{"CPU": cpus}] * actors, strategy=STRATEGIES[spec.placement], name=name, bundle_label_selector=where
    )
    if not group.wait(PATIENCE):
        remove_placement_group(group)
        free = ray.available_resources().get("CPU", 0.0)
        legal = (
            f"no room for {actors} actors of {cpus:g} CPUs ({spec.placement}) within {PATIENCE:g} s, {free:g} CPUs "
            "are free; end other jobs, or book less by --set cluster.cpus_per_actor"
        )
        raise ConfigError("cluster.cpus_per_actor", spec.cpus_per_actor, legal)
    where_booked: Mapping[int, str] = placement_group_table(group)["bundles_to_node_id"]
    return Reservation(group, cpus, tuple(where_booked[bundle] for bundle in range(actors)))


def release(name: str) -> None:
    """Release the reservation of this name, if there is one."""
    with contextlib.suppress(ValueError):
        remove_placement_group(ray.util.get_placement_group(name))


def _nodes() -> list[Mapping[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) > 0]


def _largest_share(placement: str, actors: int, nodes: Sequence[float]) -> float:
    """Return the most CPUs that each of the actors can have, at most 1."""
    if placement == "strict-spread":
        return min(1.0, sorted(nodes, reverse=True)[actors - 1])
    low, high = 0, round(1 / GRAIN)
    while low < high:
        middle = (low + high + 1) // 2
        if sum(int(cpus / GRAIN + 0.5) // middle for cpus in nodes) >= actors:
            low = middle
        else:
            high = middle - 1
    return low * GRAIN
