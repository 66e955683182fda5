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

from dyadnet.numerics.draws import below, first_integer, first_words, geometric, seek, uniform
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
    C_COPY_GROUPS,
    C_COPY_GROUPS_END,
    C_GROUPS,
    C_GROUPS_END,
    CALLED_CLOCK,
    CALLED_LAW,
    CHUNK,
    CHUNK_NEXT,
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
    GOT_DELAYED,
    GOT_DROPPED,
    GOT_DUPLICATED,
    GOT_SCHEDULED,
    GOT_STALE,
    HOLD,
    MERGE,
    NONE,
    OUT_CHANNEL,
    OUT_COPY,
    OUT_COPY_DELAY,
    OUT_FATE,
    OUT_HIGH,
    OUT_KEY,
    OUT_LAW,
    OUT_LOSS,
    OUT_LOW,
    OUT_PIECEMEAL,
    OUT_TARGET,
    OUT_TWICE,
    P_GEOMETRIC,
    PATCH,
    PERIODIC,
    POOL_FIRST,
    POOL_FREE,
    POOL_LEFT,
    POOL_MASK,
    POOL_NEED,
    Q_FIRST,
    Q_LAST,
    Q_PUT,
    Q_TAKEN,
    R_CLOCK,
    REG_EVENTS,
    REG_LANE,
    REG_PC,
    REG_PHASE,
    REG_RELAXATION,
    REG_TICK,
    S_SCHEDULED,
    TICK,
    UNIFORM,
    W_COUNT,
    W_SENT,
    W_WHAT,
    W_WHERE,
)

_LOW = 2**32 - 1


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
def schedule(t, s, until, together):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Schedule the ticks after `REG_TICK`, up to `until` or as far as there is room.

    Parameters
    ----------
    together
        Whether the threads of a team send and receive messages by themselves (`send`, `arrival`), each those of its
        own blocks. Then only `FIRE` and `TICK` are scheduled.

    Returns
    -------
    bool
        False if there is not even room for one tick: the caller must make more room.
    """
    s.reg[REG_EVENTS] = 0
    s.reg[REG_PC] = 0
    begun = s.reg[REG_TICK]
    while s.reg[REG_TICK] < until:
        tick = s.reg[REG_TICK] + 1
        if not _has_room(t, s, tick, begun, together):
            return s.reg[REG_TICK] > begun
        for pool in range(0 if together else s.pools.shape[0]):
            while arrival(t, s, pool, tick, s.events[s.reg[REG_EVENTS]]):
                s.reg[REG_EVENTS] += 1
        for b in range(t.blocks.shape[0]):
            if not fires(t, s, b, tick):
                continue
            s.blocks[b, S_SCHEDULED] += 1
            _event(s, FIRE, b, s.blocks[b, S_SCHEDULED], tick, s.reg[REG_PHASE])
            for k in range(t.blocks[b, B_OUT], t.blocks[b, B_OUT] if together else t.blocks[b, B_OUT_END]):
                send(t, s, s.owners[t.outgoing[k, OUT_TARGET]], k, s.blocks[b, S_SCHEDULED], tick)
        _event(s, TICK, 0, 0, tick, 0)
        s.reg[REG_TICK] = tick
    return True


@compiled
def _has_room(t, s, tick, begun, together):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Whether there is room for the events of a tick, and for the messages sent since tick `begun`."""
    needed = t.blocks.shape[0] + 1
    for k in range(s.pools.shape[0]):
        pool = s.pools[k]
        if pool[POOL_LEFT] < pool[POOL_NEED] * (tick - begun if together else 1):
            return False
        if not together:
            needed += s.buckets[pool[POOL_FIRST] + (tick & pool[POOL_MASK]), Q_PUT]
    return s.events.shape[0] - s.reg[REG_EVENTS] >= needed


@compiled
def _event(s, op, who, count, sent, phase):  # type: ignore[no-untyped-def]  # pragma: no cover
    event = s.events[s.reg[REG_EVENTS]]
    event[E_OP] = op
    event[E_WHO] = who
    event[E_COUNT] = count
    event[E_SENT] = sent
    event[E_PHASE] = phase
    event[E_COPY] = 0
    event[E_GROUP] = NONE
    s.reg[REG_EVENTS] += 1


