"""Compiled products of links whose synapses are not dense: they follow the link's plan and use a lane's arrays."""

from __future__ import annotations

import math

from dyadnet.numerics import connections
from dyadnet.numerics.connections import has_switches
from dyadnet.numerics.draws import seek
from dyadnet.numerics.kernels import apart, compiled
from dyadnet.numerics.plans import (
    N_BOX,
    N_CHOICES,
    N_INNER,
    N_LARGEST,
    N_POOL,
    N_POST,
    N_PRE,
    N_SIZE,
    SPARSE,
    TRANSPOSED,
)
from dyadnet.program.channels import drawn
from dyadnet.program.tables import (
    B_PLAN,
    B_SIZE,
    B_SWITCHES,
    L_PLAN,
    L_POST,
    L_SWITCHES,
    L_WEIGHTS,
    NONE,
    REG_PHASE,
    REG_ROWS,
    S_COUNT,
)


@compiled
def switched(t, link):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Whether a link's θ depends on the means that its receiver holds."""
    return t.links[link, L_PLAN] != NONE and has_switches(t.plans, t.links[link, L_PLAN])


@compiled
def chooses(t, s, link):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Whether the means that a link's receiver holds still set its switches: early in the first phase only."""
    if s.reg[REG_PHASE] > 0 or not switched(t, link):
        return False
    return s.blocks[t.links[link, L_POST], S_COUNT] < t.plans[t.links[link, L_PLAN] + N_CHOICES]


@compiled
def onward(t, m, s, link, x, rows, means, into):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Compute θx of rows at `x`; the first `means` rows are means, which set switches."""
    plan, switches, w = t.links[link, L_PLAN], t.links[link, L_SWITCHES], t.links[link, L_WEIGHTS]
    period, X = s.reg[REG_ROWS], m.X
    connections.forward(t.plans, plan, X, x, rows, means, period, m.W, w, X, into, X, switches, m.room)


@compiled
def back(t, m, s, link, d, rows, into):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Compute θᵀd of rows at `d`."""
    plan, switches, w = t.links[link, L_PLAN], t.links[link, L_SWITCHES], t.links[link, L_WEIGHTS]
    X = m.X
    connections.backward(t.plans, plan, X, d, rows, s.reg[REG_ROWS], m.V, w, X, into, X, switches, m.room)


@compiled
def compared(t, m, s, link, left, rows, at, G, first):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Compute a link's part of the contrast."""
    plan, switches, w = t.links[link, L_PLAN], t.links[link, L_SWITCHES], t.links[link, L_WEIGHTS]
    period, X = s.reg[REG_ROWS], m.X
    connections.contrast(t.plans, plan, X, left, rows, period, X, at, G, w, X, switches, m.room, first)


@compiled
def forget_switches(t, m, s, link):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Set the switches to the first place of each window, until there are means that set them."""
    if switched(t, link):
        size, at = s.reg[REG_ROWS] * t.blocks[t.links[link, L_POST], B_SIZE], t.links[link, L_SWITCHES]
        m.X[at : at + size] = m.X.dtype.type(0)


@compiled
def enter(t, m, s, b, w, into):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Compute θ₀x of a block."""
    rows, switches, X = s.reg[REG_ROWS], t.blocks[b, B_SWITCHES], m.X
    plan = t.blocks[b, B_PLAN]
    connections.forward(t.plans, plan, m.inputs, 0, rows, rows, rows, m.W, w, X, into, X, switches, m.room)


@compiled
def entered(t, m, s, b, w, d, G, first):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Compute θ₀'s part of a block's contrast."""
    rows, switches, X = s.reg[REG_ROWS], t.blocks[b, B_SWITCHES], m.X
    plan = t.blocks[b, B_PLAN]
    connections.contrast(t.plans, plan, X, d, rows, rows, m.inputs, 0, G, w, X, switches, m.room, first)


@apart
def planned_noise(  # type: ignore[no-untyped-def]  # pragma: no cover
    t, m, s, plan, switches, key, at, X, x, rows, streams, out, forward, scale, weight
):
    """Add the noise of reading synapses to their product: normal, of size scale·‖x of its synapses‖ for each number.

    Parameters
    ----------
    X, x
        The array that is multiplied, and the offset in it: rows of presynaptic numbers, or of postsynaptic ones if the
        read is backward.
    at
        Tick, phase, lane and number of the relaxation.
    out
        Offset of the product in the arena; `weight` multiplies the noise of the first stream.
    """
    size = t.plans[plan + N_SIZE]
    if size == 0:
        return
    number = m.X.dtype.type
    post, pre = t.plans[plan + N_POST], t.plans[plan + N_PRE]
    width, fan = (post, pre) if forward else (pre, post)
    count = streams * rows
    for j in range(size):
        m.spread[j] = number(1)
    squares = size
    for j in range(count * fan):
        m.spread[squares + j] = X[x + j] * X[x + j]
    sums = squares + count * fan
    Q = m.spread
    if forward:
        connections.forward(t.plans, plan, Q, squares, count, 0, rows, Q, 0, Q, sums, m.X, switches, m.room)
    else:
        connections.backward(t.plans, plan, Q, squares, count, rows, Q, 0, Q, sums, m.X, switches, m.room)
    # In a mean of k = side² numbers the noise of each counts 1/k, and `Q` has 1/k of the sum of squares: 1/√k is left.
    of = plan + N_INNER if t.plans[plan] == TRANSPOSED else plan
    averaged = t.plans[of] != SPARSE and t.plans[of + N_LARGEST] == 0
    share = 1.0 / (t.plans[of + N_POOL] * t.plans[of + N_BOX]) if averaged else 1.0
    seek(s.draw, t.keys[key, 0], t.keys[key, 1], at[0], at[1], at[2], at[3])
    for stream in range(streams):
        factor = scale * share * (weight if stream == 0 else 1.0)
        for j in range(stream * rows * width, (stream + 1) * rows * width):
            m.X[out + j] += drawn(m.X, s.draw) * number(factor * math.sqrt(max(Q[sums + j], number(0))))
