"""Compiled messages in real time: the newest message is read or put under way, and late messages arrive.

The writer of a ring first announces which update it is about to write. So a reader can check whether what it has read
was complete. If it was overwritten meanwhile, the reader reads again.
"""

from __future__ import annotations

import math

from dyadnet.numerics.draws import seek, uniform
from dyadnet.numerics.elementwise import copied
from dyadnet.numerics.kernels import apart, compiled
from dyadnet.program.channels import carries, fetch, take
from dyadnet.program.sync.verdicts import stage
from dyadnet.program.sync.words import fence, load
from dyadnet.program.tables import (
    A_COUNT,
    A_COUNT_BEFORE,
    A_OVERTAKEN,
    A_READS,
    A_STAMP,
    A_STAMP_BEFORE,
    B_DEPTH,
    B_HOST,
    B_META,
    B_SIZE,
    C_FRESH,
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
    C_UNCERTAIN,
    D_COPY,
    D_COUNT,
    D_DIFFERENCE_SINCE,
    D_DUE,
    D_DYADIC,
    D_MEAN_SINCE,
    D_PHASE,
    D_STAMP,
    D_WIDTH,
    E_COPY,
    E_COUNT,
    E_GROUP,
    E_OP,
    E_PHASE,
    E_SENT,
    E_WHO,
    FINISHED,
    H_COUNT,
    H_PUT,
    H_SCHEDULED,
    H_STAMP,
    HOLD,
    L_FUSED,
    LINE,
    M_DIFFERENCE_SINCE,
    M_DYADIC,
    M_MEAN_SINCE,
    M_STAMP,
    N_DELAYED,
    N_DROPPED,
    N_DUPLICATED,
    N_STALE,
    NONE,
    P_DUPLICATION,
    P_LONGEST,
    P_LOSS,
    P_MEAN,
    P_SHORTEST,
    PATCH,
    REG_EVENTS,
    REG_LANE,
    REG_PHASE,
    REG_RELAXATION,
    REG_ROWS,
    REG_TRACED,
    S_COUNT,
    THIN,
    TR_ARRIVE,
    TR_COPY,
    TR_COUNT,
    TR_HOLD,
    TR_OP,
    TR_PHASE,
    TR_PUT,
    TR_STAMP,
    TR_WHO,
)

TRIES = 8
"""Number of attempts to read a message that is overwritten meanwhile."""


@compiled
def newest(t, s, b):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the number of a block's newest update that has been announced, as far as this process may hear it."""
    if b < t.own[0]:
        return s.blocks[b, S_COUNT]
    host = t.blocks[b, B_HOST]
    word, limit = load(s.words[host]), load(s.limits[host])
    if limit != 0:
        word = min(word, limit)
    return max(word - stage(t, s, 0), 0) & (FINISHED - 1)


@compiled
def event(s, op, who, tick):  # type: ignore[no-untyped-def]  # pragma: no cover
    event = s.events[s.reg[REG_EVENTS]]
    event[E_OP], event[E_WHO], event[E_COUNT], event[E_SENT] = op, who, tick, tick
    event[E_PHASE], event[E_COPY], event[E_GROUP] = s.reg[REG_PHASE], 0, NONE
    s.reg[REG_EVENTS] += 1


@compiled
def trace(s, op, who, count, copy, stamp):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Record an event, if recording is on."""
    if s.trace.shape[0] == 0:
        return
    row = s.trace[s.reg[REG_TRACED]]
    row[TR_OP], row[TR_WHO], row[TR_COUNT], row[TR_COPY] = op, who, count, copy
    row[TR_PHASE], row[TR_STAMP] = s.reg[REG_PHASE], stamp
    s.reg[REG_TRACED] += 1


# Messages


@compiled
def hear(t, m, s, c, moment):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Read what has come on a channel since the last look, and hold what has arrived."""
    source = t.channels[c, C_SOURCE]
    depth = t.blocks[source, B_DEPTH]
    h = s.channels[c]
    for _ in range(TRIES):
        count = newest(t, s, source)
        if count <= h[H_SCHEDULED]:
            break
        # Messages that may be overwritten while they are read are skipped.
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
    """Draw the fate of a message: 0: it arrives; 1: only its duplicate arrives; 2: both arrive; −1: neither arrives."""
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
    """Count the fate of a message; if two copies arrive, the second is stale."""
    if fate == -1 or fate == 1:
        s.counts[c, N_DROPPED] += 1
    if fate >= 1:
        s.counts[c, N_DUPLICATED] += 1
    if fate == 2:
        s.counts[c, N_STALE] += 1


