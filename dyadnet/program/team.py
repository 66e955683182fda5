"""Execute a lane's events on several threads, compiled; each thread fires blocks of its own.

Within a tick no block reads what another one writes: every message takes at least one tick. So the threads only meet at
the end of each tick, and no bit depends on their number. One of them, the *leader*, schedules the firings and judges;
the others *follow* its orders, each with scratch memory and registers of its own. Each thread draws and holds the
messages to its own blocks. Until all of them are there, the leader executes events alone.

Blocks that fire at the same ticks are divided among the threads in block order, by estimates of their work. Whether the
team is faster than its leader alone depends on the machine and on what else it does, so it is measured: see `Choice`.
"""

from __future__ import annotations

import contextlib
import math
import weakref
from collections import defaultdict
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.numerics.elementwise import CALLED_ACTIVATION, CALLED_LOSS
from dyadnet.numerics.kernels import apart, compiled
from dyadnet.program import tables as c
from dyadnet.program.arena import Arena
from dyadnet.program.channels import arrive
from dyadnet.program.firing import emit, update
from dyadnet.program.scheduler import arrival, send
from dyadnet.program.sync.words import LINE, address_of, get, load, own, put, store, tell_team, wait_for_team
from dyadnet.program.tables import (
    B_OUT,
    B_OUT_END,
    COME,
    E_COUNT,
    E_OP,
    E_SENT,
    E_WHO,
    EXECUTE,
    FIRE,
    LEAVE,
    O_KIND,
    O_ORDER,
    O_TICKS,
    OUT_TARGET,
    REG_EVENTS,
    REG_MERGES,
    REG_PC,
    REG_SCRATCH,
    REG_TEAM,
    REG_TICK,
    REG_WIDTH,
    S_COUNT,
    U_HEARD,
    U_MEMORY,
    U_MERGES,
    U_ROOM,
    U_STATE,
    U_TABLES,
    Memory,
    State,
)
from dyadnet.program.views import ENTRY, View, memory, state, tables

Array = NDArray[Any]

SHARED = ENTRY * (Memory._fields.index("targets") + 1)
"""Numbers in the table of a view of `Memory` for the arrays that all threads share, which come first."""
WORTH, LEAST, MOST = 1_000.0, 5_000.0, 16
"""Nanoseconds that a team must be able to save at an average tick, by the estimates below, to be tried at all; least
work of each thread at a tick, in nanoseconds; largest number of threads, since each waits for every other."""
TRIES, AGAIN, FORGET = 2, 40, 0.25
"""Relaxations that the team and the leader alone execute at first, each; after so many the slower one tries again, and
if that fails, after twice as many, and so on; weight of a slow tick in the running average."""
FLOPS, PER_LINK, PER_BLOCK, PER_NUMBER = 20.0, 30.0, 500.0, 2.0
"""Estimates of work: operations of products in a nanosecond; nanoseconds for each end of a link, block and number."""


