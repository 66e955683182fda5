"""Which blocks share an actor, and where actors go."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping, Sequence
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
from dyadnet.topology import Topology

STRATEGIES = {"pack": "PACK", "spread": "SPREAD", "strict-spread": "STRICT_SPREAD"}
PATIENCE = 30.0
"""Seconds to wait for CPUs that others on the cluster have booked."""
NODE_LABEL = "ray.io/node-id"
GRAIN = 1e-4
"""Ray books CPUs in steps of this."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """Room for every actor, one bundle each.

    Attributes
    ----------
    cpus
        Of each.
    nodes
        Where each is.
    """

    group: PlacementGroup
    cpus: float
    nodes: tuple[str, ...]


def homes(config: RunConfig) -> dict[str, int]:
    """The actor of every block, in block order: contiguous and as equal in number as can be."""
    blocks = list(Topology(config.network).blocks)
    actors = config.cluster.actors or len(blocks)
    return {name: index * actors // len(blocks) for index, name in enumerate(blocks)}


def share(spec: ClusterSpec, actors: int, nodes: Sequence[float]) -> float:
    """CPUs that each actor books.

    Parameters
    ----------
    nodes
        CPUs of every node that has any.

    Raises
    ------
    ConfigError
        If the actors do not fit; it names what would.
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
    """Book room for every actor on the cluster that Ray is connected to.

    Parameters
    ----------
    name
        Of the reservation; one of the same name, which a coordinator that died has left, is given back.
    without
        Nodes that Ray may still believe to be alive.

    Raises
    ------
    ConfigError
        If there is no room, ever or now.
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
    """Give back a reservation of this name, if there is one."""
    with contextlib.suppress(ValueError):
        remove_placement_group(ray.util.get_placement_group(name))


def _nodes() -> list[Mapping[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) > 0]


def _largest_share(placement: str, actors: int, nodes: Sequence[float]) -> float:
    """The most CPUs that each of so many actors can have, at most 1."""
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
