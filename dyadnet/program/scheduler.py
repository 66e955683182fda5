"""Schedule virtual time ahead: which block fires when, and which message arrives when, as a list of events.

Clocks, delays, losses and duplicates are drawn from counters, so all of it is known before anything is computed. The
scheduler reads topology, timing and counters; it never reads a neuron. Python draws user-defined clocks and laws of
delay ahead, and the scheduler reads the results. At tick t it schedules

1. every message that arrives at t, in the order of sending: `HOLD` if a whole message replaces what its receiver
   holds, `MERGE` for some of its neurons, `PATCH` if the newest number wins, number by number. A message that is lost,
   or older than what is held, is counted and leaves no event;
2. `FIRE` for every block whose clock fires at t; the fates of the messages that it sends are drawn, and they arrive at
   t + delay;
3. `TICK`, the end of t.

Channels with one constant delay need no events: the receiver reads in place what was sent `delay` ticks ago.
"""

from __future__ import annotations

from dyadnet.numerics.draws import geometric, integer, seek, uniform
from dyadnet.numerics.kernels import apart, compiled
from dyadnet.program.tables import (
    B_AHEAD,
    B_CLOCK,
    B_KEY_CLOCK,
    B_OFFSET,
    B_OUT,
    B_OUT_END,
    B_PERIOD,
    BERNOULLI_NEURONS,
    BY_NEURON,
    C_AHEAD,
    C_COPY_AHEAD,
    C_COPY_DELAY,
    C_COPY_GROUPS,
    C_COPY_GROUPS_END,
    C_DELAY,
    C_GROUPS,
    C_GROUPS_END,
    C_HIGH,
    C_KEY_COPY,
    C_KEY_DELAY,
    C_KEY_FATE,
    C_LAW,
    C_LOW,
    C_PIECEMEAL,
    C_UNCERTAIN,
    CALLED_CLOCK,
    CALLED_LAW,
    CONSTANT,
    E_COPY,
    E_COUNT,
    E_GROUP,
    E_OP,
    E_PHASE,
    E_SENT,
    E_WHO,
    FIRE,
    G_DELAY,
    H_SCHEDULED,
    HOLD,
    MERGE,
    N_DELAYED,
    N_DROPPED,
    N_DUPLICATED,
    N_STALE,
    NONE,
    P_DUPLICATION,
    P_GEOMETRIC,
    P_LOSS,
    PATCH,
    PERIODIC,
    R_CLOCK,
    REG_EVENTS,
    REG_FREE,
    REG_LANE,
    REG_PC,
    REG_PHASE,
    REG_RELAXATION,
    REG_TICK,
    S_SCHEDULED,
    TICK,
    UNIFORM,
    W_CHANNEL,
    W_COPY,
    W_COUNT,
    W_GROUP,
    W_LOST,
    W_NEXT,
    W_PHASE,
    W_SENT,
)


@compiled
def fires(t, s, b, tick):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Whether a block's clock fires at a tick."""
    clock = t.blocks[b, B_CLOCK]
    if clock == PERIODIC:
        return (tick - 1) % t.blocks[b, B_PERIOD] == t.blocks[b, B_OFFSET]
    if clock == BERNOULLI_NEURONS:
        return True
    if clock == CALLED_CLOCK:
        return s.ahead[tick % s.ahead.shape[0], t.blocks[b, B_AHEAD]] != 0
    _seek(t, s, t.blocks[b, B_KEY_CLOCK], tick)
    return uniform(s.draw) < t.real[b, R_CLOCK]


@compiled
def _seek(t, s, key, tick):  # type: ignore[no-untyped-def]  # pragma: no cover
    seek(s.draw, t.keys[key, 0], t.keys[key, 1], tick, s.reg[REG_PHASE], s.reg[REG_LANE], s.reg[REG_RELAXATION])


@apart
def schedule(t, s, until):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Schedule the ticks after `REG_TICK`, up to `until` or as far as there is room for events.

    Returns
    -------
    bool
        False if there is not even room for one tick: the caller must make more room.
    """
    s.reg[REG_EVENTS] = 0
    s.reg[REG_PC] = 0
    blocks = t.blocks.shape[0]
    most = _most(t)
    begun = s.reg[REG_TICK]
    while s.reg[REG_TICK] < until:
        tick = s.reg[REG_TICK] + 1
        bucket = tick % s.buckets.shape[0]
        room = s.events.shape[0] - s.reg[REG_EVENTS]
        if room < s.buckets[bucket, 2] + blocks + 1 or s.reg[REG_FREE] < most:
            return s.reg[REG_TICK] > begun
        _deliver(t, s, bucket, tick)
        for b in range(blocks):
            if not fires(t, s, b, tick):
                continue
            s.blocks[b, S_SCHEDULED] += 1
            _event(s, FIRE, b, s.blocks[b, S_SCHEDULED], tick, s.reg[REG_PHASE], 0, NONE)
            for k in range(t.blocks[b, B_OUT], t.blocks[b, B_OUT_END]):
                _send(t, s, t.outgoing[k], s.blocks[b, S_SCHEDULED], tick)
        _event(s, TICK, 0, 0, tick, 0, 0, NONE)
        s.reg[REG_TICK] = tick
    return True


@compiled
def _most(t):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the largest number of arrivals to which the messages of one tick can lead."""
    total = 0
    for k in range(t.outgoing.shape[0]):
        c = t.outgoing[k]
        total += max(t.channels[c, C_GROUPS_END] - t.channels[c, C_GROUPS], 1)
        if t.channels[c, C_UNCERTAIN]:
            total += max(t.channels[c, C_COPY_GROUPS_END] - t.channels[c, C_COPY_GROUPS], 1)
    return total


