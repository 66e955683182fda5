"""Products and contrasts of projections that Python computes, for a lane whose compiled code returns for them.

Means and differences are always multiplied separately, whatever else has changed. So their bits depend on the block
alone, like those of compiled products.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dyadnet.learning.projections import CalledSynapses
from dyadnet.program import calls
from dyadnet.program import tables as c
from dyadnet.program.arena import Arena
from dyadnet.program.tables import Memory, State, Tables

Array = NDArray[Any]


class Neurons(Protocol):
    """A lane; see `dyadnet.program.lane.Lane`."""

    arena: Arena
    memory: Memory
    state: State
    rows: int
    inputs: Array

    @property
    def tables(self) -> Tables:
        """The tables of the present relaxation."""

    @property
    def views(self) -> tuple[int, int, int, Array]:
        """Arguments of compiled functions."""

    def streams(self, number: int) -> Array:
        """Return a view of the present (m, d), or (m,), of a block."""

    def dyadic(self, number: int) -> bool:
        """Whether a block has differences."""


def multiply_first(lane: Neurons, number: int) -> None:
    """Compute θ₀x of a block, and θ·m_pre of all initial states on which its own depends."""
    blocks, links = lane.tables.blocks, lane.tables.links
    source = lane.arena.blocks[number].entry
    if isinstance(source, CalledSynapses):
        _part(lane, int(blocks[number, c.B_BASE]), 0, int(blocks[number, c.B_SIZE]))[...] = source.product(lane.inputs)
    if not lane.state.reg[c.REG_FEEDFORWARD]:
        return
    for link, synapses in lane.arena.called[number]:
        pre = int(links[link, c.L_PRE])
        if blocks[pre, c.B_ORDER] < blocks[number, c.B_ORDER]:
            state = _part(lane, int(blocks[pre, c.B_RING]), 0, int(blocks[pre, c.B_SIZE]))
            _product(lane, link, 0)[...] = synapses.product(state)


def multiply(lane: Neurons, number: int) -> None:
    """Compute θ·m_pre and θ·d_pre of the messages that a firing block holds, as far as they have changed."""
    t, _, s, _ = lane.views
    tick = int(lane.state.events[lane.state.reg[c.REG_PC], c.E_SENT])
    for link, synapses in lane.arena.called[number]:
        at, *changed = calls.lacking(t, s, link, tick)
        width = int(lane.tables.blocks[lane.tables.links[link, c.L_PRE], c.B_SIZE])
        for stream, new in enumerate(changed):
            if new:
                _product(lane, link, stream)[...] = synapses.product(_part(lane, at, stream, width))


def feed_back(lane: Neurons, number: int, *, first: bool = False) -> None:
    """Compute κθᵀm and θᵀd of a block's next state, or of its initial state."""
    row, kappa = lane.tables.blocks[number], lane.tables.kappa
    n, slot = int(row[c.B_SIZE]), (int(lane.state.blocks[number, c.S_COUNT]) + (not first)) & (int(row[c.B_DEPTH]) - 1)
    state = int(row[c.B_RING]) + slot * int(row[c.B_RING_SLOT])
    dyadic = not first and lane.dyadic(number)
    for link, synapses in lane.arena.called[number]:
        own = lane.tables.links[link]
        into = int(own[c.L_CACHE]) + (0 if own[c.L_FIXED_CACHE] else slot * int(own[c.L_CACHE_SLOT]))
        width = int(lane.tables.blocks[own[c.L_PRE], c.B_SIZE])
        if kappa[link] != 0.0:
            means = _part(lane, into, 0, width)
            means[...] = synapses.transposed(_part(lane, state, 0, n))
            means *= means.dtype.type(kappa[link])
        if dyadic:
            _part(lane, into, 1, width)[...] = synapses.transposed(_part(lane, state, 1, n))


def contrast(lane: Neurons, number: int, stop: int, first: bool, gradient: Array) -> None:
    """Add one lane's part of −β × samples × the gradient of a block's parameters in projections that Python computes.

    Parameters
    ----------
    stop
        The tick at which the relaxation ended.
    first
        Whether this is the first lane, whose part replaces the content of `gradient`.
    gradient
        In the layout of the parameters.
    """
    block = lane.arena.blocks[number]
    if not block.called:
        return
    n = block.spec.size
    at = int(calls.readout(*lane.views, number))
    m, d = (_part(lane, at, stream, n) for stream in range(2))
    found: dict[str, Array] = {}
    if isinstance(block.entry, CalledSynapses):
        found |= block.entry.gradient(d, lane.inputs)
    for link, synapses in lane.arena.called[number]:
        kappa, width = lane.tables.kappa[link], int(lane.tables.blocks[lane.tables.links[link, c.L_PRE], c.B_SIZE])
        at, streams = calls.heard(*lane.views, link, number, stop)
        post, pre = d, _part(lane, at, 0, width)
        if kappa != 0.0 and streams == 2:
            post, pre = np.concatenate([d, m * m.dtype.type(kappa)]), _part(lane, at, 0, width, 2)
        found |= synapses.gradient(post, pre)
    for key, part in found.items():
        offset = lane.arena.parameters.offsets[block.name][key]
        into = gradient[offset : offset + part.size]
        if first:
            into[...] = part.reshape(-1)
        else:
            into += part.reshape(-1).astype(into.dtype)


def widely(lane: Neurons, number: int) -> NDArray[np.float64] | float:
    """Return θm of the present presynaptic states, in float64: shape (rows, n), or 0 if there are none."""
    total: NDArray[np.float64] | float = 0.0
    for link, synapses in lane.arena.called[number]:
        m = lane.streams(int(lane.tables.links[link, c.L_PRE]))[0]
        total = total + synapses.widely(m.astype(np.float64))
    return total


def _product(lane: Neurons, link: int, stream: int) -> Array:
    row = lane.tables.links[link]
    return _part(lane, int(row[c.L_PRODUCT]), stream, int(lane.tables.blocks[row[c.L_POST], c.B_SIZE]))


def _part(lane: Neurons, at: int, stream: int, width: int, streams: int = 1) -> Array:
    """Return a view of some streams of an array in the arena, as rows of `width` numbers."""
    size = lane.rows * width
    return lane.memory.X[at + stream * size : at + (stream + streams) * size].reshape(streams * lane.rows, width)