@compiled
def send(t, s, pool, k, count, tick):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Draw the fate of a message of channel `outgoing[k]`, and of its duplicate if it has one, and put it under way."""
    o = t.outgoing[k]
    lost = False
    twice = False
    lost_too = False
    if o[OUT_LOSS] > 0 or o[OUT_TWICE] > 0:
        phase, lane, relaxation = s.reg[REG_PHASE], s.reg[REG_LANE], s.reg[REG_RELAXATION]
        one, two, three, _ = first_words(o[OUT_FATE], o[OUT_FATE + 1], tick, phase, lane, relaxation)
        lost = below(one) < o[OUT_LOSS]
        twice = below(two) < o[OUT_TWICE]
        lost_too = below(three) < o[OUT_LOSS]
    _dispatch(t, s, pool, k, count, tick, 0, lost)
    if twice:
        _dispatch(t, s, pool, k, count, tick, 1, lost_too)


@compiled
def _dispatch(t, s, pool, k, count, tick, copy, lost):  # type: ignore[no-untyped-def]  # pragma: no cover
    o = t.outgoing[k]
    c, law = o[OUT_CHANNEL], o[OUT_LAW]
    what = (k << 32) + 8 * c + 4 * o[OUT_PIECEMEAL] + 2 * lost + copy
    if law == BY_NEURON:
        group = t.channels[c, C_GROUPS] if copy == 0 else t.channels[c, C_COPY_GROUPS]
        end = t.channels[c, C_GROUPS_END] if copy == 0 else t.channels[c, C_COPY_GROUPS_END]
        # A whole message that is lost would have arrived with the last of its neurons.
        for g in range(end - 1 if lost else group, end):
            _put(s, pool, what, count, tick, t.groups[g, G_DELAY], g)
        return
    delay = o[OUT_LOW] if copy == 0 else o[OUT_COPY_DELAY]
    if law == CALLED_LAW:
        column = t.channels[c, C_AHEAD] if copy == 0 else t.channels[c, C_COPY_AHEAD]
        delay = s.ahead[tick % s.ahead.shape[0], column]
    elif law != CONSTANT:
        key0, key1 = (o[OUT_KEY], o[OUT_KEY + 1]) if copy == 0 else (o[OUT_COPY], o[OUT_COPY + 1])
        phase, lane, relaxation = s.reg[REG_PHASE], s.reg[REG_LANE], s.reg[REG_RELAXATION]
        if law == UNIFORM:
            delay = first_integer(s.draw, key0, key1, tick, phase, lane, relaxation, o[OUT_LOW], o[OUT_HIGH])
        else:
            seek(s.draw, key0, key1, tick, phase, lane, relaxation)
            delay = min(geometric(s.draw, t.chances[c, P_GEOMETRIC]), o[OUT_HIGH])
    _put(s, pool, what, count, tick, delay, NONE)


@compiled
def _put(s, pool, what, count, tick, delay, group):  # type: ignore[no-untyped-def]  # pragma: no cover
    z = s.pools[pool]
    bucket = s.buckets[z[POOL_FIRST] + ((tick + delay) & z[POOL_MASK])]
    at = bucket[Q_PUT] & (CHUNK - 1)
    if at == 0:
        chunk = z[POOL_FREE]
        z[POOL_FREE] = s.chunks[chunk, CHUNK_NEXT]
        z[POOL_LEFT] -= 1
        if bucket[Q_PUT] == 0:
            bucket[Q_FIRST] = chunk
        else:
            s.chunks[bucket[Q_LAST], CHUNK_NEXT] = chunk
        bucket[Q_LAST] = chunk
    message = s.pending[bucket[Q_LAST] * CHUNK + at]
    bucket[Q_PUT] += 1
    message[W_WHAT] = what
    message[W_COUNT] = count
    message[W_SENT] = tick
    message[W_WHERE] = (s.reg[REG_PHASE] << 32) + group + 1


@compiled
def arrival(t, s, pool, tick, event):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Write into `event` the next message that arrives at a tick and changes what is held; False if there is none.

    Messages are counted, those that leave no event as well.
    """
    z = s.pools[pool]
    bucket = s.buckets[z[POOL_FIRST] + (tick & z[POOL_MASK])]
    while bucket[Q_TAKEN] < bucket[Q_PUT]:
        chunk, at = bucket[Q_FIRST], bucket[Q_TAKEN] & (CHUNK - 1)
        message = s.pending[chunk * CHUNK + at]
        what, count, sent, where = message[W_WHAT], message[W_COUNT], message[W_SENT], message[W_WHERE]
        bucket[Q_TAKEN] += 1
        if at == CHUNK - 1 or bucket[Q_TAKEN] == bucket[Q_PUT]:
            bucket[Q_FIRST] = s.chunks[chunk, CHUNK_NEXT]
            s.chunks[chunk, CHUNK_NEXT] = z[POOL_FREE]
            z[POOL_FREE] = chunk
            z[POOL_LEFT] += 1
        got, c, copy, group = s.got[what >> 32], (what & _LOW) >> 3, what & 1, (where & _LOW) - 1
        if what & 2:
            got[GOT_DROPPED] += 1
            continue
        whole = True
        if group != NONE:
            whole = group + 1 == (t.channels[c, C_GROUPS_END] if copy == 0 else t.channels[c, C_COPY_GROUPS_END])
        if copy == 0 and tick > sent + 1 and whole:
            got[GOT_DELAYED] += 1
        if copy == 1 and whole:
            got[GOT_DUPLICATED] += 1
        op = HOLD
        if what & 4:
            op = PATCH
        elif group != NONE:
            op = MERGE
        elif sent <= got[GOT_SCHEDULED]:
            got[GOT_STALE] += 1
            continue
        else:
            got[GOT_SCHEDULED] = sent
        event[E_OP] = op
        event[E_WHO] = c
        event[E_COUNT] = count
        event[E_SENT] = sent
        event[E_PHASE] = where >> 32
        event[E_COPY] = copy
        event[E_GROUP] = group
        return True
    bucket[Q_PUT] = 0
    bucket[Q_TAKEN] = 0
    return False
