"""Compiled effects of channels on messages: coarseness at the sender; noise, gaps and overtaking at the receiver."""

from __future__ import annotations

import math

from dyadnet.numerics.blas import tiny
from dyadnet.numerics.draws import normal, normal32, seek, uniform
from dyadnet.numerics.elementwise import copied, level, row_norm, scaled
from dyadnet.numerics.kernels import apart, compiled
from dyadnet.program.tables import (
    B_DEPTH,
    B_SIZE,
    C_BITS,
    C_COPY_GROUPS_END,
    C_DELTA,
    C_DIFFERENCE_BITS,
    C_FRESH,
    C_GROUPS_END,
    C_HELD,
    C_KEY_COPY_NOISE,
    C_KEY_NOISE,
    C_KEY_ROUNDING,
    C_LAST,
    C_MASK,
    C_META,
    C_NOISY,
    C_RING,
    C_SIZE,
    C_SLOT,
    C_SOURCE,
    C_STOCHASTIC,
    C_WHEN,
    E_COPY,
    E_COUNT,
    E_GROUP,
    E_OP,
    E_PHASE,
    E_SENT,
    E_WHO,
    G_END,
    G_START,
    H_COUNT,
    H_DIFFERENCE,
    H_DIFFERENCE_SINCE,
    H_MEAN,
    H_MEAN_SINCE,
    H_TICK,
    HOLD,
    L_FUSED,
    L_WEIGHTS,
    M_DIFFERENCE_SINCE,
    M_DYADIC,
    M_MEAN_SINCE,
    MERGE,
    N_QUANTISED,
    N_STALE,
    N_SUPPRESSED,
    N_VALUES,
    NONE,
    P_ADD_DIFFERENCE,
    P_ADD_MEAN,
    P_DELTA,
    P_DELTA_DIFFERENCE,
    P_DIFFERENCE_HIGH,
    P_DIFFERENCE_LOW,
    P_HIGH,
    P_LOW,
    P_TIMES_DIFFERENCE,
    P_TIMES_MEAN,
    REG_LANE,
    REG_MERGES,
    REG_PHASE,
    REG_REAL,
    REG_RELAXATION,
    REG_ROWS,
    REG_SCRATCH,
    REG_STREAMS,
)


@compiled
def drawn(X, draw):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Draw a standard normal number of the arena's type."""
    number = X.dtype.type
    if X.itemsize == 4:
        return number(normal32(draw))
    return number(normal(draw))


@compiled
def carries(t, c, dyadic):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return whether a message has means, and whether it has differences. A stream that κ makes zero is not sent."""
    coupled = t.kappa[c >> 1] != 0.0
    if c & 1:
        return coupled, dyadic
    return True, dyadic and coupled


@apart
def read_noise(t, X, x, draw, key, at, streams, rows, fan, width, scale, out, weight):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add to `out` the noise of reading synapses in their product with x: normal, of size scale·‖x‖ for each row.

    Parameters
    ----------
    X, x
        The array that contains x, of shape (streams, rows, fan), and its offset.
    at
        Tick, phase, lane and number of the relaxation.
    out
        Flat array of shape (2, rows, width); `weight` multiplies the noise of the first stream.
    """
    number = out.dtype.type
    seek(draw, t.keys[key, 0], t.keys[key, 1], at[0], at[1], at[2], at[3])
    for stream in range(streams):
        for row in range(rows):
            i = stream * rows + row
            size = number(scale * row_norm(X[x + i * fan : x + (i + 1) * fan]))
            into = out[i * width : (i + 1) * width]
            for j in range(width):
                noise = drawn(out, draw) * size
                into[j] += noise * number(weight) if stream == 0 and weight != 1.0 else noise


