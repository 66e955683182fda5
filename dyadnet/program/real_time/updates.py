"""Compiled updates in real time: a process updates its blocks together when a message has come, and waits for no other.

An update moves by 1 − e^(−Δt/T) of the way, where Δt is the time since the previous update. This is exact for inputs
that stay constant meanwhile. Before an update, the newest complete message of every channel is read; messages sent in
between are overtaken. The writer of a ring first announces which update it is about to write, so that a reader can
check whether what it has read was complete.

The executor is that of virtual time: an update is a list of events, `FIRE` for every block of this process, and `TICK`.
Numbers of updates take the place of ticks.
"""

from __future__ import annotations

import math

from dyadnet.numerics.elementwise import copied
from dyadnet.numerics.histogram import BINS, PER_DECADE, SMALLEST
from dyadnet.numerics.kernels import apart, compiled
from dyadnet.program.executor import run
from dyadnet.program.real_time.messages import event, hear, newest, trace
from dyadnet.program.sync.verdicts import everybody, stage
from dyadnet.program.sync.words import LOOKS, fence, load, now, pause, sleep, store
from dyadnet.program.tables import (
    A_COUNT,
    A_COUNT_BEFORE,
    A_MS,
    A_OLDEST,
    A_STAMP,
    A_STAMP_BEFORE,
    A_UPDATES,
    B_DEPTH,
    B_ETA,
    B_HOST,
    B_RATES,
    B_SIZE,
    C_HELD,
    C_LINE,
    C_LINE_WHEN,
    C_SOURCE,
    C_TARGET,
    CONTINUE,
    D_COUNT,
    D_DUE,
    D_WIDTH,
    DONE,
    F_CHOSEN,
    F_DELAY,
    F_RATIO,
    F_STEP,
    F_TIME,
    FIRE,
    H_PUT,
    H_SCHEDULED,
    H_STAMP,
    LINE,
    LOOK,
    OVER,
    P_LONGEST,
    REG_AVERAGE,
    REG_DELAYS,
    REG_EVENTS,
    REG_HOST,
    REG_INTERVAL,
    REG_NOW,
    REG_PC,
    REG_ROWS,
    REG_TICK,
    REG_TRACED,
    REG_VERDICT,
    THIN,
    TICK,
    TR_UPDATE,
)
from dyadnet.program.views import memory, tables
from dyadnet.program.views import state as lane_state

SOONEST, LATEST = 1_000_000, 50_000_000
"""Limits, in nanoseconds, of the time T/8 after which a process updates even if no message has come."""
SMOOTHED = 4.0
"""Time constant of the running average of δ, in multiples of δ."""
UNEVEN = 1.5
"""T grows only once the averaged largest age exceeds this multiple of the δ for which T was chosen."""


@compiled
def run_freely(tables_, memory_, state_, like, until, longest, waited, words, room):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Make updates until update `until`, until the phase is over, or for `longest` nanoseconds.

    Parameters
    ----------
    tables_, memory_, state_, like
        See `dyadnet.program.calls`.
    until
        Number of the update after which to return.
    longest
        Nanoseconds after which to return.
    waited
        Array of one number, to which the nanoseconds are added during which no message had come.
    words, room
        Scratch; see `dyadnet.program.advance.advance`.

    Returns
    -------
    int
        `OVER`, as `REG_VERDICT` says; `DONE` at `until`; `LOOK` after `longest`, or when the recorded trace must be
        taken; or a reason to call Python, from `dyadnet.program.executor.run`.
    """
    t, m, s = tables(tables_), memory(memory_, like), lane_state(state_)
    reg = s.reg
    called = now(room)
    while True:
        if reg[REG_PC] < reg[REG_EVENTS]:
            reason = run(tables_, memory_, state_, like, reg[REG_TICK])
            if reason != DONE:
                return reason
        if reg[REG_VERDICT] != CONTINUE:
            return OVER
        if reg[REG_TICK] >= until:
            return DONE
        if s.trace.shape[0] and reg[REG_TRACED] + rows_of_trace(t) > s.trace.shape[0]:
            return LOOK
        if not _await(t, m, s, called + longest, waited, words, room):
            return LOOK
        _begin_update(t, m, s, now(room))


@compiled
def rows_of_trace(t):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the largest number of rows that one update writes into a trace."""
    total = 4
    for c in range(t.channels.shape[0]):
        total += 2 * LINE + 2 * t.blocks[t.channels[c, C_SOURCE], B_DEPTH]
    return total


