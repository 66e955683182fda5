"""Compiled beginning of a relaxation, and the switch from the first compartments to the second."""

from __future__ import annotations

from dyadnet.numerics.blas import times, times_transposed
from dyadnet.numerics.elementwise import CALLED_ACTIVATION, activate, copied
from dyadnet.numerics.kernels import apart, compiled
from dyadnet.program.channels import carries, multiplied
from dyadnet.program.drives import held, state_of
from dyadnet.program.firing import feedback, note
from dyadnet.program.products import enter, forget_switches, onward
from dyadnet.program.prospective import forget
from dyadnet.program.sync.verdicts import come, everybody, reached, stage
from dyadnet.program.sync.words import tell
from dyadnet.program.tables import (
    A_READS,
    ACTIVATE,
    B_A,
    B_ACTIVATION,
    B_AXONS,
    B_AXONS_END,
    B_BASE,
    B_BIAS,
    B_BIASES,
    B_CALLED,
    B_CALLED_INPUT,
    B_COARSE,
    B_D,
    B_DEPTH,
    B_FUSED,
    B_GAIN,
    B_HOST,
    B_INPUT,
    B_LINKS,
    B_LINKS_END,
    B_META,
    B_ORDER,
    B_PLACE,
    B_PLAN,
    B_RING,
    B_SIZE,
    B_THRESHOLD,
    B_TURN,
    BLOCKED,
    C_COARSE,
    C_HELD,
    C_LAST,
    C_LINE_WHEN,
    C_PIECEMEAL,
    C_RING,
    C_SIZE,
    C_SOURCE,
    C_WHEN,
    CHUNK_NEXT,
    CHUNK_POOL,
    D_COUNT,
    D_WIDTH,
    DONE,
    FAR,
    FEED_BACK,
    H_MEAN,
    K_DIFFERENCE,
    K_MEAN,
    L_CACHE,
    L_CALLED,
    L_FIXED_CACHE,
    L_FUSED,
    L_PLAN,
    L_POST,
    L_PRE,
    L_PRODUCT,
    L_TURN,
    L_TURNED,
    L_WEIGHTS,
    LINE,
    MULTIPLY,
    NONE,
    OUT_CHANNEL,
    POOL_FREE,
    POOL_LEFT,
    R_GAIN,
    R_LEAK,
    R_TOP,
    REG_AVERAGE,
    REG_BLOCK,
    REG_CARRY_ON,
    REG_CHECK,
    REG_CHECKS,
    REG_DELAYS,
    REG_EVENTS,
    REG_FEEDFORWARD,
    REG_HOST,
    REG_MERGES,
    REG_NOW,
    REG_PC,
    REG_PHASE,
    REG_ROUND,
    REG_ROWS,
    REG_SCRATCH,
    REG_SERIAL,
    REG_SIDE,
    REG_STAGE,
    REG_TICK,
    REG_TRACED,
    S_TURN,
)
from dyadnet.program.views import memory, tables
from dyadnet.program.views import state as lane_state


