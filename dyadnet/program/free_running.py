"""Real time, compiled: a process's blocks update together whenever something has come, and wait for nobody.

An update moves by 1 − e^(−Δt/T) of the way, Δt being the time since the one before: exact for inputs that stay the same
meanwhile. Before it, of every channel the newest complete message is read; what was sent between is overtaken. Whoever
writes a ring says first which update it is about to write, so that a reader knows whether what it has read was whole.

The executor is that of virtual time: an update is a list of events, `FIRE` for every block here, and `TICK`. Numbers of
updates take the place of ticks.
"""

from __future__ import annotations

import math

from dyadnet.numerics.draws import seek, uniform
from dyadnet.numerics.elementwise import copied
from dyadnet.numerics.histogram import BINS, PER_DECADE, SMALLEST
from dyadnet.numerics.kernels import apart, compiled
from dyadnet.program.channels import carries, fetch, take
from dyadnet.program.executor import run
from dyadnet.program.sync.verdicts import everybody, stage
from dyadnet.program.sync.words import LOOKS, fence, load, now, pause, sleep, store
from dyadnet.program.tables import (
    A_COUNT,
    A_COUNT_BEFORE,
    A_MS,
    A_OLDEST,
    A_OVERTAKEN,
    A_READS,
    A_STAMP,
    A_STAMP_BEFORE,
    A_UPDATES,
    B_DEPTH,
    B_ETA,
    B_HOST,
    B_META,
    B_RATES,
    B_SIZE,
    C_FRESH,
    C_HELD,
    C_KEY_COPY,
    C_KEY_DELAY,
    C_KEY_FATE,
    C_LINE,
    C_LINE_WHEN,
    C_PIECEMEAL,
    C_RING,
    C_SIZE,
    C_SLOT,
    C_SOURCE,
    C_TARGET,
    C_UNCERTAIN,
    CONTINUE,
    D_COPY,
    D_COUNT,
    D_DIFFERENCE_SINCE,
    D_DUE,
    D_DYADIC,
    D_MEAN_SINCE,
    D_PHASE,
    D_STAMP,
    D_WIDTH,
    DONE,
    E_COPY,
    E_COUNT,
    E_GROUP,
    E_OP,
    E_PHASE,
    E_SENT,
    E_WHO,
    F_CHOSEN,
    F_DELAY,
    F_RATIO,
    F_STEP,
    F_TIME,
    FINISHED,
    FIRE,
    H_COUNT,
    H_PUT,
    H_SCHEDULED,
    H_STAMP,
    HOLD,
    L_FUSED,
    LINE,
    LOOK,
    M_DIFFERENCE_SINCE,
    M_DYADIC,
    M_MEAN_SINCE,
    M_STAMP,
    N_DELAYED,
    N_DROPPED,
    N_DUPLICATED,
    N_STALE,
    NONE,
    OVER,
    P_DUPLICATION,
    P_LONGEST,
    P_LOSS,
    P_MEAN,
    P_SHORTEST,
    PATCH,
    REG_AVERAGE,
    REG_DELAYS,
    REG_EVENTS,
    REG_HOST,
    REG_INTERVAL,
    REG_LANE,
    REG_NOW,
    REG_PC,
    REG_PHASE,
    REG_RELAXATION,
    REG_ROWS,
    REG_TICK,
    REG_TRACED,
    REG_VERDICT,
    S_COUNT,
    THIN,
    TICK,
    TR_ARRIVE,
    TR_COPY,
    TR_COUNT,
    TR_HOLD,
    TR_OP,
    TR_PHASE,
    TR_PUT,
    TR_STAMP,
    TR_UPDATE,
    TR_WHO,
)
from dyadnet.program.views import memory, tables
from dyadnet.program.views import state as lane_state

SOONEST, LATEST = 1_000_000, 50_000_000
"""Nanoseconds after which a process updates though nothing has come: T/8, within these."""
SMOOTHED = 4.0
"""Delays over which δ is averaged while it is followed."""
UNEVEN = 1.5
"""Times δ that the age of one channel may be before T follows."""
TRIES = 8
"""Times that a message is read again which was written over meanwhile."""


