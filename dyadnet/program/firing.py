"""The firing of a block, compiled: its update, and what it then sends.

The order is: the drives, for which only products of held messages that have changed are computed anew; A and D, then m
and d; feedback products of what has changed; the effects of channels on the messages. What is multiplied together, and
whether a product is computed, depends on the block alone, never on the process or on other blocks in it.
"""

from __future__ import annotations

import math

from dyadnet.numerics.blas import times
from dyadnet.numerics.draws import seek, uniform
from dyadnet.numerics.elementwise import CALLED_ACTIVATION, activate, copied, differs, largest, scaled
from dyadnet.numerics.kernels import apart, compiled
from dyadnet.program.channels import carries, coarsen, read_noise
from dyadnet.program.drives import drives, held, state_of
from dyadnet.program.neurons import CHUNK, drive, relax
from dyadnet.program.products import back, planned_noise
from dyadnet.program.prospective import correct, correct_freely, lead
from dyadnet.program.tables import (
    B_A,
    B_ACTIVATION,
    B_AVERAGE,
    B_AXONS,
    B_AXONS_END,
    B_BASE,
    B_CLOCK,
    B_COARSE,
    B_CORRECTION,
    B_D,
    B_DEPTH,
    B_ETA,
    B_FUSED,
    B_GAIN,
    B_KEY_CLOCK,
    B_LINKS,
    B_LINKS_END,
    B_META,
    B_NOISE,
    B_RATES,
    B_RING,
    B_RING_SLOT,
    B_SIZE,
    B_THRESHOLD,
    BERNOULLI_NEURONS,
    C_COARSE,
    C_RING,
    C_SLOT,
    F_EPSILON,
    F_GAMMA,
    F_STEP,
    F_TOLERANCE,
    F_TOLERANCE_DIFFERENCE,
    K_AVERAGED_STREAMS,
    K_CACHED,
    K_CACHED_DIFFERENCE,
    K_CACHED_MEAN,
    K_CHOSEN,
    K_STREAMS,
    K_SWITCHED,
    L_AVERAGE,
    L_CACHE,
    L_CACHE_SLOT,
    L_CALLED,
    L_FIXED_CACHE,
    L_FUSED,
    L_KEY_BACKWARD,
    L_PLAN,
    L_POST,
    L_PRE,
    L_SWITCHES,
    L_WEIGHTS,
    M_DIFFERENCE_SINCE,
    M_DYADIC,
    M_MEAN_SINCE,
    M_STAMP,
    M_TICK,
    NONE,
    R_CLOCK,
    R_GAIN,
    R_LEAK,
    R_TOP,
    REG_AVERAGE,
    REG_LANE,
    REG_NOW,
    REG_PHASE,
    REG_REAL,
    REG_RELAXATION,
    REG_ROWS,
    S_AVERAGED,
    S_AVERAGED_STREAMS,
    S_COUNT,
    S_DIFFERENCE_SINCE,
    S_DYADIC,
    S_FIRED,
    S_MEAN_SINCE,
    S_OVER,
    S_SPEAKING,
    V_RELATIVE,
    V_RESIDUAL,
    V_WORST,
)