@apart
def coarsen(t, m, s, c, at, mean, difference, tick):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Apply send-on-delta, then quantisation, to a message at `at`; a suppressed number becomes NaN."""
    X = m.X
    number = X.dtype.type
    rows, width = s.reg[REG_ROWS], t.channels[c, C_SIZE]
    size = rows * width
    deltas, stochastic = t.channels[c, C_DELTA] == 1, t.channels[c, C_STOCHASTIC] == 1
    # In real time a reader may miss messages: of those that it can still read, at least one has every number.
    whole = s.reg[REG_REAL] and tick % (t.blocks[t.channels[c, C_SOURCE], B_DEPTH] - 2) == 0
    if stochastic:
        key = t.channels[c, C_KEY_ROUNDING]
        seek(s.draw, t.keys[key, 0], t.keys[key, 1], tick, s.reg[REG_PHASE], s.reg[REG_LANE], s.reg[REG_RELAXATION])
    for stream in range(2):
        if not (mean if stream == 0 else difference):
            continue
        bits = t.channels[c, C_BITS] if stream == 0 else t.channels[c, C_DIFFERENCE_BITS]
        low = t.chances[c, P_LOW] if stream == 0 else t.chances[c, P_DIFFERENCE_LOW]
        high = t.chances[c, P_HIGH] if stream == 0 else t.chances[c, P_DIFFERENCE_HIGH]
        limit = number(t.chances[c, P_DELTA] if stream == 0 else t.chances[c, P_DELTA_DIFFERENCE])
        moved = 0
        for row in range(rows):
            first = stream * size + row * width
            x = X[at + first : at + first + width]
            last = X[t.channels[c, C_LAST] + first : t.channels[c, C_LAST] + first + width]
            step, origin, least, most = _levels(x, bits, low, high)
            for j in range(width):
                draw = uniform(s.draw) if stochastic else -1.0
                gone = False
                if deltas:
                    gone = not (whole or abs(x[j] - last[j]) > limit)
                    if not gone:
                        last[j] = x[j]
                if bits > 0:
                    x[j] = number(level(float(x[j]), step, origin, least, most, draw))
                if gone:
                    x[j] = number(math.nan)
                else:
                    moved += 1
        if bits > 0:
            s.counts[c, N_QUANTISED] += moved
        s.counts[c, N_VALUES] += moved
        s.counts[c, N_SUPPRESSED] += size - moved


@compiled
def _levels(x, bits, low, high):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return step, origin, least and most of the levels for one row; see `dyadnet.numerics.quantization.quantised`."""
    if bits <= 0:
        return 0.0, 0.0, 0.0, 0.0
    if low == high:
        largest = 0.0
        for j in range(x.shape[0]):
            if not math.isnan(x[j]):
                largest = max(largest, abs(float(x[j])))
        low, high = -largest, largest
    if low == -high:
        if bits == 1:
            return 2.0 * high, low, 0.0, 1.0
        most = float(2 ** (bits - 1) - 1)
        return high / most, 0.0, -most, most
    most = float(2**bits - 1)
    return (high - low) / most, low, 0.0, most


@apart
def arrive(t, m, s, event):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Hold a message that arrives: all of it, some of its neurons, or each number that is newer than the held one."""
    c, op = event[E_WHO], event[E_OP]
    slot = event[E_COUNT] & t.channels[c, C_MASK]
    meta = s.meta[t.channels[c, C_META] + slot]
    message = t.channels[c, C_RING] + slot * t.channels[c, C_SLOT]
    mean, difference = carries(t, c, meta[M_DYADIC] == 1)
    mean_since, difference_since = meta[M_MEAN_SINCE], meta[M_DIFFERENCE_SINCE]
    if t.channels[c, C_FRESH]:
        mean_since = difference_since = event[E_COUNT]
    fetched = fetch(t, m, s, c, op, message, mean, difference, op == HOLD or t.channels[c, C_NOISY])
    take(t, m, s, event, fetched, mean, difference, mean_since, difference_since)


@apart
def bring(t, m, s, event):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Copy a message that arrives to where Python changes it and `take_changed` finds it."""
    c, op = event[E_WHO], event[E_OP]
    slot = event[E_COUNT] & t.channels[c, C_MASK]
    dyadic = s.meta[t.channels[c, C_META] + slot, M_DYADIC] == 1
    mean, difference = carries(t, c, dyadic)
    message = t.channels[c, C_RING] + slot * t.channels[c, C_SLOT]
    fetch(t, m, s, c, op, message, mean, difference, True)
    s.reg[REG_STREAMS] = 1 * mean + 2 * difference