@compiled
def run_freely(tables_, memory_, state_, like, until, longest, waited, words, room):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Update until an update is reached, the phase is over, or somebody wants to look around.

    Parameters
    ----------
    tables_, memory_, state_, like
        See `dyadnet.program.calls`.
    until
        Number of the update after which to return.
    longest
        Nanoseconds after which to return.
    waited
        Of one number: nanoseconds during which nothing had come are added.
    words, room
        Scratch; see `dyadnet.program.advance.advance`.

    Returns
    -------
    int
        `OVER`, as `REG_VERDICT` says; `DONE` at `until`; `LOOK` after `longest`, or once the trace is to be taken; or
        what `dyadnet.program.executor.run` needs Python for.
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
    """The most that one update writes into a trace."""
    total = 4
    for c in range(t.channels.shape[0]):
        total += 2 * LINE + 2 * t.blocks[t.channels[c, C_SOURCE], B_DEPTH]
    return total


@compiled
def _await(t, m, s, deadline, waited, words, room):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Wait until something has come, or until it is time to move on; False at the deadline."""
    reg = s.reg
    began = now(room)
    patience = min(max(int(s.real[F_TIME] / 8), SOONEST), LATEST)
    looks = 0
    while True:
        moment = now(room)
        if moment >= deadline:
            waited[0] += moment - began
            return False
        # Who reads first states must have read them before they are written over.
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
        # Looked at once more: what came before it was noted wakes nobody.
        if not first and _has_come(t, s):
            continue
        left = deadline - moment if first else min(deadline, _due(t, m, s, reg[REG_NOW] + patience)) - moment
        if count == 0:
            words[0, 0], words[1, 0] = s.words[reg[REG_HOST]], load(s.words[reg[REG_HOST]])
            count = 1
        sleep(words[0], words[1], count, max(left, 1), room)


@compiled
def _may_write(t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Whether the next update writes over no first state that somebody may still read."""
    tick = s.reg[REG_TICK] + 1
    if t.own[3] == 1:
        return True
    for b in range(t.own[0]):
        if tick == t.blocks[b, B_DEPTH]:
            return everybody(t, s, stage(t, s, 1))
    return True


@compiled
def newest(t, s, b):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Number of a block's newest update that has been told of, as this process hears it."""
    if b < t.own[0]:
        return s.blocks[b, S_COUNT]
    host = t.blocks[b, B_HOST]
    word, limit = load(s.words[host]), load(s.limits[host])
    if limit != 0:
        word = min(word, limit)
    return max(word - stage(t, s, 0), 0) & (FINISHED - 1)


