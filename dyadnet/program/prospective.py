"""Compiled prospective neurons: extrapolate a block's drives to the present from what it held before.

A receiver keeps what it held of each channel at its last firings, products of states and feedback alike, with the
number of the sender's firing: a history with one entry more than the span. At a firing it adds to the drive

    γ·age·(held − held before)/(firings of the sender between the two)

for every channel, where the age of what is held counts firings of its sender. Nothing is multiplied by synapses again.
The sender is not asked for anything, so it may be on any host. See `dyadnet.dynamics.prospective` for the theory.

In real time ages and spans are computed from time stamps, and `MOMENTS` products of a channel are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from dyadnet.dynamics.prospective import lag
from dyadnet.numerics.elementwise import copied
from dyadnet.numerics.kernels import FLUSH, apart, compiled
from dyadnet.program.drives import held
from dyadnet.program.tables import (
    B_AXONS,
    B_AXONS_END,
    B_CORRECTION,
    B_LINKS,
    B_LINKS_END,
    B_NOISE,
    B_SIZE,
    BY_NEURON,
    C_DELAY,
    C_GROUPS,
    C_GROUPS_END,
    C_HELD,
    C_HISTORY,
    C_HISTORY_SLOT,
    C_HISTORY_WHEN,
    C_LAW,
    C_MASK,
    C_META,
    C_SIZE,
    C_SOURCE,
    C_SPAN,
    C_TARGET,
    F_GAMMA,
    F_SPAN,
    G_DELAY,
    G_END,
    G_START,
    H_COUNT,
    H_STAMP,
    L_NOISE,
    L_POST,
    L_PRODUCT,
    M_STAMP,
    NONE,
    P_LAG,
    P_RATE,
    REG_INTERVAL,
    REG_NOW,
    REG_ROWS,
    Draft,
)

# Columns of a history: its newest slot, number of slots in use; then for each slot the firing and whether it has
# differences.
NEWEST, KEPT, SLOTS = range(3)


def keep_histories(
    made: Draft,
    own: int,
    rates: Sequence[float],
    span: int,
    rows: int,
    room: Callable[[int], int],
    whole: Callable[[int], int],
) -> None:
    """Reserve a history for every channel that ends here, and for every block space for the correction of its drives.

    Parameters
    ----------
    made
        Tables under construction.
    own
        Number of blocks of this process, which come first.
    rates
        Firings per tick of each block.
    span, rows
        Firings over which a difference is taken (in real time: number of moments kept, minus one); samples in a lane.
    room, whole
        Reserve the given number of floating-point numbers, or of integers, and return their offset.
    """
    for row in made.blocks[:own]:
        row[B_CORRECTION] = room(2 * rows * int(row[B_SIZE]))
    for channel, row in enumerate(made.channels):
        if row[C_TARGET] >= own:
            continue
        size = made.blocks[made.links[channel >> 1, L_POST], B_SIZE] if channel & 1 == 0 else row[C_SIZE]
        slot = 2 * rows * int(size)
        row[C_SPAN], row[C_HISTORY_SLOT] = span, slot
        row[C_HISTORY] = room((span + 1) * slot)
        row[C_HISTORY_WHEN] = whole(SLOTS + 2 * (span + 1))
        made.chances[channel, P_RATE] = rates[row[C_SOURCE]]
        if row[C_LAW] == BY_NEURON:
            parts = made.groups[row[C_GROUPS] : row[C_GROUPS_END]]
            made.chances[channel, P_LAG] = lag([g[G_DELAY] for g in parts], [g[G_END] - g[G_START] for g in parts])


@compiled
def forget(t, m):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Empty all histories, at the beginning of a relaxation."""
    for c in range(t.channels.shape[0] if t.blocks[0, B_CORRECTION] >= 0 else 0):
        when = t.channels[c, C_HISTORY_WHEN]
        if when >= 0:
            m.when[when + NEWEST] = 0
            m.when[when + KEPT] = 0


