"""Allocate the memory and the state of a lane."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.numerics.draws import STATE
from dyadnet.program import tables as c
from dyadnet.program.arena import Arena
from dyadnet.program.neurons import CHUNK
from dyadnet.program.tables import Memory, State
from dyadnet.program.team import lines

Array = NDArray[Any]

EVENTS = 4096
"""Number of events that are scheduled at a time, unless one tick has more."""
DELAYS = 4096
"""Number of the latest updates in real time whose δ is kept."""
AHEAD = 8
"""Ticks' worth of messages under way for which there is room at first."""


def allocated_memory(arena: Arena, parameters: tuple[Array, Array, Array], memory: NDArray[np.uint8]) -> Memory:
    """Return the arrays that offsets point into; inputs and targets are empty.

    Parameters
    ----------
    parameters
        W, V and F; see `Memory`.
    memory
        The bytes of the lane's arena.
    """
    W, V, F = parameters
    dtype = W.dtype
    integer = np.int32 if dtype == np.float32 else np.int64
    row, total, term, a, d = (np.zeros(CHUNK, dtype=dtype) for _ in range(5))
    nothing = np.zeros(0, dtype=dtype)
    return Memory(
        X=memory.view(dtype),
        W=W,
        V=V,
        F=F,
        inputs=nothing,
        targets=nothing,
        row=row,
        total=total,
        term=term,
        a=a,
        d=d,
        row_bits=row.view(integer),
        a_bits=a.view(integer),
        d_bits=d.view(integer),
        wide=np.empty(arena.wide),
        when=np.empty(max(arena.when, 1), dtype=np.int64),
        room=np.empty(arena.products, dtype=dtype),
        spread=np.empty(arena.spread, dtype=dtype),
    )


def allocated_state(
    arena: Arena,
    memory: NDArray[np.uint8],
    shared: tuple[Array, Array, Array, Array],
    owners: NDArray[np.int64] | None,
) -> State:
    """Return the state of a lane that has done nothing yet.

    Parameters
    ----------
    memory
        The bytes of the lane's arena.
    shared
        Addresses of words, boards, limits, and numbers of updates that are being written; see `State`.
    owners
        The thread of each block; None if one thread executes the lane's events.
    """
    blocks, links, hosts = len(arena.specs), len(arena.links), arena.home.hosts
    threads = 1 if owners is None else int(owners.max()) + 1
    owners = np.zeros(blocks, dtype=np.int64) if owners is None else owners
    chunks, buckets, pools = _under_way(arena, owners, threads)
    words, boards, limits, writing = shared

    def integers(*shape: int) -> NDArray[np.int64]:
        return np.zeros(shape, dtype=np.int64)

    return State(
        reg=integers(c.REG_WIDTH),
        real=np.zeros(c.F_WIDTH),
        blocks=integers(blocks, c.S_WIDTH),
        values=np.zeros((blocks, c.V_WIDTH)),
        meta=memory.view(np.int64).reshape(-1, c.M_WIDTH),
        fired_by=integers(blocks, arena.ticks),
        links=integers(links, c.K_WIDTH),
        channels=integers(2 * links, c.H_WIDTH),
        counts=integers(2 * links, c.N_WIDTH),
        events=integers(EVENTS, c.E_WIDTH),
        arriving=integers(c.E_WIDTH),
        got=integers(len(arena.actual.outgoing), c.GOT_WIDTH),
        pending=integers(len(chunks) * c.CHUNK, c.W_WIDTH),
        chunks=chunks,
        buckets=buckets,
        pools=pools,
        terms=integers(2 * arena.widest, c.T_WIDTH),
        runs=integers(2 * arena.widest, 2),
        factors=np.zeros((2 * arena.widest, 2)),
        draw=np.zeros(STATE, dtype=np.uint64),
        seen=integers(blocks, 4),
        words=words,
        boards=boards,
        limits=limits,
        writing=writing,
        delays=np.zeros((DELAYS if arena.geometry.free else 0, hosts + 1)),
        ages=integers(hosts if arena.geometry.free else 0, c.A_WIDTH),
        aged=np.zeros(hosts),
        ahead=integers(c.AHEAD, len(arena.ahead)),
        owners=owners,
        team=lines(threads),
        trace=integers(0, c.TR_WIDTH),
    )


def grown(state: State) -> State:
    """Return the state with more room for events and for messages under way."""
    before = len(state.chunks)
    more = _chunks(np.maximum(state.pools[:, c.POOL_NEED], before // len(state.pools)))
    chunks = np.concatenate([state.chunks, more])
    for number in range(before, len(chunks)):
        pool = state.pools[chunks[number, c.CHUNK_POOL]]
        chunks[number, c.CHUNK_NEXT], pool[c.POOL_FREE] = pool[c.POOL_FREE], number
        pool[c.POOL_LEFT] += 1
    return state._replace(
        events=np.zeros((2 * len(state.events), c.E_WIDTH), dtype=np.int64),
        pending=np.concatenate([state.pending, np.zeros((len(more) * c.CHUNK, c.W_WIDTH), dtype=np.int64)]),
        chunks=chunks,
    )


def _under_way(arena: Arena, owners: NDArray[np.int64], threads: int) -> tuple[Array, Array, Array]:
    """Return chunks, buckets and pools for the messages under way, one pool for each thread that receives some."""
    outgoing = arena.actual.outgoing
    rows = arena.actual.channels[outgoing[:, c.OUT_CHANNEL]]
    most = np.maximum(rows[:, c.C_GROUPS_END] - rows[:, c.C_GROUPS], 1)
    copies = np.maximum(rows[:, c.C_COPY_GROUPS_END] - rows[:, c.C_COPY_GROUPS], 1)
    most += np.where(outgoing[:, c.OUT_TWICE] > 0, copies, 0)
    messages = np.bincount(owners[outgoing[:, c.OUT_TARGET]], most, threads).astype(np.int64)
    pools = np.zeros((threads, c.POOL_WIDTH), dtype=np.int64)
    # Every bucket may begin a chunk.
    pools[:, c.POOL_NEED] = np.minimum(messages, messages // c.CHUNK + arena.buckets)
    pools[:, c.POOL_FIRST] = np.arange(threads) * (arena.buckets + 1)
    pools[:, c.POOL_MASK] = arena.buckets - 1
    buckets = np.zeros((threads * (arena.buckets + 1), c.Q_WIDTH), dtype=np.int64)
    return _chunks(AHEAD * pools[:, c.POOL_NEED]), buckets, pools


def _chunks(counts: Array) -> Array:
    """Return some chunks for each pool."""
    chunks = np.zeros((int(counts.sum()), c.CHUNK_WIDTH), dtype=np.int64)
    chunks[:, c.CHUNK_POOL] = np.repeat(np.arange(len(counts)), counts)
    return chunks