@apart
def take_changed(t, m, s, event):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Hold a message that Python has changed; all of its streams count as changed."""
    at = t.channels[event[E_WHO], C_HELD] if event[E_OP] == HOLD else s.reg[REG_SCRATCH]
    streams, since = s.reg[REG_STREAMS], s.reg[REG_MERGES] - 1
    take(t, m, s, event, at, streams & 1 == 1, streams & 2 == 2, since, since)


@apart
def fetch(t, m, s, c, op, message, mean, difference, copy):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Read a message at `message`, multiplied if its link is fused; return the offset of the result."""
    X = m.X
    size = s.reg[REG_ROWS] * t.channels[c, C_SIZE]
    into = t.channels[c, C_HELD] if op == HOLD else s.reg[REG_SCRATCH]
    if c & 1 == 1 and t.links[c >> 1, L_FUSED] == 1:
        multiplied(t, m, s, c, message, mean, difference, into)
        return into
    if not copy:
        return message
    if mean:
        copied(X, message, into, size)
    if difference:
        copied(X, message + size, into + size, size)
    return into


@compiled
def take(t, m, s, event, message, mean, difference, mean_since, difference_since):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Hold a message that was read: add its noise, and merge it into what its receiver holds."""
    X = m.X
    c, op = event[E_WHO], event[E_OP]
    width, held = t.channels[c, C_SIZE], t.channels[c, C_HELD]
    rows = s.reg[REG_ROWS]
    size = rows * width
    s.reg[REG_MERGES] -= 1
    since = s.reg[REG_MERGES]
    if t.channels[c, C_NOISY]:
        noisy_mean, noisy_difference = _disturb(t, m, s, c, message, mean, difference, event)
        if noisy_mean:
            mean_since = since
        if noisy_difference:
            difference_since = since
    h = s.channels[c]
    h[H_COUNT] = event[E_COUNT] if op == HOLD else max(h[H_COUNT], event[E_COUNT])
    if op == HOLD:
        h[H_TICK], h[H_MEAN], h[H_DIFFERENCE] = event[E_SENT], mean, difference
        h[H_MEAN_SINCE], h[H_DIFFERENCE_SINCE] = mean_since, difference_since
    elif op == MERGE:
        group = t.groups[event[E_GROUP]]
        if difference and not h[H_DIFFERENCE]:
            X[held + size : held + 2 * size] = X.dtype.type(0)
        for stream in range(2):
            if not (mean if stream == 0 else difference):
                continue
            for row in range(rows):
                at = stream * size + row * width
                for k in range(group[G_START], group[G_END]):
                    X[held + at + t.members[k]] = X[message + at + t.members[k]]
        h[H_TICK] = max(h[H_TICK], event[E_SENT])
        h[H_MEAN] = h[H_MEAN] or mean
        h[H_DIFFERENCE] = h[H_DIFFERENCE] or difference
        h[H_MEAN_SINCE] = h[H_DIFFERENCE_SINCE] = since
    else:
        _patch(t, m, s, c, message, mean, difference, event, since)


@compiled
def multiplied(t, m, s, c, state, mean, difference, into):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Compute (κθᵀm, θᵀd) of a fused link from the state of its post block."""
    X, link = m.X, c >> 1
    rows, width = s.reg[REG_ROWS], t.channels[c, C_SIZE]
    n, w = t.blocks[t.channels[c, C_SOURCE], B_SIZE], t.links[link, L_WEIGHTS]
    if mean:
        tiny(X, state, rows, n, m.V, w, width, False, X, into)
        scaled(X[into : into + rows * width], t.kappa[link])
    if difference:
        tiny(X, state + rows * n, rows, n, m.V, w, width, False, X, into + rows * width)