@compiled
def reset(s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Clear the state of the last relaxation, except what other hosts may still read."""
    s.blocks[:] = 0
    s.values[:] = 0.0
    s.fired_by[:] = 0
    s.links[:] = 0
    s.links[:, K_MEAN] = -1
    s.links[:, K_DIFFERENCE] = -1
    s.channels[:] = 0
    s.counts[:] = 0
    s.got[:] = 0
    s.buckets[:] = 0
    for pool in range(s.pools.shape[0]):
        s.pools[pool, POOL_FREE] = NONE
        s.pools[pool, POOL_LEFT] = 0
    for chunk in range(s.chunks.shape[0] - 1, -1, -1):
        pool = s.chunks[chunk, CHUNK_POOL]
        s.chunks[chunk, CHUNK_NEXT] = s.pools[pool, POOL_FREE]
        s.pools[pool, POOL_FREE] = chunk
        s.pools[pool, POOL_LEFT] += 1
    s.reg[REG_TICK] = s.reg[REG_EVENTS] = s.reg[REG_PC] = s.reg[REG_STAGE] = s.reg[REG_BLOCK] = 0
    s.reg[REG_PHASE] = s.reg[REG_SIDE] = 0
    s.reg[REG_SERIAL] += 1
    s.reg[REG_AVERAGE] = s.reg[REG_MERGES] = -1
    s.reg[REG_CHECK] = FAR
    s.reg[REG_CHECKS] = 0
    s.reg[REG_NOW] = s.reg[REG_TRACED] = s.reg[REG_DELAYS] = 0
    for column in range(A_READS):
        s.ages[:, column] = 0


@apart
def begin(t, m, s, like):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Set every block's initial state, in block order; neighbours hold it from tick 0, ideal and uncounted.

    Parameters
    ----------
    t, m, s, like
        See `dyadnet.program.calls`.

    Returns
    -------
    int
        `DONE`; `BLOCKED`, if it must wait for another host; or the reason to call Python for the block in `REG_BLOCK`:
        `MULTIPLY` (compute θ₀x, and the θ·m_pre that its initial state needs), `ACTIVATE`, or `FEED_BACK` (compute θᵀm
        of its initial state).
    """
    t, m, s = tables(t), memory(m, like), lane_state(s)
    while s.reg[REG_BLOCK] < t.own[0]:
        b = s.reg[REG_BLOCK]
        if s.reg[REG_STAGE] == 0:
            if b == 0:
                # The data of the last relaxation may be overwritten once no other host reads them any more.
                if not everybody(t, s, s.reg[REG_ROUND] << 32):
                    return BLOCKED
                forget(t, m)
                for k in range(t.outgoing.shape[0]):
                    when = t.channels[t.outgoing[k, OUT_CHANNEL], C_LINE_WHEN]
                    for place in range(LINE if when >= 0 else 0):
                        m.when[when + place * D_WIDTH + D_COUNT] = 0
                for link in range(t.own[1] if t.plans.shape[0] > 0 else 0):
                    forget_switches(t, m, s, link)
                for own in range(t.own[0]):
                    first = t.blocks[own, B_META]
                    s.meta[first : first + t.blocks[own, B_DEPTH]] = 0
            if not _heard_first(t, s, b):
                return BLOCKED
            s.reg[REG_STAGE] = 1
            if t.blocks[b, B_CALLED]:
                return MULTIPLY
        if s.reg[REG_STAGE] == 1:
            _first_activations(t, m, s, b)
            s.reg[REG_STAGE] = 2
            if t.blocks[b, B_ACTIVATION] == CALLED_ACTIVATION:
                return ACTIVATE
        if s.reg[REG_STAGE] == 2:
            s.reg[REG_STAGE] = 3
            if t.blocks[b, B_CALLED]:
                return FEED_BACK
        _announce(t, m, s, b)
        s.reg[REG_STAGE] = 0
        s.reg[REG_BLOCK] += 1
        if t.own[3] > 1:
            tell(s.words[s.reg[REG_HOST]], (s.reg[REG_ROUND] << 32) + s.reg[REG_BLOCK])
    come(t, s, 0)
    for k in range(t.outgoing.shape[0]):
        source = t.channels[t.outgoing[k, OUT_CHANNEL], C_SOURCE]
        if source >= t.own[0] and not reached(s, t.blocks[source, B_HOST], stage(t, s, 0)):
            return BLOCKED
    for k in range(t.outgoing.shape[0]):
        _hold_first(t, m, s, t.outgoing[k, OUT_CHANNEL])
    return DONE


@compiled
def _heard_first(t, s, b):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Whether all initial states are there that a block's initial state needs; other hosts' words tell of theirs."""
    if not s.reg[REG_FEEDFORWARD]:
        return True
    for link in range(t.blocks[b, B_LINKS], t.blocks[b, B_LINKS_END]):
        pre = t.links[link, L_PRE]
        if pre < t.own[0] or t.blocks[pre, B_ORDER] >= t.blocks[b, B_ORDER]:
            continue
        if not reached(s, t.blocks[pre, B_HOST], (s.reg[REG_ROUND] << 32) + t.blocks[pre, B_PLACE] + 1):
            return False
    return True


@apart
def _first_activations(t, m, s, b):  # type: ignore[no-untyped-def]  # pragma: no cover
    X, W = m.X, m.W
    zero = X.dtype.type(0)
    rows, n = s.reg[REG_ROWS], t.blocks[b, B_SIZE]
    size = rows * n
    base, A = t.blocks[b, B_BASE], t.blocks[b, B_A]
    count = t.blocks[b, B_BIASES]
    bias, sharing = W[t.blocks[b, B_BIAS] : t.blocks[b, B_BIAS] + count], n // count
    if t.blocks[b, B_INPUT] >= 0:
        features = m.inputs.shape[0] // max(rows, 1)
        if t.blocks[b, B_PLAN] != NONE:
            enter(t, m, s, b, t.blocks[b, B_INPUT], base)
        elif not t.blocks[b, B_CALLED_INPUT]:
            times_transposed(m.inputs, 0, rows, features, W, t.blocks[b, B_INPUT], n, X, base)
    else:
        X[base : base + size] = zero
    for row in range(rows):
        into = X[base + row * n : base + (row + 1) * n]
        if sharing == 1:
            for j in range(n):
                into[j] += bias[j]
            continue
        for k in range(count):
            for j in range(k * sharing, (k + 1) * sharing):
                into[j] += bias[k]
    a = X[A : A + size]
    if not s.reg[REG_CARRY_ON]:
        a[:] = zero
    if s.reg[REG_FEEDFORWARD]:
        constant = X[base : base + size]
        for j in range(size):
            a[j] += constant[j]
        for link in range(t.blocks[b, B_LINKS], t.blocks[b, B_LINKS_END]):
            if t.blocks[t.links[link, L_PRE], B_ORDER] >= t.blocks[b, B_ORDER]:
                continue
            fused = t.links[link, L_FUSED] == 1
            into = s.reg[REG_SCRATCH] if fused else t.links[link, L_PRODUCT]
            _forward_first(t, m, s, link, into)
            product = X[into : into + size]
            for j in range(size):
                a[j] += product[j]
    X[t.blocks[b, B_D] : t.blocks[b, B_D] + size] = zero
    if t.blocks[b, B_ACTIVATION] == CALLED_ACTIVATION:
        return
    state = state_of(t, s, b)
    mean = X[state : state + size]
    gain, threshold = t.blocks[b, B_GAIN], t.blocks[b, B_THRESHOLD]
    for j in range(size):
        value = a[j]
        if threshold >= 0:
            value = value - X[threshold + j]
        if gain >= 0:
            value = value * X[gain + j]
        mean[j] = value
    activate(
        t.blocks[b, B_ACTIVATION], t.real[b, R_LEAK], t.real[b, R_GAIN], t.real[b, R_TOP], mean, mean, mean, X[0:0]
    )


@compiled
def _forward_first(t, m, s, link, into):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Compute θ·m of the initial state, which its receiver already holds."""
    s.links[link, K_MEAN] = 0
    if t.links[link, L_CALLED]:
        return
    pre, b, w = t.links[link, L_PRE], t.links[link, L_POST], t.links[link, L_WEIGHTS]
    x, rows, width, n = t.blocks[pre, B_RING], s.reg[REG_ROWS], t.blocks[pre, B_SIZE], t.blocks[b, B_SIZE]
    if t.links[link, L_PLAN] != NONE:
        onward(t, m, s, link, x, rows, rows, into)
    elif t.links[link, L_TURNED]:
        times(m.X, x, rows, width, m.F, w, n, m.X, into)
    else:
        times_transposed(m.X, x, rows, width, m.W, w, n, m.X, into)


@apart
def _announce(t, m, s, b):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Send the initial state as ideal messages."""
    X = m.X
    note(t, s, b, 0)
    state = state_of(t, s, b)
    rows, n = s.reg[REG_ROWS], t.blocks[b, B_SIZE]
    for k in range(t.blocks[b, B_AXONS], t.blocks[b, B_AXONS_END] if t.blocks[b, B_COARSE] else t.blocks[b, B_AXONS]):
        c = 2 * t.axons[k]
        if t.channels[c, C_COARSE]:
            copied(X, state, t.channels[c, C_RING], rows * n)
            _remember(t, m, s, c, state, True)
    for link in range(t.blocks[b, B_LINKS], t.blocks[b, B_LINKS] if t.blocks[b, B_FUSED] else t.blocks[b, B_LINKS_END]):
        feedback(t, m, s, link, 0)
        if not t.links[link, L_FIXED_CACHE]:
            continue
        c = 2 * link + 1
        cache = t.links[link, L_CACHE]
        mean, _ = carries(t, c, False)
        if mean:
            copied(X, cache, t.channels[c, C_RING], rows * t.channels[c, C_SIZE])
        if t.channels[c, C_COARSE]:
            _remember(t, m, s, c, cache, mean)


@compiled
def _remember(t, m, s, c, at, mean):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Set what send-on-delta has last sent to the initial message; a stream that was not sent counts as zeros."""
    last = t.channels[c, C_LAST]
    if last < 0:
        return
    size = s.reg[REG_ROWS] * t.channels[c, C_SIZE]
    m.X[last : last + 2 * size] = m.X.dtype.type(0)
    if mean:
        copied(m.X, at, last, size)


@apart
def _hold_first(t, m, s, c):  # type: ignore[no-untyped-def]  # pragma: no cover
    rows = s.reg[REG_ROWS]
    size, into = rows * t.channels[c, C_SIZE], t.channels[c, C_HELD]
    m.X[into : into + 2 * size] = m.X.dtype.type(0)
    mean, _ = carries(t, c, False)
    # Read from the first slot of the ring.
    if c & 1 == 1 and t.links[c >> 1, L_FUSED]:
        multiplied(t, m, s, c, t.channels[c, C_RING], mean, False, into)
    elif mean:
        copied(m.X, t.channels[c, C_RING], into, size)
    s.channels[c, H_MEAN] = mean
    if t.channels[c, C_PIECEMEAL]:
        m.when[t.channels[c, C_WHEN] : t.channels[c, C_WHEN] + 2 * size] = 0


@compiled
def keep_turn(t, m, s, tick):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Store u of every block, and of its presynaptic blocks as held at a tick; see `dyadnet.timing.alternating`."""
    rows = s.reg[REG_ROWS]
    for b in range(t.own[0]):
        copied(m.X, state_of(t, s, b), t.blocks[b, B_TURN], rows * t.blocks[b, B_SIZE])
        for link in range(t.blocks[b, B_LINKS], t.blocks[b, B_LINKS_END]):
            at, _, _, _, _ = held(t, s, 2 * link, tick)
            copied(m.X, at, t.links[link, L_TURN], rows * t.blocks[t.links[link, L_PRE], B_SIZE])
        s.blocks[b, S_TURN] = 1


@compiled
def announce(t, m, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Make all neighbours hold the states that blocks were set to before the first tick."""
    for b in range(t.own[0]):
        _announce(t, m, s, b)
    for c in range(t.channels.shape[0]):
        if t.channels[c, C_HELD] >= 0:
            _hold_first(t, m, s, c)