@compiled
def gathered(s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Whether all threads of the team have heard the latest order."""
    missing = 0
    for k in range(1, s.reg[REG_TEAM]):
        missing += load(address_of(s.team[1 + k, U_HEARD:])) != s.team[0, O_ORDER]
    return missing == 0


@compiled
def order(team, kind):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Give an order to all followers."""
    team[0, O_KIND] = kind
    tell_team(team[0], team[0, O_ORDER] + 1)


@apart
def execute_together(t, m, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Execute all scheduled events with the team, as its leader."""
    order(s.team, EXECUTE)
    s.team[0, O_TICKS] = _share(t, m, s, 0, s.team[0, O_TICKS])
    # Numbers of merges must be new for every channel, whoever holds its next message.
    for k in range(1, s.reg[REG_TEAM]):
        s.reg[REG_MERGES] = min(s.reg[REG_MERGES], s.team[1 + k, U_MERGES])


@apart
def _share(t, m, s, me, ticks):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Execute a thread's share of the scheduled events; return the new number of ticks of the team.

    At each tick it holds the messages that arrive at its own blocks, and puts those under way that are sent to them.
    """
    reg, mine, tick = s.reg, s.team[1 + me], 0
    for k in range(reg[REG_PC], reg[REG_EVENTS]):
        event = s.events[k]
        op, b = event[E_OP], event[E_WHO]
        if event[E_SENT] != tick:
            tick = event[E_SENT]
            while arrival(t, s, me, tick, s.arriving):
                arrive(t, m, s, s.arriving)
        if op == FIRE:
            for channel in range(t.blocks[b, B_OUT], t.blocks[b, B_OUT_END]):
                if s.owners[t.outgoing[channel, OUT_TARGET]] == me:
                    send(t, s, me, channel, event[E_COUNT], tick)
            if s.owners[b] == me:
                update(t, m, s, b, tick)
                emit(t, m, s, b, tick)
        else:
            at = tick & (s.fired_by.shape[1] - 1)
            for block in range(t.blocks.shape[0]):
                if s.owners[block] == me:
                    s.fired_by[block, at] = s.blocks[block, S_COUNT]
            ticks += 1
            mine[U_MERGES] = reg[REG_MERGES]
            tell_team(mine, ticks)
            for other in range(reg[REG_TEAM]):
                if other != me:
                    wait_for_team(s.team[1 + other], ticks, mine[U_ROOM:])
    reg[REG_PC] = reg[REG_EVENTS]
    return ticks


@apart
def _follow(t, m, s, leader, me):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Execute a follower's share of the scheduled events."""
    for k in range(REG_WIDTH):
        if k != REG_SCRATCH:
            s.reg[k] = leader.reg[k]
    _share(t, m, s, me, s.team[0, O_TICKS])


@compiled
def follow(team, me, like):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Follow the leader's orders until one says to leave.

    Parameters
    ----------
    team
        Lines of the leader and of all threads.
    me
        Number of this thread.
    like
        See `dyadnet.program.calls`.
    """
    mine, number = team[1 + me], 0
    while True:
        number += 1
        wait_for_team(team[0], number, mine[U_ROOM:])
        kind = team[0, O_KIND]
        if kind == LEAVE:
            return
        store(address_of(mine[U_HEARD:]), number)
        if kind == EXECUTE:
            leader = team[1]
            for k in range(SHARED):
                put(mine[U_MEMORY] + 8 * k, get(leader[U_MEMORY] + 8 * k))
            t, m, s = tables(leader[U_TABLES]), memory(mine[U_MEMORY], like), state(mine[U_STATE])
            _follow(t, m, s, state(leader[U_STATE]), me)


def lines(threads: int) -> NDArray[np.int64]:
    """Return the lines of a team: shape (threads + 1, `LINE`)."""
    size = (threads + 1) * LINE
    memory = np.zeros(size + LINE, dtype=np.int64)
    start = -(own(memory) // 8) % LINE
    return memory[start : start + size].reshape(-1, LINE)


def _following(team: Array, number: int, like: Array, kept: Any) -> None:
    """Follow the leader's orders on a thread, which keeps its own arrays alive."""
    follow(team, number, like)


class Follower:
    """A thread that helps a lane's own thread, with scratch memory and registers of its own.

    Parameters
    ----------
    number
        Number of the thread in its team.
    memory, state
        Those of the lane.
    scratch
        Offset of its scratch for one message in the arena.

    Attributes
    ----------
    thread
        The thread, which has started.
    """

    def __init__(self, number: int, memory: Memory, state: State, scratch: int) -> None:
        row, total, term, a, d, room, spread = (
            np.zeros_like(array)
            for array in (memory.row, memory.total, memory.term, memory.a, memory.d, memory.room, memory.spread)
        )
        integer = memory.row_bits.dtype
        bits = {"row_bits": row.view(integer), "a_bits": a.view(integer), "d_bits": d.view(integer)}
        private = memory._replace(row=row, total=total, term=term, a=a, d=d, room=room, spread=spread, **bits)
        self._memory = View.of(private)
        names = "reg", "arriving", "terms", "runs", "factors", "draw", "seen"
        self._scratch: dict[str, Any] = {name: np.zeros_like(getattr(state, name)) for name in names}
        self._scratch["reg"][c.REG_SCRATCH] = scratch
        self._line = state.team[1 + number]
        self._line[U_MEMORY] = self._memory.address
        self._before = self._state = View.of(state._replace(**self._scratch))
        self.look(state)
        work = state.team, number, np.zeros(0, dtype=memory.X.dtype), (self._memory, self._scratch)
        self.thread = Thread(target=_following, args=work, name=f"dyadnet, thread {number} of a lane", daemon=True)
        # Where a process may have no more threads, the leader is alone.
        with contextlib.suppress(RuntimeError):
            self.thread.start()

    def look(self, state: State) -> None:
        """Refresh the addresses of what it shares with the lane."""
        # The thread may be on its way out of the ticks before, by the table that it had.
        self._before, self._state = self._state, View.of(state._replace(**self._scratch))
        self._line[U_STATE] = self._state.address


@dataclass
class Lately:
    """What relaxations of one size took lately.

    Attributes
    ----------
    seconds
        Seconds of a tick, of the leader alone and of the team.
    count, next, spacing
        Relaxations so far; the one that the slower way executes next, and how long it waits after that.
    """

    seconds: list[float] = field(default_factory=lambda: [math.inf, math.inf])
    count: int = 0
    next: int = AGAIN
    spacing: int = AGAIN


class Choice:
    """Chooses between a team and its leader alone, by the seconds that a tick took each of them lately."""

    def __init__(self) -> None:
        self._lately: dict[int, Lately] = defaultdict(Lately)

    def together(self, rows: int) -> bool:
        """Whether the team executes the next relaxation of so many samples."""
        known = self._lately[rows]
        known.count += 1
        faster = known.seconds[True] < known.seconds[False]
        if known.count <= 2 * TRIES:
            return known.count % 2 == 0
        if known.count < known.next:
            return faster
        # On a busy machine a team may take a hundred times as long, so tries that fail become rare.
        known.spacing *= 2
        known.next = known.count + known.spacing
        return not faster

    def note(self, rows: int, together: bool, seconds: float) -> None:
        """Note the seconds that a tick took; slow ones count less, since other work on the machine may be the cause."""
        known = self._lately[rows]
        before, faster = known.seconds[together], known.seconds[True] < known.seconds[False]
        known.seconds[together] = seconds if seconds < before else before + FORGET * (seconds - before)
        if faster != (known.seconds[True] < known.seconds[False]):
            known.next, known.spacing = known.count + AGAIN, AGAIN


class Team:
    """The threads that execute the events of one lane, with those that help the lane's own thread.

    Parameters
    ----------
    memory, state
        Those of the lane.
    scratch, size
        Offset in the arena of the followers' scratch for one message, and its size for each of them.
    """

    def __init__(self, memory: Memory, state: State, scratch: int, size: int) -> None:
        count = len(state.team) - 2
        self._reg, self._lines = state.reg, state.team
        # Followers also end with this object.
        self._dismiss = weakref.finalize(self, order, state.team, LEAVE)
        self._followers = [Follower(1 + k, memory, state, scratch + k * size) for k in range(count)]
        self._choice = Choice()
        self._rows = self._executed = 0

    def close(self) -> None:
        """End the followers."""
        self._dismiss()
        for follower in self._followers:
            if follower.thread.is_alive():
                follower.thread.join()

    def look(self, state: State, address: int) -> None:
        """Refresh the addresses of what the threads share; `address` is that of the lane's view of its state."""
        self._lines[1, U_STATE] = address
        for follower in self._followers:
            follower.look(state)

    def gather(self, rows: int, seconds: float, tables: int, memory: int) -> None:
        """Call the followers for a relaxation of some rows, if the team is likely to be faster than the lane's thread.

        Parameters
        ----------
        seconds
            Seconds that the ticks of the previous relaxation took.
        tables, memory
            Addresses of the lane's views for this relaxation.
        """
        reg, ticks, executed = self._reg, int(self._reg[REG_TICK]), int(self._lines[0, O_TICKS]) - self._executed
        self._executed += executed
        called = bool(reg[REG_TEAM] > 1)
        # A team that was not there for most of the ticks says nothing of either.
        if ticks and seconds and (not called or 2 * executed > ticks):
            self._choice.note(self._rows, called, seconds / ticks)
        self._rows, together = rows, self._choice.together(rows)
        reg[REG_TEAM] = 1 + len(self._followers) if together else 1
        if together:
            self._lines[1, [U_TABLES, U_MEMORY]] = tables, memory
            order(self._lines, COME)


def divide(arena: Arena, threads: int) -> NDArray[np.int64] | None:
    """Divide the blocks of an arena among threads.

    Returns
    -------
    NDArray[np.int64] or None
        The thread of each block, shape (blocks,); 0 is the leader. None if there is too little work, or if Python code
        or other hosts take part in it.
    """
    t = arena.actual
    called = [
        t.blocks[:, c.B_CALLED].any(),
        t.channels[:, c.C_CALLED].any(),
        (t.blocks[:, c.B_ACTIVATION] == CALLED_ACTIVATION).any(),
        (t.blocks[:, c.B_LOSS] == CALLED_LOSS).any(),
    ]
    if threads < 2 or any(called) or arena.home.hosts > 1 or arena.geometry.free:
        return None
    work, owners, saved = _work(arena), np.zeros(len(t.blocks), dtype=np.int64), 0.0
    clocks = t.blocks[:, [c.B_CLOCK, c.B_PERIOD, c.B_OFFSET]]
    groups = [np.flatnonzero((clocks == clock).all(axis=1)) for clock in np.unique(clocks, axis=0)]
    periods = [t.blocks[group[0], c.B_PERIOD] if clocks[group[0], 0] == c.PERIODIC else 1 for group in groups]
    amounts = [work[group].sum() / period for group, period in zip(groups, periods, strict=True)]
    threads = int(min(threads, MOST, max(map(len, groups)), sum(amounts) / LEAST))
    for group, period, amount in zip(groups, periods, amounts, strict=True):
        shares = np.cumsum(work[group]) - work[group] / 2
        _, owners[group] = np.unique((threads * shares / work[group].sum()).astype(np.int64), return_inverse=True)
        saved += amount - np.bincount(owners[group], work[group]).max() / period
    return owners if saved > WORTH and threads > 1 else None


def _work(arena: Arena) -> NDArray[np.float64]:
    """Estimate the nanoseconds that each block takes for a firing."""
    t, rows = arena.actual, arena.rows
    sizes = t.blocks[:, c.B_SIZE].astype(np.float64)
    pre, post, fused = (t.links[:, column] for column in (c.L_PRE, c.L_POST, c.L_FUSED))
    # Of two streams, there and back; each multiplication comes with an addition.
    products = 4.0 * rows * sizes[pre] * sizes[post] / FLOPS
    work: NDArray[np.float64] = PER_BLOCK + PER_NUMBER * rows * sizes
    np.add.at(work, post, PER_LINK + products * np.where(fused, 1, 2))
    np.add.at(work, pre, PER_LINK + products * np.where(fused, 1, 0))
    return work