@apart
def correct(t, m, s, b, tick):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Compute what prospective neurons add to A* and D*, from all that a firing block holds.

    The products are those that `drives` has just computed, with the noise of this read if reading synapses is noisy.
    """
    X = m.X
    rows, n = s.reg[REG_ROWS], t.blocks[b, B_SIZE]
    size = rows * n
    total = t.blocks[b, B_CORRECTION]
    X[total : total + 2 * size] = X.dtype.type(0)
    for link in range(t.blocks[b, B_LINKS], t.blocks[b, B_LINKS_END]):
        _, difference, _, _, sent = held(t, s, 2 * link, tick)
        product = t.links[link, L_NOISE] if t.blocks[b, B_NOISE] >= 0 else t.links[link, L_PRODUCT]
        _extrapolate(t, m, s, 2 * link, product, size, tick, sent, True, difference, t.kappa[link], total)
    for k in range(t.blocks[b, B_AXONS], t.blocks[b, B_AXONS_END]):
        link = t.axons[k]
        c = 2 * link + 1
        x, difference, _, _, sent = held(t, s, c, tick)
        _extrapolate(t, m, s, c, x, size, tick, sent, t.kappa[link] != 0.0, difference, 1.0, total)


@apart
def correct_freely(t, m, s, b, tick):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Do the same as `correct` in real time: γ·age·(held − held before)/(time between the two); age includes Δt/2."""
    X = m.X
    rows, n = s.reg[REG_ROWS], t.blocks[b, B_SIZE]
    size = rows * n
    total = t.blocks[b, B_CORRECTION]
    X[total : total + 2 * size] = X.dtype.type(0)
    for link in range(t.blocks[b, B_LINKS], t.blocks[b, B_LINKS_END]):
        _, difference, _, _, _ = held(t, s, 2 * link, tick)
        product = t.links[link, L_NOISE] if t.blocks[b, B_NOISE] >= 0 else t.links[link, L_PRODUCT]
        _extrapolate_freely(t, m, s, 2 * link, product, size, tick, True, difference, t.kappa[link], total)
    for k in range(t.blocks[b, B_AXONS], t.blocks[b, B_AXONS_END]):
        link = t.axons[k]
        c = 2 * link + 1
        x, difference, _, _, _ = held(t, s, c, tick)
        _extrapolate_freely(t, m, s, c, x, size, tick, t.kappa[link] != 0.0, difference, 1.0, total)


@compiled
def stamp_of(t, s, c, tick):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return when the held message of a channel was sent; 0: it is the initial state."""
    if t.channels[c, C_HELD] >= 0:
        return s.channels[c, H_STAMP]
    sent = tick - t.channels[c, C_DELAY]
    if sent <= 0:
        return np.int64(0)
    count = s.fired_by[t.channels[c, C_SOURCE], sent & (s.fired_by.shape[1] - 1)]
    return s.meta[t.channels[c, C_META] + (count & t.channels[c, C_MASK]), M_STAMP]


@compiled
def _extrapolate_freely(t, m, s, c, at, size, tick, mean, difference, kappa, total):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Do the same as `_extrapolate` in real time."""
    when, moments = t.channels[c, C_HISTORY_WHEN], t.channels[c, C_SPAN] + 1
    history, slot = t.channels[c, C_HISTORY], t.channels[c, C_HISTORY_SLOT]
    stamp = stamp_of(t, s, c, tick)
    if stamp == 0:
        return
    newest, kept, span = m.when[when + NEWEST], m.when[when + KEPT], s.real[F_SPAN]
    before = NONE
    for k in range(kept):
        place = (newest - k) % moments
        if stamp - m.when[when + SLOTS + 2 * place] > 0:
            before = place
        if stamp - m.when[when + SLOTS + 2 * place] >= span:
            break
    if before >= 0:
        age = s.reg[REG_NOW] - stamp + 0.5 * s.reg[REG_INTERVAL]
        weight = s.real[F_GAMMA] * age / max(stamp - m.when[when + SLOTS + 2 * before], span)
        old = history + before * slot
        if mean:
            _add_change(m.X, at, old, total, size, weight)
        if difference and m.when[when + SLOTS + 2 * before + 1] == 1:
            _add_change(m.X, at + size, old + size, total + size, size, weight * kappa)
        elif difference:
            _add_change(m.X, at + size, -1, total + size, size, weight * kappa)
    if kept > 0 and stamp - m.when[when + SLOTS + 2 * newest] < 2.0 * span / moments:
        return
    newest = (newest + 1) % moments
    m.when[when + NEWEST], m.when[when + KEPT] = newest, min(kept + 1, moments)
    m.when[when + SLOTS + 2 * newest], m.when[when + SLOTS + 2 * newest + 1] = stamp, difference
    new = history + newest * slot
    if mean:
        copied(m.X, at, new, size)
    if difference:
        copied(m.X, at + size, new + size, size)


