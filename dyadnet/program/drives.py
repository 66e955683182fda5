"""Compiled drives of a firing block: held messages, products and the nudge, as lists of terms."""

from __future__ import annotations

from dyadnet.numerics.blas import times, times_transposed
from dyadnet.numerics.draws import seek
from dyadnet.numerics.elementwise import CALLED_LOSS, NO_LOSS, SQUARED_ERROR, copied, softmax_nudge
from dyadnet.numerics.kernels import apart, compiled
from dyadnet.program.channels import drawn, read_noise
from dyadnet.program.products import chooses, onward, planned_noise
from dyadnet.program.tables import (
    B_DEPTH,
    B_INCOMING,
    B_INCOMING_END,
    B_INPUT,
    B_KEY_NUDGE,
    B_KEY_READ,
    B_LOSS,
    B_META,
    B_NOISE,
    B_NUDGE,
    B_PLAN,
    B_RING,
    B_RING_SLOT,
    B_SIZE,
    B_SWITCHES,
    C_DELAY,
    C_FRESH,
    C_HELD,
    C_MASK,
    C_META,
    C_RING,
    C_SLOT,
    C_SOURCE,
    F_BETA,
    H_DIFFERENCE,
    H_DIFFERENCE_SINCE,
    H_MEAN_SINCE,
    H_TICK,
    I_DELAY,
    I_HELD,
    I_LINK,
    I_SIZE,
    I_SOURCE,
    I_UP,
    I_WEIGHTS,
    K_CHOSEN,
    K_DIFFERENCE,
    K_MEAN,
    L_KEY_FORWARD,
    L_NOISE,
    L_PLAN,
    L_POST,
    L_PRE,
    L_PRODUCT,
    L_SWITCHES,
    L_TURNED,
    L_WEIGHTS,
    M_DIFFERENCE_SINCE,
    M_DYADIC,
    M_MEAN_SINCE,
    M_TICK,
    NONE,
    R_NUDGE,
    REG_LANE,
    REG_PHASE,
    REG_RELAXATION,
    REG_ROWS,
    REG_RUN,
    REG_RUN_END,
    REG_SERIAL,
    REG_SIDE,
    RUN,
    S_COUNT,
    S_DYADIC,
    T_BACKWARD,
    T_INNER,
    T_OFFSET,
    T_WEIGHTS,
    T_WIDTH,
)

LONG = 4
"""Least number of synapses in a run; a run is summed up before the base is added."""


@compiled
def held(t, s, c, tick):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return what is held of a channel at a tick.

    Returns
    -------
    tuple
        Offset of the means; whether there are differences; since when means and differences have had their bits; when
        the message was sent.
    """
    if t.channels[c, C_HELD] >= 0:
        h = s.channels[c]
        return (
            t.channels[c, C_HELD],
            h[H_DIFFERENCE] == 1,
            h[H_MEAN_SINCE],
            h[H_DIFFERENCE_SINCE],
            h[H_TICK],
        )
    source = t.channels[c, C_SOURCE]
    sent = tick - t.channels[c, C_DELAY]
    count = s.fired_by[source, sent & (s.fired_by.shape[1] - 1)] if sent > 0 else 0
    slot = count & t.channels[c, C_MASK]
    meta = s.meta[t.channels[c, C_META] + slot]
    difference = meta[M_DYADIC] == 1
    if c & 1 == 0:
        difference = difference and t.kappa[c >> 1] != 0.0
    offset = t.channels[c, C_RING] + slot * t.channels[c, C_SLOT]
    if t.channels[c, C_FRESH]:
        return offset, difference, count, count, meta[M_TICK]
    return offset, difference, meta[M_MEAN_SINCE], meta[M_DIFFERENCE_SINCE], meta[M_TICK]


@compiled
def state_of(t, s, b):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the offset of the present m."""
    slot = s.blocks[b, S_COUNT] & (t.blocks[b, B_DEPTH] - 1)
    return t.blocks[b, B_RING] + slot * t.blocks[b, B_RING_SLOT]


