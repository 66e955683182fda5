"""Makes endpoints from a run's settings, and introduces them to each other through Ray."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from dyadnet.config import RunConfig
from dyadnet.dynamics.virtual_time import timing
from dyadnet.engines.group import shared_rows as rows
from dyadnet.network.topology import Topology
from dyadnet.program.sync.crossing import Geometry, Home
from dyadnet_actors.hosts.shared_memory import SegmentLayout
from dyadnet_actors.transports.connection import CoordinatorTransport
from dyadnet_actors.transports.endpoint import PeerNetwork
from dyadnet_actors.transports.identity import Card

SPARE = 4 << 20
"""Bytes of a frame that any network may need in addition: headers, and vectors of a power iteration."""
FRAMES = 8
"""Maximum number of firings whose messages one frame may hold."""
PATIENCE = 30.0
"""Seconds within which all endpoints must have heard from each other."""


def desk(config: RunConfig, homes: Mapping[str, int]) -> CoordinatorTransport:
    """Return the coordinator's connection to all hosts."""
    hosts = max(homes.values()) + 1
    topology = Topology(config.network)
    geometry = Geometry(config, topology, timing(config, topology), rows(config))
    # Room for row numbers, and for settings.
    largest = (64 << 10) + 16 * rows(config) * config.dynamics.lanes
    return CoordinatorTransport(SegmentLayout(geometry, Home(hosts, homes)), largest)


def network(config: RunConfig, host: str) -> PeerNetwork:
    """Return how other machines are to reach an endpoint."""
    topology = Topology(config.network)
    # A host's messages of several ticks travel together.
    widths = sum(block.size for block in topology.blocks.values()) + sum(link.pre.size for link in topology.links)
    largest = 2 * rows(config) * widths * np.dtype(config.dynamics.dtype).itemsize * FRAMES
    cluster = config.cluster
    return PeerNetwork(host, cluster.ports, SPARE + largest, cluster.insecure_transport)


def acquaint(desk: CoordinatorTransport, ask: Callable[..., Sequence[Any]], host: str, config: RunConfig) -> None:
    """Introduce every endpoint to every other.

    Parameters
    ----------
    ask
        Calls a method of every block actor and waits for the answers.
    host
        The coordinator's own address.

    Raises
    ------
    PeerLostError
        If an endpoint does not hear from another.
    ConfigError
        If no port is free.
    """
    cards: list[Card] = list(ask("introduce", False))
    if any(card.machine != desk.endpoint.card.machine for card in cards):
        desk.endpoint.open(network(config, host))
        cards = list(ask("introduce", True))
    everybody = [*cards, desk.endpoint.card]
    # A peer that connects must be known already, or it is refused.
    desk.know(everybody)
    ask("know", everybody)
    desk.announce()
    ask("greet", PATIENCE)
    desk.greet(PATIENCE)