@compiled
def _await(t, m, s, deadline, waited, words, room):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Wait until a message has come, or until it is time for an update; return False at the deadline."""
    reg = s.reg
    began = now(room)
    patience = min(max(int(s.real[F_TIME] / 8), SOONEST), LATEST)
    looks = 0
    while True:
        moment = now(room)
        if moment >= deadline:
            waited[0] += moment - began
            return False
        # Initial states must have been read by all readers before they are overwritten.
        first = not _may_write(t, s)
        if not first and (reg[REG_TICK] == 0 or _has_come(t, s) or moment >= _due(t, m, s, reg[REG_NOW] + patience)):
            waited[0] += moment - began
            return True
        if looks < LOOKS:
            looks += 1
            pause()
            continue
        count = 0
        for host in range(t.own[3]):
            if host != reg[REG_HOST] and count < words.shape[1]:
                words[0, count], words[1, count] = s.words[host], load(s.words[host])
                count += 1
        # Check once more: an announcement from before the words were noted wakes no sleeper.
        if not first and _has_come(t, s):
            continue
        left = deadline - moment if first else min(deadline, _due(t, m, s, reg[REG_NOW] + patience)) - moment
        if count == 0:
            words[0, 0], words[1, 0] = s.words[reg[REG_HOST]], load(s.words[reg[REG_HOST]])
            count = 1
        sleep(words[0], words[1], count, max(left, 1), room)


@compiled
def _may_write(t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Whether the next update overwrites no initial state that may still be read."""
    tick = s.reg[REG_TICK] + 1
    if t.own[3] == 1:
        return True
    for b in range(t.own[0]):
        if tick == t.blocks[b, B_DEPTH]:
            return everybody(t, s, stage(t, s, 1))
    return True