@apart
def forward(t, m, s, link, tick):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Compute θ·m_pre and θ·d_pre of the held message, as far as it has changed.

    Returns
    -------
    tuple
        Whether there are differences, and the offset of the held message.
    """
    at, difference, mean_since, difference_since, _ = held(t, s, 2 * link, tick)
    k = s.links[link]
    pre, post = t.links[link, L_PRE], t.links[link, L_POST]
    rows, width, size = s.reg[REG_ROWS], t.blocks[pre, B_SIZE], t.blocks[post, B_SIZE]
    product, w = t.links[link, L_PRODUCT], t.links[link, L_WEIGHTS]
    new_mean = mean_since != k[K_MEAN]
    new_difference = difference and difference_since != k[K_DIFFERENCE]
    planned = t.links[link, L_PLAN] != NONE
    chosen = planned and new_mean and chooses(t, s, link)
    if chosen:
        new_difference = difference
        k[K_CHOSEN] = mean_since
    if new_mean or new_difference:
        first = 0 if new_mean else rows
        count = 2 * rows if new_mean and new_difference else rows
        x, into = at + first * width, product + first * size
        if planned:
            onward(t, m, s, link, x, count, rows if chosen else 0, into)
        elif t.links[link, L_TURNED]:
            times(m.X, x, count, width, m.F, w, size, m.X, into)
        else:
            times_transposed(m.X, x, count, width, m.W, w, size, m.X, into)
    k[K_MEAN] = mean_since
    if difference:
        k[K_DIFFERENCE] = difference_since
    return difference, at


@compiled
def lacking(t, s, link, tick):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return which products of a link Python must compute from the held message, and mark them as computed.

    Returns
    -------
    tuple
        Offset of the held message, and whether its means and its differences have changed.
    """
    at, difference, mean_since, difference_since, _ = held(t, s, 2 * link, tick)
    k = s.links[link]
    new_mean = mean_since != k[K_MEAN]
    new_difference = difference and difference_since != k[K_DIFFERENCE]
    k[K_MEAN] = mean_since
    if difference:
        k[K_DIFFERENCE] = difference_since
    return at, new_mean, new_difference