@compiled
def _has_come(t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Whether another process has told something that was not looked at."""
    for c in range(t.channels.shape[0]):
        source = t.channels[c, C_SOURCE]
        crosses = t.channels[c, C_TARGET] < t.own[0] and source >= t.own[0] and t.channels[c, C_LINE] < 0
        if crosses and newest(t, s, source) > s.channels[c, H_SCHEDULED]:
            return True
    return False


@compiled
def _due(t, m, s, latest):  # type: ignore[no-untyped-def]  # pragma: no cover
    """When the next message arrives that is under way, or may be put under way; at the latest `latest`."""
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
    """Read what has come, and write down the events of the next update."""
    reg = s.reg
    tick = reg[REG_TICK] + 1
    reg[REG_INTERVAL] = max(moment - reg[REG_NOW], 1)
    reg[REG_NOW] = moment
    for c in range(t.channels.shape[0]):
        if t.channels[c, C_HELD] >= 0 and t.channels[c, C_TARGET] < t.own[0]:
            _hear(t, m, s, c, moment)
    _note_ages(t, s, moment)
    _slow_down(t, s)
    begin_events(t, m, s, t.own[:0], tick)
    if t.own[3] > 1:
        store(s.writing[reg[REG_HOST]], tick)
        fence()


@apart
def begin_events(t, m, s, some, tick):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Write down the events of an update, `REG_INTERVAL` after the one before.

    Parameters
    ----------
    some
        Blocks that update; if there are none, all of this process.
    """
    reg = s.reg
    reg[REG_EVENTS] = reg[REG_PC] = 0
    step = -math.expm1(-reg[REG_INTERVAL] / s.real[F_TIME])
    s.real[F_STEP] = step
    for k in range(some.shape[0] if some.shape[0] else t.own[0]):
        b = some[k] if some.shape[0] else k
        if t.blocks[b, B_ETA] >= 0:
            _spread(t, m, s, b, step)
        _event(s, FIRE, b, tick)
    _event(s, TICK, 0, tick)
    averages = reg[REG_AVERAGE] >= 0 and tick >= reg[REG_AVERAGE]
    _trace(s, TR_UPDATE, 2 * int(s.real[F_TIME]) + (1 if averages else 0), tick, reg[REG_INTERVAL], reg[REG_NOW])
    reg[REG_TICK] = tick


@compiled
def _spread(t, m, s, b, step):  # type: ignore[no-untyped-def]  # pragma: no cover
    """1 − e^(−Δt/Tᵢ) of each neuron, whose rate T/Tᵢ lies at `B_RATES`."""
    rows, n = s.reg[REG_ROWS], t.blocks[b, B_SIZE]
    eta, rates = t.blocks[b, B_ETA], t.blocks[b, B_RATES]
    number = m.X.dtype.type
    for j in range(n):
        m.X[eta + j] = number(-math.expm1(m.X[rates + j] * math.log1p(-step))) if step < 1.0 else number(1)
    for row in range(1, rows):
        copied(m.X, eta, eta + row * n, n)


@compiled
def _event(s, op, who, tick):  # type: ignore[no-untyped-def]  # pragma: no cover
    event = s.events[s.reg[REG_EVENTS]]
    event[E_OP], event[E_WHO], event[E_COUNT], event[E_SENT] = op, who, tick, tick
    event[E_PHASE], event[E_COPY], event[E_GROUP] = s.reg[REG_PHASE], 0, NONE
    s.reg[REG_EVENTS] += 1


@compiled
def _trace(s, op, who, count, copy, stamp):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Write down what happened, if somebody is to repeat it."""
    if s.trace.shape[0] == 0:
        return
    row = s.trace[s.reg[REG_TRACED]]
    row[TR_OP], row[TR_WHO], row[TR_COUNT], row[TR_COPY] = op, who, count, copy
    row[TR_PHASE], row[TR_STAMP] = s.reg[REG_PHASE], stamp
    s.reg[REG_TRACED] += 1


# Messages


@compiled
def _hear(t, m, s, c, moment):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Read what has come by a channel since it was last looked at, and hold what has arrived."""
    source = t.channels[c, C_SOURCE]
    depth = t.blocks[source, B_DEPTH]
    h = s.channels[c]
    for _ in range(TRIES):
        count = newest(t, s, source)
        if count <= h[H_SCHEDULED]:
            break
        # What may be written over while it is read is left alone.
        first = max(h[H_SCHEDULED] + 1, count - depth + 2)
        if t.channels[c, C_LINE] >= 0:
            done = _put_under_way(t, m, s, c, first, count, moment)
        elif t.channels[c, C_PIECEMEAL]:
            done = _patch_all(t, m, s, c, first, count)
        else:
            done = _hold_newest(t, m, s, c, first, count)
        if done:
            break
    if t.channels[c, C_LINE] >= 0:
        _deliver(t, m, s, c, moment)


@compiled
def _fate(t, s, c, count):  # type: ignore[no-untyped-def]  # pragma: no cover
    """What becomes of a message: 0: it arrives, 1: its duplicate does instead, 2: both do, −1: neither."""
    if not t.channels[c, C_UNCERTAIN]:
        return 0
    key = t.channels[c, C_KEY_FATE]
    seek(s.draw, t.keys[key, 0], t.keys[key, 1], count, s.reg[REG_PHASE], s.reg[REG_LANE], s.reg[REG_RELAXATION])
    one = uniform(s.draw)
    two = uniform(s.draw)
    three = uniform(s.draw)
    lost = one < t.chances[c, P_LOSS]
    comes_twice = two < t.chances[c, P_DUPLICATION] and not three < t.chances[c, P_LOSS]
    if comes_twice:
        return 1 if lost else 2
    return -1 if lost else 0


@compiled
def _count_fate(s, c, fate):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Count what became of a message; of two that arrive the second is stale."""
    if fate == -1 or fate == 1:
        s.counts[c, N_DROPPED] += 1
    if fate >= 1:
        s.counts[c, N_DUPLICATED] += 1
    if fate == 2:
        s.counts[c, N_STALE] += 1


@compiled
def _heard(t, s, c, first, count, stamp):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Everything up to a number has been looked at; what lies before `first` had been overtaken."""
    h = s.channels[c]
    s.counts[c, N_STALE] += max(first - h[H_SCHEDULED] - 1, 0)
    h[H_SCHEDULED] = count
    source = t.channels[c, C_SOURCE]
    if source < t.own[0]:
        return
    known = s.ages[t.blocks[source, B_HOST]]
    if count > known[A_COUNT]:
        known[A_READS] += 1
        known[A_OVERTAKEN] += count - known[A_COUNT] - 1
        known[A_COUNT_BEFORE], known[A_STAMP_BEFORE] = known[A_COUNT], known[A_STAMP]
        known[A_COUNT], known[A_STAMP] = count, stamp


@apart
def _hold_newest(t, m, s, c, first, count):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Hold the newest message that is not lost; False if it was written over meanwhile."""
    chosen = copy = 0
    if t.channels[c, C_UNCERTAIN]:
        for number in range(first, count + 1):
            fate = _fate(t, s, c, number)
            if fate >= 0:
                chosen, copy = number, 1 if fate == 1 else 0
    else:
        chosen = count
    stamp = 0
    if chosen > 0:
        stamp = _read(t, m, s, c, HOLD, chosen, copy)
        if stamp < 0:
            return False
    for number in range(first, count + 1):
        fate = _fate(t, s, c, number)
        _count_fate(s, c, fate)
        if fate >= 0 and number != chosen:
            s.counts[c, N_STALE] += 1
    _heard(t, s, c, first, count, stamp)
    return True


@apart
def _patch_all(t, m, s, c, first, count):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Hold, number by number, what each message says that is not lost; False if one was written over meanwhile."""
    stamp = 0
    for number in range(first, count + 1):
        fate = _fate(t, s, c, number)
        if fate >= 0:
            stamp = _read(t, m, s, c, PATCH, number, 1 if fate == 1 else 0)
            if stamp < 0:
                return False
        _count_fate(s, c, fate)
        _heard(t, s, c, number, number, stamp)
    return True


@compiled
def _intact(t, s, b, count):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Whether nothing has been written over what was read of a block's update."""
    if b < t.own[0]:
        return True
    fence()
    return load(s.writing[t.blocks[b, B_HOST]]) - count < t.blocks[b, B_DEPTH]


@compiled
def _read(t, m, s, c, op, count, copy):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Read a message and hold it; when it was sent, or −1 if it was written over meanwhile."""
    source = t.channels[c, C_SOURCE]
    slot = count & (t.blocks[source, B_DEPTH] - 1)
    meta = s.meta[t.blocks[source, B_META] + slot]
    dyadic, stamp = meta[M_DYADIC] == 1, max(meta[M_STAMP], 0)
    mean_since, difference_since = meta[M_MEAN_SINCE], meta[M_DIFFERENCE_SINCE]
    mean, difference = carries(t, c, dyadic)
    fetched = fetch(t, m, s, c, op, t.channels[c, C_RING] + slot * t.channels[c, C_SLOT], mean, difference, True)
    if not _intact(t, s, source, count):
        return -1
    _trace(s, TR_HOLD, c, count, copy, stamp)
    arrive(t, m, s, c, op, count, copy, s.reg[REG_PHASE], fetched, dyadic, mean_since, difference_since, stamp)
    return stamp


@apart
def arrive(t, m, s, c, op, count, copy, phase, message, dyadic, mean_since, difference_since, stamp):  # type: ignore[no-untyped-def]  # pragma: no cover
    """A message that has been read, and lies at `message`, arrives."""
    # Events of the next update are written down afterwards.
    event = s.events[0]
    event[E_OP], event[E_WHO], event[E_COUNT], event[E_SENT] = op, c, count, count
    event[E_PHASE], event[E_COPY], event[E_GROUP] = phase, copy, NONE
    mean, difference = carries(t, c, dyadic)
    if t.channels[c, C_FRESH]:
        mean_since = difference_since = count
    take(t, m, s, event, message, mean, difference, mean_since, difference_since)
    s.channels[c, H_STAMP] = max(s.channels[c, H_STAMP], stamp)


# Delays


@apart
def _put_under_way(t, m, s, c, first, count, moment):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Put what has come under way, as one message; False if it was written over meanwhile."""
    h, when = s.channels[c], t.channels[c, C_LINE_WHEN]
    if h[H_PUT] > 0 and moment - h[H_PUT] < t.chances[c, P_LONGEST] / THIN:
        return True
    place = -1
    for k in range(LINE):
        if m.when[when + k * D_WIDTH + D_COUNT] == 0:
            place = k
            break
    if place < 0:
        return True
    piecemeal = t.channels[c, C_PIECEMEAL] == 1
    chosen = chosen_fate = 0
    for number in range(first, count + 1):
        fate = _fate(t, s, c, number)
        if fate >= 0:
            chosen, chosen_fate = number, fate
    stamp = 0
    if chosen > 0:
        for number in range(first if piecemeal else chosen, chosen + 1):
            if _fate(t, s, c, number) >= 0:
                stamp = put(t, m, s, c, number, place)
                if stamp < 0:
                    m.when[when + place * D_WIDTH + D_COUNT] = 0
                    return False
        delay, copy = _delay(t, s, c, chosen, C_KEY_DELAY), 0
        if chosen_fate >= 1:
            again = _delay(t, s, c, chosen, C_KEY_COPY)
            if chosen_fate == 1 or again < delay:
                delay, copy = again, 1
        row = m.when[when + place * D_WIDTH : when + (place + 1) * D_WIDTH]
        row[D_DUE], row[D_COPY], row[D_PHASE] = moment + delay, copy, s.reg[REG_PHASE]
        h[H_PUT] = moment
    for number in range(first, count + 1):
        fate = _fate(t, s, c, number)
        _count_fate(s, c, fate)
        if fate >= 0 and number != chosen and not piecemeal:
            s.counts[c, N_STALE] += 1
    _heard(t, s, c, first, count, stamp)
    return True


@compiled
def _delay(t, s, c, count, key):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Nanoseconds that a message takes, or its duplicate; see `dyadnet.timing.real_time`."""
    low, high, mean = t.chances[c, P_SHORTEST], t.chances[c, P_LONGEST], t.chances[c, P_MEAN]
    if low == high:
        return int(high)
    place = t.channels[c, key]
    seek(s.draw, t.keys[place, 0], t.keys[place, 1], count, s.reg[REG_PHASE], s.reg[REG_LANE], s.reg[REG_RELAXATION])
    drawn = uniform(s.draw)
    if mean > 0.0:
        return int(min(-mean * math.log1p(-drawn), high))
    return int(low + (high - low) * drawn)


@apart
def put(t, m, s, c, count, place):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Copy a message to a place of those under way, over what is there number by number; as `_read`."""
    source = t.channels[c, C_SOURCE]
    slot = count & (t.blocks[source, B_DEPTH] - 1)
    meta = s.meta[t.blocks[source, B_META] + slot]
    dyadic, stamp = meta[M_DYADIC] == 1, max(meta[M_STAMP], 0)
    since = meta[M_MEAN_SINCE], meta[M_DIFFERENCE_SINCE]
    message = t.channels[c, C_RING] + slot * t.channels[c, C_SLOT]
    place_of(t, m, s, c, place, message, count, dyadic, since[0], since[1], stamp)
    if not _intact(t, s, source, count):
        return -1
    _trace(s, TR_PUT, c, count, place, stamp)
    return stamp


@compiled
def place_of(t, m, s, c, place, message, count, dyadic, mean_since, difference_since, stamp):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Copy a message that lies at `message`; see `put`."""
    width = t.channels[c, C_SIZE]
    if c & 1 == 1 and t.links[c >> 1, L_FUSED] == 1:
        width = t.blocks[t.channels[c, C_SOURCE], B_SIZE]
    size = s.reg[REG_ROWS] * width
    into = t.channels[c, C_LINE] + place * t.channels[c, C_SLOT]
    row = m.when[t.channels[c, C_LINE_WHEN] + place * D_WIDTH : t.channels[c, C_LINE_WHEN] + (place + 1) * D_WIDTH]
    merges = row[D_COUNT] > 0 and t.channels[c, C_PIECEMEAL] == 1
    streams = 2 if dyadic else 1
    if merges:
        if dyadic and not row[D_DYADIC]:
            m.X[into + size : into + 2 * size] = m.X.dtype.type(math.nan)
        for j in range(streams * size):
            x = m.X[message + j]
            if not math.isnan(x):
                m.X[into + j] = x
    else:
        copied(m.X, message, into, streams * size)
        row[D_DYADIC] = 0
    row[D_COUNT], row[D_STAMP] = count, stamp
    row[D_DYADIC] = 1 if dyadic else row[D_DYADIC]
    row[D_MEAN_SINCE], row[D_DIFFERENCE_SINCE] = mean_since, difference_since


@compiled
def _deliver(t, m, s, c, moment):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Hold what has arrived by now, in the order in which it does."""
    when = t.channels[c, C_LINE_WHEN]
    while True:
        place = -1
        for k in range(LINE):
            row = m.when[when + k * D_WIDTH : when + (k + 1) * D_WIDTH]
            first = place < 0 or row[D_DUE] < m.when[when + place * D_WIDTH + D_DUE]
            if row[D_COUNT] > 0 and row[D_DUE] <= moment and first:
                place = k
        if place < 0:
            return
        row = m.when[when + place * D_WIDTH : when + (place + 1) * D_WIDTH]
        if row[D_COPY] == 0 and t.chances[c, P_LONGEST] > 0.0:
            s.counts[c, N_DELAYED] += 1
        if t.channels[c, C_PIECEMEAL] == 0 and row[D_COUNT] <= s.channels[c, H_COUNT]:
            s.counts[c, N_STALE] += 1
            row[D_COUNT] = 0
            continue
        _trace(s, TR_ARRIVE, c, place, row[D_COPY], row[D_PHASE])
        deliver(t, m, s, c, place, row[D_COPY], row[D_PHASE])


@apart
def deliver(t, m, s, c, place, copy, phase):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Hold what lies at a place of those under way."""
    when = t.channels[c, C_LINE_WHEN] + place * D_WIDTH
    row = m.when[when : when + D_WIDTH]
    count, dyadic = row[D_COUNT], row[D_DYADIC] == 1
    op = PATCH if t.channels[c, C_PIECEMEAL] else HOLD
    mean, difference = carries(t, c, dyadic)
    message = t.channels[c, C_LINE] + place * t.channels[c, C_SLOT]
    fetched = fetch(t, m, s, c, op, message, mean, difference, True)
    since = row[D_MEAN_SINCE], row[D_DIFFERENCE_SINCE]
    arrive(t, m, s, c, op, count, copy, phase, fetched, dyadic, since[0], since[1], row[D_STAMP])
    row[D_COUNT] = 0


# Ages


@compiled
def _note_ages(t, s, moment):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Count how old what is read is, of each process that these blocks hear, this one included; and note δ.

    For δ half of Δt is added: so long, on average, it will have been read before a neuron has moved by it.
    """
    hosts, own, interval = t.own[3], s.reg[REG_HOST], s.reg[REG_INTERVAL]
    for host in range(hosts):
        s.ages[host, A_OLDEST] = moment + 1
    for c in range(t.channels.shape[0]):
        source = t.channels[c, C_SOURCE]
        if t.channels[c, C_TARGET] >= t.own[0]:
            continue
        # What is read in place was sent with the last update.
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
    """Let T follow where messages have become far older than they were when it was chosen."""
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
    # One way may be slower than the other, of which only the mean counts.
    real[F_TIME] = float(int(real[F_RATIO] * max(real[F_CHOSEN], real[F_DELAY] / UNEVEN)))


@compiled
def _bin(value):  # type: ignore[no-untyped-def]  # pragma: no cover
    """In which bin a value is counted; see `dyadnet.numerics.histogram`."""
    if not value >= SMALLEST:
        return 0
    return min(1 + int(PER_DECADE * math.log10(value / SMALLEST)), BINS - 1)