@compiled
def _event(s, op, who, count, sent, phase, copy, group):  # type: ignore[no-untyped-def]  # pragma: no cover
    event = s.events[s.reg[REG_EVENTS]]
    event[E_OP] = op
    event[E_WHO] = who
    event[E_COUNT] = count
    event[E_SENT] = sent
    event[E_PHASE] = phase
    event[E_COPY] = copy
    event[E_GROUP] = group
    s.reg[REG_EVENTS] += 1


@compiled
def _send(t, s, c, count, tick):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Draw the fate of a message, and of its duplicate if it has one."""
    lost = False
    twice = False
    lost_too = False
    if t.channels[c, C_UNCERTAIN]:
        _seek(t, s, t.channels[c, C_KEY_FATE], tick)
        one = uniform(s.draw)
        two = uniform(s.draw)
        three = uniform(s.draw)
        lost = one < t.chances[c, P_LOSS]
        twice = two < t.chances[c, P_DUPLICATION]
        lost_too = three < t.chances[c, P_LOSS]
    _arrive(
        t,
        s,
        c,
        count,
        tick,
        0,
        lost,
        t.channels[c, C_KEY_DELAY],
        t.channels[c, C_DELAY],
        t.channels[c, C_GROUPS],
        t.channels[c, C_GROUPS_END],
    )
    if twice:
        _arrive(
            t,
            s,
            c,
            count,
            tick,
            1,
            lost_too,
            t.channels[c, C_KEY_COPY],
            t.channels[c, C_COPY_DELAY],
            t.channels[c, C_COPY_GROUPS],
            t.channels[c, C_COPY_GROUPS_END],
        )


@compiled
def _arrive(t, s, c, count, tick, copy, lost, key, delay, group, end):  # type: ignore[no-untyped-def]  # pragma: no cover
    law = t.channels[c, C_LAW]
    if law == BY_NEURON:
        if lost:
            # The whole message would have arrived with the last of its neurons.
            _put(s, c, count, tick, tick + t.groups[end - 1, G_DELAY], copy, end - 1, True)
            return
        for g in range(group, end):
            _put(s, c, count, tick, tick + t.groups[g, G_DELAY], copy, g, False)
        return
    if law == CALLED_LAW:
        column = t.channels[c, C_AHEAD] if copy == 0 else t.channels[c, C_COPY_AHEAD]
        delay = s.ahead[tick % s.ahead.shape[0], column]
    elif law != CONSTANT:
        _seek(t, s, key, tick)
        if law == UNIFORM:
            delay = integer(s.draw, t.channels[c, C_LOW], t.channels[c, C_HIGH])
        else:
            delay = min(geometric(s.draw, t.chances[c, P_GEOMETRIC]), t.channels[c, C_HIGH])
    _put(s, c, count, tick, tick + delay, copy, NONE, lost)


@compiled
def _put(s, c, count, tick, arrival, copy, group, lost):  # type: ignore[no-untyped-def]  # pragma: no cover
    s.reg[REG_FREE] -= 1
    place = s.free[s.reg[REG_FREE]]
    entry = s.pending[place]
    entry[W_NEXT] = NONE
    entry[W_CHANNEL] = c
    entry[W_COUNT] = count
    entry[W_SENT] = tick
    entry[W_PHASE] = s.reg[REG_PHASE]
    entry[W_COPY] = copy
    entry[W_GROUP] = group
    entry[W_LOST] = lost
    bucket = s.buckets[arrival % s.buckets.shape[0]]
    if bucket[2] == 0:
        bucket[0] = place
    else:
        s.pending[bucket[1], W_NEXT] = place
    bucket[1] = place
    bucket[2] += 1


@compiled
def _deliver(t, s, bucket, tick):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Count every message that arrives at a tick, and schedule those that change what is held."""
    place = s.buckets[bucket, 0]
    left = s.buckets[bucket, 2]
    s.buckets[bucket, 2] = 0
    while left > 0:
        left -= 1
        entry = s.pending[place]
        c, sent, copy, group = entry[W_CHANNEL], entry[W_SENT], entry[W_COPY], entry[W_GROUP]
        count, phase, lost = entry[W_COUNT], entry[W_PHASE], entry[W_LOST]
        s.free[s.reg[REG_FREE]] = place
        s.reg[REG_FREE] += 1
        place = entry[W_NEXT]
        if lost:
            s.counts[c, N_DROPPED] += 1
            continue
        end = t.channels[c, C_GROUPS_END] if copy == 0 else t.channels[c, C_COPY_GROUPS_END]
        whole = group == NONE or group == end - 1
        if copy == 0 and tick > sent + 1 and whole:
            s.counts[c, N_DELAYED] += 1
        if copy == 1 and whole:
            s.counts[c, N_DUPLICATED] += 1
        if t.channels[c, C_PIECEMEAL]:
            _event(s, PATCH, c, count, sent, phase, copy, group)
        elif group != NONE:
            _event(s, MERGE, c, count, sent, phase, copy, group)
        elif sent <= s.channels[c, H_SCHEDULED]:
            s.counts[c, N_STALE] += 1
        else:
            s.channels[c, H_SCHEDULED] = sent
            _event(s, HOLD, c, count, sent, phase, copy, group)
