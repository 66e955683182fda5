"""Which blocks share an actor."""

from __future__ import annotations

from dyadnet.config import RunConfig
from dyadnet.topology import Topology


def homes(config: RunConfig) -> dict[str, int]:
    """The actor of every block, in block order: contiguous and as equal in number as can be."""
    blocks = list(Topology(config.network).blocks)
    actors = config.cluster.actors or len(blocks)
    return {name: index * actors // len(blocks) for index, name in enumerate(blocks)}