@apart
def drives(t, m, s, b, tick):  # type: ignore[no-untyped-def]  # pragma: no cover
    """List the terms of A*, except the base, and of D*: offsets and factors; return both counts (paper, eq. 8)."""
    rows, n = s.reg[REG_ROWS], t.blocks[b, B_SIZE]
    size = rows * n
    X, lane = m.X, s.reg[REG_LANE]
    at = (tick, s.reg[REG_PHASE], lane, s.reg[REG_RELAXATION])
    means = 0
    differences = 0
    s.reg[REG_RUN_END], s.reg[REG_RUN_END + 1] = 0, s.runs.shape[0] // 2
    reads = t.blocks[b, B_NOISE] >= 0
    if reads and t.blocks[b, B_INPUT] >= 0:
        noise = t.blocks[b, B_NOISE]
        X[noise : noise + size] = X.dtype.type(0)
        out = X[noise : noise + size]
        fan = m.inputs.shape[0] // max(rows, 1)
        key, scale, plan = t.blocks[b, B_KEY_READ], t.read[t.links.shape[0] + b], t.blocks[b, B_PLAN]
        if plan != NONE:
            switches = t.blocks[b, B_SWITCHES]
            planned_noise(t, m, s, plan, switches, key, at, m.inputs, 0, rows, 1, noise, True, scale, 1.0)
        else:
            read_noise(t, m.inputs, 0, s.draw, key, at, 1, rows, fan, n, scale, out, 1.0)
        means = _term(s, 0, means, noise, 1.0)
    single = n == 1
    open_ = -1
    upward = True
    for k in range(t.blocks[b, B_INCOMING], t.blocks[b, B_INCOMING_END]):
        r = t.incoming[k]
        link, width, w, up = r[I_LINK], r[I_SIZE], r[I_WEIGHTS], r[I_UP] == 1
        kappa = t.kappa[link]
        alone = single and width == 1 and w >= 0
        if open_ >= 0 and not (alone and up == upward and kappa == t.kappa[open_]):
            means, differences = _close(t, s, open_, not upward, means, differences)
            open_ = -1
        if w >= 0:
            x, difference, _ = read(t, s, r, tick)
            mean = up or kappa != 0.0
            if alone:
                if open_ < 0:
                    open_, upward = link, up
                    _open(s)
                _synapse(s, x, rows, w, mean, difference)
                continue
            if mean:
                means = _product_term(s, 0, means, x, 1.0, w, width, not up, 1.0 if up else kappa)
            if difference:
                factor = kappa if up else 1.0
                differences = _product_term(s, 1, differences, x + rows * width, factor, w, width, not up, 1.0)
            continue
        if not up:
            x, difference, _, _, _ = held(t, s, 2 * link + 1, tick)
            if kappa != 0.0:
                means = _term(s, 0, means, x, 1.0)
            if difference:
                differences = _term(s, 1, differences, x + size, 1.0)
            continue
        difference, x = forward(t, m, s, link, tick)
        product = t.links[link, L_PRODUCT]
        if reads:
            noisy, streams = t.links[link, L_NOISE], 1 + difference
            copied(X, product, noisy, streams * size)
            out = X[noisy : noisy + streams * size]
            key, scale, plan = t.links[link, L_KEY_FORWARD], t.read[link], t.links[link, L_PLAN]
            if plan != NONE:
                switches = t.links[link, L_SWITCHES]
                planned_noise(t, m, s, plan, switches, key, at, X, x, rows, streams, noisy, True, scale, 1.0)
            else:
                read_noise(t, X, x, s.draw, key, at, streams, rows, width, n, scale, out, 1.0)
            product = noisy
        means = _term(s, 0, means, product, 1.0)
        if difference:
            differences = _term(s, 1, differences, product + size, kappa)
    if open_ >= 0:
        means, differences = _close(t, s, open_, not upward, means, differences)
    beta = s.real[F_BETA]
    if beta != 0.0 and t.blocks[b, B_LOSS] != NO_LOSS:
        nudge = t.blocks[b, B_NUDGE]
        if t.blocks[b, B_LOSS] != CALLED_LOSS:
            _nudge(t, m, s, b)
        if t.real[b, R_NUDGE] > 0.0:
            _disturb_nudge(t, m, s, b, at)
        if s.reg[REG_SIDE] != 0:
            means = _term(s, 0, means, nudge, -s.reg[REG_SIDE] * beta)
        else:
            means = _term(s, 0, means, nudge + size, -beta)
            differences = _term(s, 1, differences, nudge, -beta)
    return means, differences


@compiled
def read(t, s, r, tick):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the offset of what is held for a row of `Tables.incoming`, whether it has differences, and its tick."""
    source, up = r[I_SOURCE], r[I_UP] == 1
    if source < 0:
        c = 2 * r[I_LINK] + (0 if up else 1)
        if r[I_HELD] >= 0:
            return r[I_HELD], s.channels[c, H_DIFFERENCE] == 1, s.channels[c, H_TICK]
        x, difference, _, _, sent = held(t, s, c, tick)
        return x, difference, sent
    # All readers of a state with the same delay find the same, so each thread looks it up once.
    seen, at = s.seen[source], max(tick - r[I_DELAY], 0)
    key = (s.reg[REG_SERIAL] << 32) + at
    if seen[0] != key:
        count = s.fired_by[source, at & (s.fired_by.shape[1] - 1)] if at > 0 else 0
        slot = count & (t.blocks[source, B_DEPTH] - 1)
        meta = s.meta[t.blocks[source, B_META] + slot]
        seen[0], seen[1] = key, t.blocks[source, B_RING] + slot * t.blocks[source, B_RING_SLOT]
        seen[2], seen[3] = meta[M_DYADIC], meta[M_TICK]
    return seen[1], seen[2] == 1 and (not up or t.kappa[r[I_LINK]] != 0.0), seen[3]


@compiled
def _open(s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Begin a run of single synapses, for means and for differences."""
    for which in range(2):
        s.reg[REG_RUN + which] = s.reg[REG_RUN_END + which]