@compiled
def _patch(t, m, s, c, message, mean, difference, event, since):  # type: ignore[no-untyped-def]  # pragma: no cover
    X = m.X
    rows, width, held = s.reg[REG_ROWS], t.channels[c, C_SIZE], t.channels[c, C_HELD]
    size, sent = rows * width, event[E_SENT]
    when = m.when[t.channels[c, C_WHEN] : t.channels[c, C_WHEN] + 2 * size]
    g = event[E_GROUP]
    first = 0 if g == NONE else t.groups[g, G_START]
    end = width if g == NONE else t.groups[g, G_END]
    arrived = False
    changed_mean = False
    changed_difference = False
    for stream in range(2):
        if not (mean if stream == 0 else difference):
            continue
        for row in range(rows):
            at = stream * size + row * width
            for k in range(first, end):
                j = at + (k if g == NONE else t.members[k])
                x = X[message + j]
                if math.isnan(x):
                    continue
                arrived = True
                if sent > when[j]:
                    X[held + j] = x
                    when[j] = sent
                    if stream == 0:
                        changed_mean = True
                    else:
                        changed_difference = True
    h = s.channels[c]
    knew = h[H_DIFFERENCE] == 1
    h[H_TICK] = max(h[H_TICK], sent)
    h[H_MEAN] = h[H_MEAN] or mean
    h[H_DIFFERENCE] = h[H_DIFFERENCE] or difference
    if h[H_MEAN] and changed_mean:
        h[H_MEAN_SINCE] = since
    if h[H_DIFFERENCE] and (changed_difference or not knew):
        h[H_DIFFERENCE_SINCE] = since
    groups_end = t.channels[c, C_GROUPS_END] if event[E_COPY] == 0 else t.channels[c, C_COPY_GROUPS_END]
    whole = g in (NONE, groups_end - 1)
    if arrived and whole and not (changed_mean or changed_difference):
        s.counts[c, N_STALE] += 1


@compiled
def _disturb(t, m, s, c, at, mean, difference, event):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Apply noise to a message, first multiplicative, then additive; its duplicate has its own noise."""
    X = m.X
    number = X.dtype.type
    size = s.reg[REG_ROWS] * t.channels[c, C_SIZE]
    key = t.channels[c, C_KEY_NOISE] if event[E_COPY] == 0 else t.channels[c, C_KEY_COPY_NOISE]
    seek(
        s.draw,
        t.keys[key, 0],
        t.keys[key, 1],
        event[E_SENT],
        event[E_PHASE],
        s.reg[REG_LANE],
        s.reg[REG_RELAXATION],
    )
    noisy_mean = False
    noisy_difference = False
    for stream in range(2):
        sigma = t.chances[c, P_ADD_MEAN] if stream == 0 else t.chances[c, P_ADD_DIFFERENCE]
        relative = t.chances[c, P_TIMES_MEAN] if stream == 0 else t.chances[c, P_TIMES_DIFFERENCE]
        present = mean if stream == 0 else difference
        if not present or not (sigma > 0.0 or relative > 0.0):
            continue
        x = X[at + stream * size : at + (stream + 1) * size]
        if relative > 0.0:
            for j in range(size):
                x[j] *= number(1) + number(relative) * drawn(X, s.draw)
        if sigma > 0.0:
            for j in range(size):
                x[j] += number(sigma) * drawn(X, s.draw)
        if stream == 0:
            noisy_mean = True
        else:
            noisy_difference = True
    return noisy_mean, noisy_difference