@apart
def update(t, m, s, b, tick):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Set A ← (1−η)A + ηA*, D ← (1−η)D + ηD*, s± = f(A ± D) in the ring's next slot; store the residuals."""
    means, differences = drives(t, m, s, b, tick)
    dyadic = differences > 0 or s.blocks[b, S_DYADIC] == 1
    s.blocks[b, S_DYADIC] = dyadic
    X = m.X
    number = X.dtype.type
    rows, n = s.reg[REG_ROWS], t.blocks[b, B_SIZE]
    size = rows * n
    if t.blocks[b, B_CLOCK] == BERNOULLI_NEURONS:
        _mask(t, m, s, b, tick)
    A, D, base = t.blocks[b, B_A], t.blocks[b, B_D], t.blocks[b, B_BASE]
    eta, gain, threshold = t.blocks[b, B_ETA], t.blocks[b, B_GAIN], t.blocks[b, B_THRESHOLD]
    step = number(s.real[F_STEP])
    ahead = s.real[F_GAMMA] > 0.0 and t.blocks[b, B_CORRECTION] >= 0
    correction = t.blocks[b, B_CORRECTION]
    if ahead and s.reg[REG_REAL]:
        correct_freely(t, m, s, b, tick)
    elif ahead:
        correct(t, m, s, b, tick)
    depth = t.blocks[b, B_DEPTH]
    state = t.blocks[b, B_RING] + ((s.blocks[b, S_COUNT] + 1) & (depth - 1)) * t.blocks[b, B_RING_SLOT]
    kind = t.blocks[b, B_ACTIVATION]
    leak, slope, top = t.real[b, R_LEAK], t.real[b, R_GAIN], t.real[b, R_TOP]
    none = X[0:0]
    error_a = size_a = error_d = size_d = m.row_bits.dtype.type(0)
    # Chunks are whole rows, because fused products are computed here.
    chunk = CHUNK // n * n if n < CHUNK else CHUNK
    second = s.terms.shape[0] // 2
    for at in range(0, size, chunk):
        k = min(chunk, size - at)
        row, a, d = m.row[:k], m.a[:k], m.d[:k]
        each = X[eta + at : eta + at + k] if eta >= 0 else none
        drive(m, base, at, row, n, s.terms[:second], s.runs, s.factors[:second], means)
        if ahead:
            lead(X[A + at : A + at + k], row, X[correction + at : correction + at + k], step, each, a)
        else:
            relax(X[A + at : A + at + k], row, step, each, a)
        error_a = largest(m.row_bits, k, error_a)
        size_a = largest(m.a_bits, k, size_a)
        if dyadic:
            drive(m, NONE, at, row, n, s.terms[second:], s.runs, s.factors[second:], differences)
            if ahead:
                more = correction + size + at
                lead(X[D + at : D + at + k], row, X[more : more + k], step, each, d)
            else:
                relax(X[D + at : D + at + k], row, step, each, d)
            error_d = largest(m.row_bits, k, error_d)
            size_d = largest(m.d_bits, k, size_d)
        if kind == CALLED_ACTIVATION:
            continue
        if threshold >= 0:
            level = X[threshold + at : threshold + at + k]
            for j in range(k):
                a[j] = a[j] - level[j]
        if gain >= 0:
            factor = X[gain + at : gain + at + k]
            for j in range(k):
                a[j] = a[j] * factor[j]
            if dyadic:
                for j in range(k):
                    d[j] = d[j] * factor[j]
        mean = X[state + at : state + at + k]
        difference = X[state + size + at : state + size + at + k] if dyadic else none
        activate(kind, leak, slope, top, a, d, mean, difference)
    residual, magnitude = _float(m, error_a), _float(m, size_a)
    relative = 0.0
    finite = math.isfinite(magnitude)
    if dyadic:
        error, of = _float(m, error_d), _float(m, size_d)
        finite = finite and math.isfinite(of)
        epsilon = s.real[F_EPSILON]
        if not (error <= epsilon):
            relative = (error - epsilon) / of if of > 0.0 else math.inf
    v = s.values[b]
    v[V_RESIDUAL], v[V_RELATIVE] = residual, relative
    s.blocks[b, S_FIRED] = tick
    # The condition is written so that NaN is over tolerance too.
    if not (residual <= s.real[F_TOLERANCE] and relative <= s.real[F_TOLERANCE_DIFFERENCE]):
        s.blocks[b, S_OVER] = tick
    v[V_WORST] = max(v[V_WORST], residual if finite else math.inf)


@compiled
def _float(m, bits):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the float with these bits, as float64."""
    m.row_bits[0] = bits
    return float(m.row[0])


@compiled
def _mask(t, m, s, b, tick):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Write η of each number: 0 where a neuron does not update at this tick."""
    rows, n = s.reg[REG_ROWS], t.blocks[b, B_SIZE]
    key, eta, rates = t.blocks[b, B_KEY_CLOCK], t.blocks[b, B_ETA], t.blocks[b, B_RATES]
    seek(s.draw, t.keys[key, 0], t.keys[key, 1], tick, s.reg[REG_PHASE], s.reg[REG_LANE], s.reg[REG_RELAXATION])
    for j in range(n):
        fires = uniform(s.draw) < t.real[b, R_CLOCK]
        m.X[eta + j] = m.X[rates + j] if fires else m.X.dtype.type(0)
    for row in range(1, rows):
        copied(m.X, eta, eta + row * n, n)