@compiled
def _heard(t, s, c, first, count, stamp):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Note that all messages up to a number have been read; those before `first` were overtaken and count as stale."""
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
    """Hold the newest message that is not lost; return False if it was overwritten meanwhile."""
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
    """Hold each message that is not lost, number by number; return False if one was overwritten meanwhile."""
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
    """Whether a block's update, after it was read, has not been overwritten."""
    if b < t.own[0]:
        return True
    fence()
    return load(s.writing[t.blocks[b, B_HOST]]) - count < t.blocks[b, B_DEPTH]


@compiled
def _read(t, m, s, c, op, count, copy):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Read a message and hold it; return when it was sent, or −1 if it was overwritten meanwhile."""
    source = t.channels[c, C_SOURCE]
    slot = count & (t.blocks[source, B_DEPTH] - 1)
    meta = s.meta[t.blocks[source, B_META] + slot]
    dyadic, stamp = meta[M_DYADIC] == 1, max(meta[M_STAMP], 0)
    mean_since, difference_since = meta[M_MEAN_SINCE], meta[M_DIFFERENCE_SINCE]
    mean, difference = carries(t, c, dyadic)
    fetched = fetch(t, m, s, c, op, t.channels[c, C_RING] + slot * t.channels[c, C_SLOT], mean, difference, True)
    if not _intact(t, s, source, count):
        return -1
    trace(s, TR_HOLD, c, count, copy, stamp)
    arrive(t, m, s, c, op, count, copy, s.reg[REG_PHASE], fetched, dyadic, mean_since, difference_since, stamp)
    return stamp


@apart
def arrive(t, m, s, c, op, count, copy, phase, message, dyadic, mean_since, difference_since, stamp):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Hold a message that has been read and lies at `message`."""
    # This slot is free: the events of the next update are scheduled afterwards.
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
    """Put the new messages under way, as one message; return False if it was overwritten meanwhile."""
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
    """Return the delay of a message, or of its duplicate, in nanoseconds; see `dyadnet.timing.real_time`."""
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
    """Copy a message to a place of those under way, and merge it number by number; return the same as `_read`."""
    source = t.channels[c, C_SOURCE]
    slot = count & (t.blocks[source, B_DEPTH] - 1)
    meta = s.meta[t.blocks[source, B_META] + slot]
    dyadic, stamp = meta[M_DYADIC] == 1, max(meta[M_STAMP], 0)
    since = meta[M_MEAN_SINCE], meta[M_DIFFERENCE_SINCE]
    message = t.channels[c, C_RING] + slot * t.channels[c, C_SLOT]
    place_of(t, m, s, c, place, message, count, dyadic, since[0], since[1], stamp)
    if not _intact(t, s, source, count):
        return -1
    trace(s, TR_PUT, c, count, place, stamp)
    return stamp


@compiled
def place_of(t, m, s, c, place, message, count, dyadic, mean_since, difference_since, stamp):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Copy a message at `message` to a place of those under way; see `put`."""
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
    """Hold the messages that have arrived by now, in the order of arrival."""
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
        trace(s, TR_ARRIVE, c, place, row[D_COPY], row[D_PHASE])
        deliver(t, m, s, c, place, row[D_COPY], row[D_PHASE])


@apart
def deliver(t, m, s, c, place, copy, phase):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Hold the message at a place of those under way, and free the place."""
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
