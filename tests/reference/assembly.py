"""Builds blocks and their neurons from a configuration."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.config import RunConfig
from dyadnet.data import Dataset
from dyadnet.dynamics.messages import KINDS, Kind
from dyadnet.dynamics.request import Relaxation
from dyadnet.dynamics.virtual_time import Timing, delay_of
from dyadnet.engines.assembly import probes
from dyadnet.network.topology import BlockSlice, Link, Topology
from dyadnet.numerics.rng import Stream
from tests.reference.block import Block
from tests.reference.channels import ReceivingEnd, SendingEnd
from tests.reference.course import Tolerance
from tests.reference.dyads import Dyads
from tests.reference.mailbox import Inbound


def blocks(config: RunConfig, topology: Topology) -> dict[str, Block]:
    """All blocks, with their initial weights."""
    dtype = np.dtype(config.dynamics.dtype)
    optimiser, device_of = config.learning.optimiser, config.imperfections.device_of
    return {name: Block(name, topology, config.seed, dtype, optimiser, device_of(name)) for name in topology.blocks}


def dyads(config: RunConfig, topology: Topology, timing: Timing, block: Block) -> list[Dyads]:
    """The neurons of one block, one `Dyads` for each lane."""
    dynamics = config.dynamics
    tolerance = Tolerance(dynamics.tolerance, dynamics.tolerance_difference)
    inbound = _inbound(config, topology, timing, block.name)
    lanes = [
        Dyads(
            block,
            timing.clocks[block.name],
            inbound,
            tolerance,
            dynamics.initial,
            _outbound(config, topology, block.name),
            timing.span,
        )
        for _ in range(dynamics.lanes)
    ]
    lanes[0].probe = probes(config).get(block.name)
    return lanes


def samples(
    dyads: Dyads, relaxation: Relaxation, rows: NDArray[np.int64], dataset: Dataset
) -> tuple[NDArray[Any] | None, NDArray[Any] | None]:
    """What a block reads of the data for one lane: inputs if it has θ₀, targets if it is the output."""
    split = dataset.part(relaxation.part)
    dtype = dyads.block.dtype
    inputs = targets = None
    if dyads.block.input_weights is not None:
        inputs = dataset.inputs(relaxation.part, rows, dtype)
    if dyads.block.is_output:
        targets = dataset.targets(split, rows, dtype)
    return inputs, targets


def _inbound(config: RunConfig, topology: Topology, timing: Timing, block: str) -> list[Inbound]:
    """Every channel that ends at `block`: state over its synapses, feedback over its axons."""

    def channel(link: Link, source: BlockSlice, target: BlockSlice, kind: Kind) -> Inbound:
        entity = f"{source.name}>{target.name}"
        end = ReceivingEnd(
            delay_of(config.dynamics, link.projection),
            Stream(config.seed, "delay", entity, kind),
            link.pre.size,
            config.imperfections.channel_of(link.projection.name),
            seed=config.seed,
            entity=entity,
            kind=kind,
        )
        order = 2 * source.index + KINDS.index(kind)
        return Inbound(source.name, kind, order, end, timing.clocks[source.name])

    states = [channel(link, link.pre, link.post, "state") for link in topology.afferent(block)]
    feedback = [channel(link, link.post, link.pre, "feedback") for link in topology.efferent(block)]
    return states + feedback


def _outbound(config: RunConfig, topology: Topology, block: str) -> dict[tuple[str, Kind], SendingEnd]:
    """The sending end of every channel that begins at `block`: state over its axons, feedback over its synapses."""

    def end(link: Link, target: BlockSlice, kind: Kind) -> SendingEnd:
        rounding = Stream(config.seed, "rounding", f"{block}>{target.name}", kind)
        return SendingEnd(config.imperfections.channel_of(link.projection.name), rounding)

    states = {(link.post.name, KINDS[0]): end(link, link.post, "state") for link in topology.efferent(block)}
    feedback = {(link.pre.name, KINDS[1]): end(link, link.pre, "feedback") for link in topology.afferent(block)}
    return {**states, **feedback}