@compiled
def _take(t, m, s, b):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Advance to the next state; note for each stream whether its bits have changed."""
    X = m.X
    size = s.reg[REG_ROWS] * t.blocks[b, B_SIZE]
    old = state_of(t, s, b)
    before = s.meta[t.blocks[b, B_META] + (s.blocks[b, S_COUNT] & (t.blocks[b, B_DEPTH] - 1)), M_DYADIC]
    s.blocks[b, S_COUNT] += 1
    new = state_of(t, s, b)
    count = s.blocks[b, S_COUNT]
    if differs(X[new : new + size], X[old : old + size]):
        s.blocks[b, S_MEAN_SINCE] = count
    if s.blocks[b, S_DYADIC] and (
        before == 0 or differs(X[new + size : new + 2 * size], X[old + size : old + 2 * size])
    ):
        s.blocks[b, S_DIFFERENCE_SINCE] = count


@compiled
def note(t, s, b, tick):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Write the metadata of the present state: when it was sent, and since when its streams have had their bits."""
    slot = s.blocks[b, S_COUNT] & (t.blocks[b, B_DEPTH] - 1)
    meta = s.meta[t.blocks[b, B_META] + slot]
    meta[M_TICK] = tick
    meta[M_MEAN_SINCE] = s.blocks[b, S_MEAN_SINCE]
    meta[M_DIFFERENCE_SINCE] = s.blocks[b, S_DIFFERENCE_SINCE]
    meta[M_DYADIC] = s.blocks[b, S_DYADIC]
    meta[M_STAMP] = s.reg[REG_NOW]
    return slot


@apart
def emit(t, m, s, b, tick):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Send state to the blocks above, which read it in place unless it is coarse, and feedback to the blocks below."""
    _take(t, m, s, b)
    if s.reg[REG_AVERAGE] >= 0 and tick >= s.reg[REG_AVERAGE]:
        _average(t, m, s, b, tick)
    X = m.X
    rows = s.reg[REG_ROWS]
    dyadic = s.blocks[b, S_DYADIC] == 1
    s.blocks[b, S_SPEAKING] += dyadic
    slot = note(t, s, b, tick)
    state = state_of(t, s, b)
    n = t.blocks[b, B_SIZE]
    axons = t.blocks[b, B_AXONS_END] if t.blocks[b, B_COARSE] else t.blocks[b, B_AXONS]
    for k in range(t.blocks[b, B_AXONS], axons):
        c = 2 * t.axons[k]
        if t.channels[c, C_COARSE]:
            mean, difference = carries(t, c, dyadic)
            into = t.channels[c, C_RING] + slot * t.channels[c, C_SLOT]
            copied(X, state, into, (1 + difference) * rows * n)
            coarsen(t, m, s, c, into, mean, difference, tick)
    links = t.blocks[b, B_LINKS] if t.blocks[b, B_FUSED] else t.blocks[b, B_LINKS_END]
    for link in range(t.blocks[b, B_LINKS], links):
        feedback(t, m, s, link, slot)
        if not t.links[link, L_FIXED_CACHE]:
            continue
        c = 2 * link + 1
        mean, difference = carries(t, c, dyadic)
        width = t.blocks[t.links[link, L_PRE], B_SIZE]
        size = rows * width
        into, cache = t.channels[c, C_RING] + slot * t.channels[c, C_SLOT], t.links[link, L_CACHE]
        if mean:
            copied(X, cache, into, size)
        if difference:
            copied(X, cache + size, into + size, size)
        if t.blocks[b, B_NOISE] >= 0:
            _read_anew(t, m, s, b, link, into, mean, dyadic, tick)
        if t.channels[c, C_COARSE]:
            coarsen(t, m, s, c, into, mean, difference, tick)


@apart
def _read_anew(t, m, s, b, link, into, mean, dyadic, tick):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add the noise of reading the synapses backward; it is drawn for both streams, even if the first is not sent."""
    X = m.X
    rows, n = s.reg[REG_ROWS], t.blocks[b, B_SIZE]
    width = t.blocks[t.links[link, L_PRE], B_SIZE]
    size = rows * width
    at = (tick, s.reg[REG_PHASE], s.reg[REG_LANE], s.reg[REG_RELAXATION])
    key, scale, kappa = t.links[link, L_KEY_BACKWARD], t.read[link], t.kappa[link]
    out = X[into : into + (1 + dyadic) * size]
    if not mean:
        # The place of the first stream is not read.
        out[:size] = X.dtype.type(0)
    state, plan = state_of(t, s, b), t.links[link, L_PLAN]
    if plan != NONE:
        switches = t.links[link, L_SWITCHES]
        planned_noise(t, m, s, plan, switches, key, at, X, state, rows, 1 + dyadic, into, False, scale, kappa)
    else:
        read_noise(t, X, state, s.draw, key, at, 1 + dyadic, rows, n, width, scale, out, kappa)