@compiled
def _has_come(t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Whether another process has announced an update that has not been read."""
    for c in range(t.channels.shape[0]):
        source = t.channels[c, C_SOURCE]
        crosses = t.channels[c, C_TARGET] < t.own[0] and source >= t.own[0] and t.channels[c, C_LINE] < 0
        if crosses and newest(t, s, source) > s.channels[c, H_SCHEDULED]:
            return True
    return False


@compiled
def _due(t, m, s, latest):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return when the next message under way arrives, or when one may be put under way; at most `latest`."""
    for c in range(t.channels.shape[0]):
        when = t.channels[c, C_LINE_WHEN]
        if when < 0 or t.channels[c, C_TARGET] >= t.own[0]:
            continue
        for k in range(LINE):
            if m.when[when + k * D_WIDTH + D_COUNT] > 0:
                latest = min(latest, m.when[when + k * D_WIDTH + D_DUE])
        if newest(t, s, t.channels[c, C_SOURCE]) > s.channels[c, H_SCHEDULED]:
            latest = min(latest, s.channels[c, H_PUT] + int(t.chances[c, P_LONGEST] / THIN))
    return latest


@compiled
def _begin_update(t, m, s, moment):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Read what has come, and schedule the events of the next update."""
    reg = s.reg
    tick = reg[REG_TICK] + 1
    reg[REG_INTERVAL] = max(moment - reg[REG_NOW], 1)
    reg[REG_NOW] = moment
    for c in range(t.channels.shape[0]):
        if t.channels[c, C_HELD] >= 0 and t.channels[c, C_TARGET] < t.own[0]:
            hear(t, m, s, c, moment)
    _note_ages(t, s, moment)
    _slow_down(t, s)
    begin_events(t, m, s, t.own[:0], tick)
    if t.own[3] > 1:
        store(s.writing[reg[REG_HOST]], tick)
        fence()


@apart
def begin_events(t, m, s, some, tick):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Schedule the events of an update, `REG_INTERVAL` after the previous one.

    Parameters
    ----------
    some
        Blocks that update; if empty, all blocks of this process.
    """
    reg = s.reg
    reg[REG_EVENTS] = reg[REG_PC] = 0
    step = -math.expm1(-reg[REG_INTERVAL] / s.real[F_TIME])
    s.real[F_STEP] = step
    for k in range(some.shape[0] if some.shape[0] else t.own[0]):
        b = some[k] if some.shape[0] else k
        if t.blocks[b, B_ETA] >= 0:
            _spread(t, m, s, b, step)
        event(s, FIRE, b, tick)
    event(s, TICK, 0, tick)
    averages = reg[REG_AVERAGE] >= 0 and tick >= reg[REG_AVERAGE]
    trace(s, TR_UPDATE, 2 * int(s.real[F_TIME]) + (1 if averages else 0), tick, reg[REG_INTERVAL], reg[REG_NOW])
    reg[REG_TICK] = tick


@compiled
def _spread(t, m, s, b, step):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Write 1 − e^(−Δt/Tᵢ) for each neuron, whose rate T/Tᵢ lies at `B_RATES`."""
    rows, n = s.reg[REG_ROWS], t.blocks[b, B_SIZE]
    eta, rates = t.blocks[b, B_ETA], t.blocks[b, B_RATES]
    number = m.X.dtype.type
    for j in range(n):
        m.X[eta + j] = number(-math.expm1(m.X[rates + j] * math.log1p(-step))) if step < 1.0 else number(1)
    for row in range(1, rows):
        copied(m.X, eta, eta + row * n, n)


@compiled
def _note_ages(t, s, moment):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Count the ages of messages from each process that these blocks hear, this one included; and record δ.

    δ is the age plus Δt/2: on average, a message will have been read for that long before it has moved a neuron.
    """
    hosts, own, interval = t.own[3], s.reg[REG_HOST], s.reg[REG_INTERVAL]
    for host in range(hosts):
        s.ages[host, A_OLDEST] = moment + 1
    for c in range(t.channels.shape[0]):
        source = t.channels[c, C_SOURCE]
        if t.channels[c, C_TARGET] >= t.own[0]:
            continue
        # A message that is read in place was sent with the last update.
        stamp = s.channels[c, H_STAMP] if t.channels[c, C_HELD] >= 0 else moment - interval
        host = t.blocks[source, B_HOST]
        s.ages[host, A_OLDEST] = min(s.ages[host, A_OLDEST], stamp)
    at = s.reg[REG_DELAYS] % s.delays.shape[0]
    s.delays[at, hosts] = interval
    for host in range(hosts):
        stamp, row = s.ages[host, A_OLDEST], s.ages[host]
        s.delays[at, host] = 0.0
        if stamp > moment or stamp == 0:
            continue
        age = max(moment - stamp, 0)
        s.delays[at, host] = age + 0.5 * interval
        if host == own:
            continue
        row[A_MS + _bin(1e-6 * age)] += 1
        s.aged[host] += 1e-9 * age
        passed = row[A_STAMP] - row[A_STAMP_BEFORE]
        if row[A_STAMP_BEFORE] > 0 and passed > 0:
            row[A_UPDATES + _bin(age * (row[A_COUNT] - row[A_COUNT_BEFORE]) / passed)] += 1
    s.reg[REG_DELAYS] += 1


@compiled
def _slow_down(t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Increase T if messages have become much older than they were when it was chosen."""
    real = s.real
    if real[F_RATIO] == 0.0:
        return
    hosts, at = t.own[3], (s.reg[REG_DELAYS] - 1) % s.delays.shape[0]
    oldest = 0.0
    for host in range(hosts):
        oldest = max(oldest, s.delays[at, host])
    if oldest == 0.0:
        return
    share = -math.expm1(-s.reg[REG_INTERVAL] / (SMOOTHED * real[F_DELAY]))
    real[F_DELAY] += share * (oldest - real[F_DELAY])
    # One direction may be slower than the other, but only the mean of both counts.
    real[F_TIME] = float(int(real[F_RATIO] * max(real[F_CHOSEN], real[F_DELAY] / UNEVEN)))


@compiled
def _bin(value):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the bin in which a value is counted; see `dyadnet.numerics.histogram`."""
    if not value >= SMALLEST:
        return 0
    return min(1 + int(PER_DECADE * math.log10(value / SMALLEST)), BINS - 1)