@compiled
def _extrapolate(t, m, s, c, at, size, tick, sent, mean, difference, kappa, total):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Update the history of one channel, whose products or feedback lie at `at`, and add its extrapolated change."""
    when, span = t.channels[c, C_HISTORY_WHEN], t.channels[c, C_SPAN]
    count = _firing(t, s, c, tick)
    newest, kept = m.when[when + NEWEST], m.when[when + KEPT]
    if kept == 0 or count > m.when[when + SLOTS + 2 * newest]:
        newest = (newest + 1) % (span + 1)
        kept = min(kept + 1, span + 1)
        m.when[when + NEWEST], m.when[when + KEPT] = newest, kept
        m.when[when + SLOTS + 2 * newest] = count
    m.when[when + SLOTS + 2 * newest + 1] = difference
    history, slot = t.channels[c, C_HISTORY], t.channels[c, C_HISTORY_SLOT]
    new = history + newest * slot
    if mean:
        copied(m.X, at, new, size)
    if difference:
        copied(m.X, at + size, new + size, size)
    if kept == 1:
        return
    before = newest
    gap = 0
    for k in range(1, kept):
        before = (newest - k) % (span + 1)
        gap = count - m.when[when + SLOTS + 2 * before]
        if gap >= span:
            break
    age = (tick - sent + t.chances[c, P_LAG]) * t.chances[c, P_RATE]
    weight = s.real[F_GAMMA] * age / max(gap, span)
    old = history + before * slot
    if mean:
        _add_change(m.X, new, old, total, size, weight)
    if difference and m.when[when + SLOTS + 2 * before + 1] == 1:
        _add_change(m.X, new + size, old + size, total + size, size, weight * kappa)
    elif difference:
        # The older entry has no differences, because no nudge had reached it: they were zero.
        _add_change(m.X, new + size, -1, total + size, size, weight * kappa)


@compiled
def _add_change(X, new, old, total, size, weight):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add weight·(new − old) to a correction; a negative `old` stands for zeros."""
    number = X.dtype.type(weight)
    into, x = X[total : total + size], X[new : new + size]
    if old < 0:
        for j in range(size):
            into[j] += number * x[j]
        return
    y = X[old : old + size]
    for j in range(size):
        into[j] += number * (x[j] - y[j])


@compiled
def _firing(t, s, c, tick):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the number of the sender's firing that sent the held message; 0: its initial state."""
    if t.channels[c, C_HELD] >= 0:
        return s.channels[c, H_COUNT]
    sent = tick - t.channels[c, C_DELAY]
    if sent <= 0:
        return np.int64(0)
    return s.fired_by[t.channels[c, C_SOURCE], sent & (s.fired_by.shape[1] - 1)]


@compiled
def lead(x, row, correction, step, eta, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Set X ← (1−η)X + η(X* + correction), X* in `row`; leave X*−X in `row`: the residual ignores the correction.

    Parameters
    ----------
    step, eta
        η of all neurons; if `eta` is not empty, it gives η of each number instead.
    out
        Also receives the new X.
    """
    number = x.dtype.type
    one, zero, flush = number(1), number(0), number(FLUSH)
    if eta.shape[0] == 0:
        rest = one - step
        for j in range(x.shape[0]):
            old = x[j]
            new = rest * old + step * (row[j] + correction[j])
            row[j] = row[j] - old
            new = zero if abs(new) < flush else new
            x[j] = new
            out[j] = new
        return
    for j in range(x.shape[0]):
        old = x[j]
        new = (one - eta[j]) * old + eta[j] * (row[j] + correction[j])
        row[j] = row[j] - old
        new = zero if abs(new) < flush else new
        x[j] = new
        out[j] = new