@compiled
def _synapse(s, x, rows, w, mean, difference):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add one synapse to the present run."""
    if mean:
        place = s.reg[REG_RUN_END]
        s.runs[place, 0], s.runs[place, 1] = x, w
        s.reg[REG_RUN_END] = place + 1
    if difference:
        place = s.reg[REG_RUN_END + 1]
        s.runs[place, 0], s.runs[place, 1] = x + rows, w
        s.reg[REG_RUN_END + 1] = place + 1


@compiled
def _close(t, s, link, backward, means, differences):  # type: ignore[no-untyped-def]  # pragma: no cover
    """List the terms of a run; a short run has a term for each synapse. Return the new counts of both kinds."""
    kappa = t.kappa[link]
    for which in range(2):
        first, end = s.reg[REG_RUN + which], s.reg[REG_RUN_END + which]
        # On the way up κ is a factor of the term; on the way down it is part of the message.
        factor = kappa if which == 1 and not backward else 1.0
        scale = kappa if which == 0 and backward else 1.0
        count = means if which == 0 else differences
        if end - first >= LONG:
            count = _product_term(s, which, count, first, factor, RUN, end - first, backward, scale)
        else:
            for k in range(first, end):
                count = _product_term(s, which, count, s.runs[k, 0], factor, s.runs[k, 1], 1, backward, scale)
        if which == 0:
            means = count
        else:
            differences = count
    return means, differences


@compiled
def _term(s, which, count, offset, factor):  # type: ignore[no-untyped-def]  # pragma: no cover
    """List one term of A* (0) or D* (1); return the new count."""
    return _product_term(s, which, count, offset, factor, NONE, 0, False, 1.0)


@compiled
def _product_term(s, which, count, offset, factor, weights, inner, backward, kappa):  # type: ignore[no-untyped-def]  # pragma: no cover
    """List one term, before all terms without a factor if it has one; return the new count."""
    first = which * (s.terms.shape[0] // 2)
    place = first + count
    if factor != 1.0:
        while place > first and s.factors[place - 1, 0] == 1.0:
            for k in range(T_WIDTH):
                s.terms[place, k] = s.terms[place - 1, k]
            s.factors[place, 0], s.factors[place, 1] = s.factors[place - 1, 0], s.factors[place - 1, 1]
            place -= 1
    term = s.terms[place]
    term[T_OFFSET], term[T_WEIGHTS], term[T_INNER], term[T_BACKWARD] = offset, weights, inner, backward
    s.factors[place, 0], s.factors[place, 1] = factor, kappa
    return count + 1


@compiled
def _nudge(t, m, s, b):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Compute the mean and half difference of ∇ℓ(s±) from the present state."""
    X = m.X
    rows, n = s.reg[REG_ROWS], t.blocks[b, B_SIZE]
    size = rows * n
    nudge, state = t.blocks[b, B_NUDGE], state_of(t, s, b)
    mean, difference = X[nudge : nudge + size], X[nudge + size : nudge + 2 * size]
    present = X[state : state + size]
    if s.blocks[b, S_DYADIC]:
        copied(X, state + size, nudge + size, size)
    else:
        difference[:] = X.dtype.type(0)
    if t.blocks[b, B_LOSS] == SQUARED_ERROR:
        for j in range(size):
            mean[j] = present[j] - m.targets[j]
    else:
        softmax_nudge(present, difference, m.targets, rows, mean, difference)


@compiled
def _disturb_nudge(t, m, s, b, at):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add noise to the nudge: ∇ℓ(s±) + σξ±."""
    X = m.X
    number = X.dtype.type
    size = s.reg[REG_ROWS] * t.blocks[b, B_SIZE]
    nudge, key = t.blocks[b, B_NUDGE], t.blocks[b, B_KEY_NUDGE]
    half = number(0.5 * t.real[b, R_NUDGE])
    mean, difference = X[nudge : nudge + size], X[nudge + size : nudge + 2 * size]
    plus = X[nudge + 2 * size : nudge + 3 * size]
    seek(s.draw, t.keys[key, 0], t.keys[key, 1], at[0], at[1], at[2], at[3])
    for j in range(size):
        plus[j] = drawn(X, s.draw) * half
    for j in range(size):
        minus = drawn(X, s.draw) * half
        mean[j] += plus[j] + minus
        difference[j] += plus[j] - minus
