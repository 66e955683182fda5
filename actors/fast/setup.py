"""From a run's settings to its endpoints, and how these get to know each other through Ray."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from actors.fast.endpoint import Network
from actors.fast.keys import Card
from actors.fast.transport import Desk, FastTransport
from actors.post import Home
from dyadnet.config import RunConfig
from dyadnet.dynamics import FreeRunning
from dyadnet.timing import timing
from dyadnet.topology import Topology

FEWEST, MOST = 8, 64
"""Slots of a first segment; where more are needed, more are made."""
SPARE = 4 << 20
"""Bytes of a frame that any network may have: headers, and vectors of a power iteration."""
PATIENCE = 30.0
"""Seconds within which everybody must have heard of everybody."""


def transport(config: RunConfig, home: Home) -> FastTransport:
    """The transport of one host."""
    return FastTransport(home, config.dynamics.lanes, slots(config, home))


def desk(config: RunConfig, hosts: int) -> Desk:
    """The coordinator's."""
    return Desk(hosts, lockstep=not isinstance(config.dynamics.mode, FreeRunning))


def slots(config: RunConfig, home: Home) -> int:
    """Arrays of one size that a host may have out at once: in each lane the state and every feedback of its blocks, of
    each the one that is held, those under way, the one that is being written, and one more."""
    topology = Topology(config.network)
    arrays = sum(1 + len(topology.afferent(name)) for name in home.blocks)
    under_way = timing(config, topology).largest_delay
    return min(max(FEWEST, config.dynamics.lanes * arrays * (under_way + 3) + 1), MOST)


def network(config: RunConfig, host: str) -> Network:
    """How an endpoint is to be reached from other machines."""
    rows = -(-max(config.learning.minibatch, config.learning.evaluation_batch) // config.dynamics.lanes)
    width = max(block.size for block in Topology(config.network).blocks.values())
    largest = 2 * rows * width * np.dtype(config.dynamics.dtype).itemsize
    cluster = config.cluster
    return Network(host, cluster.ports, SPARE + largest, cluster.insecure_transport)


def acquaint(desk: Desk, ask: Callable[..., Sequence[Any]], host: str, config: RunConfig) -> None:
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
        If one does not hear from another.
    ConfigError
        If no port is free.
    """
    cards: list[Card] = list(ask("introduce", False))
    if any(card.machine != desk.endpoint.card.machine for card in cards):
        desk.endpoint.open(network(config, host))
        cards = list(ask("introduce", True))
    everybody = [*cards, desk.endpoint.card]
    # Whoever connects must be known already, or is turned away.
    desk.know(everybody)
    ask("know", everybody)
    desk.endpoint.connect()
    ask("greet", PATIENCE)
    desk.greet(PATIENCE)