@apart
def feedback(t, m, s, link, slot):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Compute (κθᵀm, θᵀd) of the present state; a stream that has not changed is copied instead."""
    if t.links[link, L_FUSED] or t.links[link, L_CALLED]:
        return
    X = m.X
    b = t.links[link, L_POST]
    rows, n, width = s.reg[REG_ROWS], t.blocks[b, B_SIZE], t.blocks[t.links[link, L_PRE], B_SIZE]
    size = rows * width
    k, kappa = s.links[link], t.kappa[link]
    mean, difference = kappa != 0.0, s.blocks[b, S_DYADIC] == 1
    streams = 1 * mean + difference
    depth, room = t.blocks[b, B_DEPTH], t.links[link, L_CACHE_SLOT]
    old = new = t.links[link, L_CACHE]
    if not t.links[link, L_FIXED_CACHE]:
        old += ((slot - 1) & (depth - 1)) * room
        new += slot * room
    mean_since, difference_since = s.blocks[b, S_MEAN_SINCE], s.blocks[b, S_DIFFERENCE_SINCE]
    last = k[K_CACHED] == 1
    kept = last and k[K_STREAMS] == streams
    same_mean = not mean or (last and k[K_CACHED_MEAN] == mean_since)
    same_difference = not difference or (kept and k[K_CACHED_DIFFERENCE] == difference_since)
    state = state_of(t, s, b)
    if k[K_SWITCHED] != k[K_CHOSEN]:
        k[K_SWITCHED] = k[K_CHOSEN]
        same_mean, same_difference = not mean, not difference
    if mean and difference and not same_mean and not same_difference:
        _transposed(t, m, s, link, state, 2 * rows, new)
        scaled(X[new : new + size], kappa)
    else:
        if mean and same_mean and last:
            if new != old:
                copied(X, old, new, size)
        elif mean:
            _transposed(t, m, s, link, state, rows, new)
            scaled(X[new : new + size], kappa)
        if difference and same_difference and last:
            if new != old:
                copied(X, old + size, new + size, size)
        elif difference:
            _transposed(t, m, s, link, state + rows * n, rows, new + size)
    if not (kept and same_mean and same_difference):
        k[K_CACHED], k[K_STREAMS] = 1, streams
        k[K_CACHED_MEAN], k[K_CACHED_DIFFERENCE] = mean_since, difference_since


@compiled
def _transposed(t, m, s, link, d, rows, into):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Compute θᵀd of rows at `d`."""
    if t.links[link, L_PLAN] != NONE:
        back(t, m, s, link, d, rows, into)
        return
    n, width = t.blocks[t.links[link, L_POST], B_SIZE], t.blocks[t.links[link, L_PRE], B_SIZE]
    times(m.X, d, rows, n, m.V, t.links[link, L_WEIGHTS], width, m.X, into)


@apart
def _average(t, m, s, b, tick):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add (m, d), and the held state of every presynaptic block, to their sums."""
    rows = s.reg[REG_ROWS]
    first = s.blocks[b, S_AVERAGED] == 0
    streams = 1 + s.blocks[b, S_DYADIC]
    had = s.blocks[b, S_AVERAGED_STREAMS]
    s.blocks[b, S_AVERAGED_STREAMS] = add(
        m, t.blocks[b, B_AVERAGE], state_of(t, s, b), rows * t.blocks[b, B_SIZE], streams, had, first
    )
    for link in range(t.blocks[b, B_LINKS], t.blocks[b, B_LINKS_END]):
        at, difference, _, _, _ = held(t, s, 2 * link, tick)
        size = rows * t.blocks[t.links[link, L_PRE], B_SIZE]
        had = s.links[link, K_AVERAGED_STREAMS]
        s.links[link, K_AVERAGED_STREAMS] = add(m, t.links[link, L_AVERAGE], at, size, 1 + difference, had, first)
    s.blocks[b, S_AVERAGED] += 1


@compiled
def add(m, total, at, size, streams, had, first):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add a term to a sum and return its number of streams; streams that earlier terms lacked count as zeros."""
    known = 0 if first else had
    for stream in range(streams):
        x = m.X[at + stream * size : at + (stream + 1) * size]
        into = m.wide[total + stream * size : total + (stream + 1) * size]
        if stream < known:
            for j in range(size):
                into[j] += float(x[j])
        else:
            for j in range(size):
                into[j] = float(x[j])
    return max(known, streams)
