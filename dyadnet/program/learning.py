"""Compiled Hebbian contrast, optimisers, reports and ρ over contiguous memory, without Python code for each synapse.

Blocks are independent of each other here, so callers may distribute them over threads.
"""

from __future__ import annotations

from dyadnet.numerics.blas import outer, times, times_transposed
from dyadnet.numerics.connections import backward, forward
from dyadnet.numerics.elementwise import PIECEWISE, copied, turn
from dyadnet.numerics.kernels import adam, apart, column_sums, compiled, momentum, square
from dyadnet.numerics.plans import N_SIZE
from dyadnet.program.channels import multiplied
from dyadnet.program.drives import held, read, state_of
from dyadnet.program.products import compared, entered, switched
from dyadnet.program.tables import (
    B_A,
    B_ACTIVATION,
    B_AVERAGE,
    B_AXONS,
    B_AXONS_END,
    B_BASE,
    B_BIAS,
    B_BIASES,
    B_CALLED_INPUT,
    B_D,
    B_DEPTH,
    B_GAIN,
    B_INCOMING,
    B_INCOMING_END,
    B_INPUT,
    B_LEFT,
    B_LINKS,
    B_LINKS_END,
    B_PLAN,
    B_READOUT,
    B_SIZE,
    B_THRESHOLD,
    B_TURN,
    C_COARSE,
    C_DELAY,
    C_HELD,
    C_SIZE,
    C_SOURCE,
    C_TARGET,
    GOT_DELAYED,
    GOT_STALE,
    K_AVERAGED_STREAMS,
    L_AVERAGE,
    L_CACHE,
    L_CACHE_SLOT,
    L_CALLED,
    L_FIXED_CACHE,
    L_FUSED,
    L_PLAN,
    L_POST,
    L_PRE,
    L_READOUT,
    L_RESPONSE,
    L_SWITCHES,
    L_TURN,
    L_TURNED,
    L_WEIGHTS,
    N_DELAYED,
    N_STALE,
    N_VALUES,
    N_WIDTH,
    NONE,
    OUT_CHANNEL,
    OUT_TARGET,
    R_LEAK,
    R_TOP,
    REG_ROWS,
    REG_SCRATCH,
    S_AVERAGED,
    S_AVERAGED_STREAMS,
    S_COUNT,
    S_DYADIC,
    S_SIDE,
    S_SPEAKING,
    S_TURN,
)


@compiled
def readout(t, m, s, b):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the offset of the (m, d) for readout and learning: the average if there is one, else the present state."""
    X = m.X
    size = s.reg[REG_ROWS] * t.blocks[b, B_SIZE]
    state, into = state_of(t, s, b), t.blocks[b, B_READOUT]
    if s.blocks[b, S_TURN]:
        _dyadic(X, t.blocks[b, B_TURN], state, into, size, s.blocks[b, S_SIDE])
    elif s.blocks[b, S_AVERAGED]:
        _mean(m, t.blocks[b, B_AVERAGE], s.blocks[b, S_AVERAGED], into, size, s.blocks[b, S_AVERAGED_STREAMS])
    elif s.blocks[b, S_DYADIC]:
        return state
    else:
        copied(X, state, into, size)
        X[into + size : into + 2 * size] = X.dtype.type(0)
    return into


@compiled
def heard(t, m, s, link, b, stop):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the offset of the presynaptic (m, d) from which a receiver learns, and the number of streams."""
    pre, into = t.links[link, L_PRE], t.links[link, L_READOUT]
    size = s.reg[REG_ROWS] * t.blocks[pre, B_SIZE]
    if s.blocks[b, S_AVERAGED]:
        streams = s.links[link, K_AVERAGED_STREAMS]
        _mean(m, t.links[link, L_AVERAGE], s.blocks[b, S_AVERAGED], into, size, streams)
        return into, streams
    at, difference, _, _, _ = held(t, s, 2 * link, stop)
    if s.blocks[b, S_TURN]:
        _dyadic(m.X, t.links[link, L_TURN], at, into, size, s.blocks[pre, S_SIDE])
        return into, 2
    return at, 1 + difference


@compiled
def _dyadic(X, first, second, into, size, side):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Compute (m, d) from the two compartments, which took turns."""
    number = X.dtype.type
    half, other = number(0.5), number(0.5 * side)
    for j in range(size):
        u, v = X[first + j], X[second + j]
        X[into + j] = (u + v) * half
        X[into + size + j] = (u - v) * other


@compiled
def _mean(m, total, count, into, size, streams):  # type: ignore[no-untyped-def]  # pragma: no cover
    X = m.X
    X[into + size : into + 2 * size] = X.dtype.type(0)
    for j in range(streams * size):
        X[into + j] = X.dtype.type(m.wide[total + j] / count)


@apart
def gradient(t, m, s, b, stop, first, G, scratch):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add one lane's part of −β × samples × the gradient of a block's parameters (paper, eq. 5).

    The parts that Python computes are already in `G`.

    Parameters
    ----------
    stop
        The tick at which the relaxation ended: learning uses what is held at it.
    first
        Whether this is the first lane, whose part replaces the content of `G`.
    G
        In the layout of the parameters.
    scratch
        Scratch for the part of any further lane.
    """
    X = m.X
    rows, n = s.reg[REG_ROWS], t.blocks[b, B_SIZE]
    size = rows * n
    state = readout(t, m, s, b)
    d = state + size
    if t.blocks[b, B_INPUT] >= 0 and not t.blocks[b, B_CALLED_INPUT]:
        features = m.inputs.shape[0] // max(rows, 1)
        if t.blocks[b, B_PLAN] != NONE:
            entered(t, m, s, b, t.blocks[b, B_INPUT], d, G, first)
        else:
            _accumulate(X, d, rows, n, m.inputs, 0, features, G, t.blocks[b, B_INPUT], first, scratch)
    left = t.blocks[b, B_LEFT]
    copied(X, d, left, size)
    made = 0.0
    for link in range(t.blocks[b, B_LINKS], t.blocks[b, B_LINKS_END]):
        kappa = t.kappa[link]
        if t.links[link, L_CALLED]:
            continue
        at, streams = heard(t, m, s, link, b, stop)
        width = t.blocks[t.links[link, L_PRE], B_SIZE]
        if kappa != 0.0 and streams == 2:
            if kappa != made:
                copied(X, state, left + size, size)
                number = X.dtype.type(kappa)
                if kappa != 1.0:
                    for j in range(left + size, left + 2 * size):
                        X[j] *= number
                made = kappa
            if t.links[link, L_PLAN] != NONE:
                compared(t, m, s, link, left, 2 * rows, at, G, first)
                continue
            _accumulate(X, left, 2 * rows, n, X, at, width, G, t.links[link, L_WEIGHTS], first, scratch)
        elif t.links[link, L_PLAN] != NONE:
            compared(t, m, s, link, d, rows, at, G, first)
        else:
            _accumulate(X, d, rows, n, X, at, width, G, t.links[link, L_WEIGHTS], first, scratch)
    bias, biases = t.blocks[b, B_BIAS], t.blocks[b, B_BIASES]
    if biases < n:
        _shared_sums(X, d, rows, n, biases, G, bias, first)
    elif first:
        column_sums(X[d : d + size], rows, G[bias : bias + n])
    else:
        column_sums(X[d : d + size], rows, scratch[:n])
        for j in range(n):
            G[bias + j] += scratch[j]


@compiled
def _shared_sums(X, d, rows, n, count, G, bias, first):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Sum rows over the neurons that share a bias."""
    sharing = n // count
    for k in range(count):
        total = X.dtype.type(0)
        for row in range(rows):
            for j in range(d + row * n + k * sharing, d + row * n + (k + 1) * sharing):
                total += X[j]
        G[bias + k] = total if first else G[bias + k] + total


@compiled
def _accumulate(L, left, rows, m, R, right, n, G, g, first, scratch):  # type: ignore[no-untyped-def]  # pragma: no cover
    if first:
        outer(L, left, rows, m, R, right, n, G, g)
        return
    outer(L, left, rows, m, R, right, n, scratch, 0)
    into = G[g : g + m * n]
    for j in range(m * n):
        into[j] += scratch[j]


@apart
def gradients(t, m, s, blocks, stop, first, last, factor, G, scratch):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Compute `gradient` for some blocks; the last lane multiplies by −1/(β × samples)."""
    number = G.dtype.type(factor)
    for k in range(blocks.shape[0]):
        b = blocks[k]
        gradient(t, m, s, b, stop, first, G, scratch)
        if last:
            into = G[first_parameter(t, b) : t.blocks[b, B_BIAS] + t.blocks[b, B_BIASES]]
            for j in range(into.shape[0]):
                into[j] *= number


@compiled
def first_parameter(t, b):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return where a block's parameters begin; their order is θ₀, θ by presynaptic block, bias."""
    if t.blocks[b, B_INPUT] >= 0:
        return t.blocks[b, B_INPUT]
    if t.blocks[b, B_LINKS] < t.blocks[b, B_LINKS_END]:
        return t.links[t.blocks[b, B_LINKS], L_WEIGHTS]
    return t.blocks[b, B_BIAS]


@apart
def step_momentum(t, blocks, W, G, velocity, rate, keep, decay, l2):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Update the parameters of some blocks by momentum; biases do not decay."""
    for k in range(blocks.shape[0]):
        b = blocks[k]
        first, bias = first_parameter(t, b), t.blocks[b, B_BIAS]
        end = bias + t.blocks[b, B_BIASES]
        momentum(W[first:bias], G[first:bias], velocity[first:bias], rate, keep, decay, l2)
        momentum(W[bias:end], G[bias:end], velocity[bias:end], rate, keep, 0.0, 0.0)


@apart
def step_adam(  # type: ignore[no-untyped-def]  # pragma: no cover
    t, blocks, W, G, one, two, rate, correction, beta1, beta2, epsilon, decay, l2
):
    """Update the parameters of some blocks by Adam; biases do not decay."""
    for k in range(blocks.shape[0]):
        b = blocks[k]
        start, bias = first_parameter(t, b), t.blocks[b, B_BIAS]
        for part in range(2):
            first = start if part == 0 else bias
            end = bias if part == 0 else bias + t.blocks[b, B_BIASES]
            adam(
                W[first:end],
                G[first:end],
                one[first:end],
                two[first:end],
                rate,
                correction,
                beta1,
                beta2,
                epsilon,
                decay if part == 0 else 0.0,
                l2 if part == 0 else 0.0,
            )


@compiled
def turn_synapses(t, blocks, W, F):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Update the transposed synapses of some blocks from their synapses."""
    for k in range(blocks.shape[0]):
        b = blocks[k]
        for link in range(t.blocks[b, B_LINKS], t.blocks[b, B_LINKS_END]):
            if t.links[link, L_TURNED]:
                turn(W, t.links[link, L_WEIGHTS], t.blocks[b, B_SIZE], t.blocks[t.links[link, L_PRE], B_SIZE], F)


@apart
def report(t, m, s, stop, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Report for each block: saturated compartments (half each), squares of m and d, and the age of what it holds.

    Parameters
    ----------
    out
        Shape (blocks, 4).
    """
    X = m.X
    rows = s.reg[REG_ROWS]
    for b in range(t.own[0]):
        size = rows * t.blocks[b, B_SIZE]
        state = readout(t, m, s, b)
        out[b, 0] = _saturated(t, m, s, b, size)
        out[b, 1] = square(X[state : state + size])
        out[b, 2] = square(X[state + size : state + 2 * size])
        age = 0
        for k in range(t.blocks[b, B_INCOMING], t.blocks[b, B_INCOMING_END]):
            _, _, sent = read(t, s, t.incoming[k], stop)
            age = max(age, stop - sent)
        out[b, 3] = age


@compiled
def count(t, s, stop, places, counts, blocks):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add the counts of a lane's channels up to the tick at which it stopped.

    Parameters
    ----------
    places
        Row of `counts` for each channel.
    counts
        Shape (channels, at least the columns of `dyadnet.dynamics.outcome.COUNTED`).
    blocks
        Shape (blocks, 3): messages and numbers in them by sender, stale messages by receiver.
    """
    rows = s.reg[REG_ROWS]
    for c in range(t.channels.shape[0]):
        into, source = counts[places[c]], t.channels[c, C_SOURCE]
        firings, dyadic = s.blocks[source, S_COUNT], s.blocks[source, S_SPEAKING]
        coupled = t.kappa[c >> 1] != 0.0
        into[0] += firings
        values = s.counts[c, N_VALUES]
        if not t.channels[c, C_COARSE]:
            means = firings if coupled or c & 1 == 0 else 0
            differences = dyadic if coupled or c & 1 == 1 else 0
            values = (means + differences) * rows * t.channels[c, C_SIZE]
        into[1] += values
        for k in range(1, N_WIDTH):
            into[1 + k] += s.counts[c, k]
        # A channel that is read in place delivers every message after the same delay.
        delay = t.channels[c, C_DELAY]
        if t.channels[c, C_HELD] < 0 and delay > 1 and stop > delay:
            into[1 + N_DELAYED] += s.fired_by[source, (stop - delay) & (s.fired_by.shape[1] - 1)]
        blocks[source, 0] += firings
        blocks[source, 1] += values
        blocks[t.channels[c, C_TARGET], 2] += s.counts[c, N_STALE]
    for k in range(t.outgoing.shape[0]):
        into, got = counts[places[t.outgoing[k, OUT_CHANNEL]]], s.got[k]
        for j in range(GOT_DELAYED, GOT_STALE + 1):
            into[1 + N_DELAYED + j - GOT_DELAYED] += got[j]
        blocks[t.outgoing[k, OUT_TARGET], 2] += got[GOT_STALE]


@compiled
def _saturated(t, m, s, b, size):  # type: ignore[no-untyped-def]  # pragma: no cover
    if t.blocks[b, B_ACTIVATION] != PIECEWISE or t.real[b, R_LEAK] != 0.0:
        return 0.0
    X = m.X
    zero, top = X.dtype.type(0), X.dtype.type(t.real[b, R_TOP])
    A, D = t.blocks[b, B_A], t.blocks[b, B_D]
    gain, threshold = t.blocks[b, B_GAIN], t.blocks[b, B_THRESHOLD]
    dyadic = s.blocks[b, S_DYADIC] == 1
    count = 0
    for j in range(size):
        a = X[A + j]
        d = X[D + j]
        if threshold >= 0:
            a = a - X[threshold + j]
        if gain >= 0:
            a = a * X[gain + j]
            d = d * X[gain + j]
        if dyadic:
            plus = a + d
            minus = a - d
            count += plus <= zero or plus >= top
            count += minus <= zero or minus >= top
        else:
            count += 2 * (a <= zero or a >= top)
    return 0.5 * count


@apart
def wide_drive(t, m, s, b, drive, product, x, w, switches, room):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Compute θ₀x + b + W_κ m of the present states, in float64; without θm of the links that Python computes.

    Parameters
    ----------
    drive, product
        Shape (rows × n,): the result, and scratch.
    x, w
        Scratch for the largest presynaptic state and for its synapses.
    switches, room
        Scratch for products by a plan.
    """
    X = m.X
    rows, n = s.reg[REG_ROWS], t.blocks[b, B_SIZE]
    size, base = rows * n, t.blocks[b, B_BASE]
    for j in range(size):
        drive[j] = float(X[base + j])
    for link in range(t.blocks[b, B_LINKS], t.blocks[b, B_LINKS_END]):
        if t.links[link, L_CALLED]:
            continue
        pre, weights = t.links[link, L_PRE], t.links[link, L_WEIGHTS]
        width, state = t.blocks[pre, B_SIZE], state_of(t, s, pre)
        for j in range(rows * width):
            x[j] = float(X[state + j])
        plan = t.links[link, L_PLAN]
        for j in range(n * width if plan == NONE else t.plans[plan + N_SIZE]):
            w[j] = float(m.W[weights + j])
        if plan == NONE:
            times_transposed(x, 0, rows, width, w, 0, n, product, 0)
        else:
            if switched(t, link):
                for j in range(size):
                    switches[j] = float(X[t.links[link, L_SWITCHES] + j])
            forward(t.plans, plan, x, 0, rows, 0, rows, w, 0, product, 0, switches, 0, room)
        for j in range(size):
            drive[j] += product[j]
    for k in range(t.blocks[b, B_AXONS], t.blocks[b, B_AXONS_END]):
        link = t.axons[k]
        if t.kappa[link] == 0.0:
            continue
        cache, post = t.links[link, L_CACHE], t.links[link, L_POST]
        if t.links[link, L_FUSED]:
            cache = s.reg[REG_SCRATCH]
            multiplied(t, m, s, 2 * link + 1, state_of(t, s, post), True, False, cache)
        elif not t.links[link, L_FIXED_CACHE]:
            cache += (s.blocks[post, S_COUNT] & (t.blocks[post, B_DEPTH] - 1)) * t.links[link, L_CACHE_SLOT]
        for j in range(size):
            drive[j] += float(X[cache + j])


@apart
def send_response(t, W, starts, vector, root, v, feedback, still, room):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Compute the messages of blocks in one application of the linear response; see `dyadnet.dynamics.spectral_radius`.

    Python adds θᵀv of the links that it computes afterwards.

    Parameters
    ----------
    starts
        Where each block's part of the vector begins.
    vector, root
        Numbers of all neurons, float64: the vector, and the root of each neuron's largest slope.
    v
        Output: √F times the vector, for all neurons, in the type of the parameters.
    feedback
        Output: θᵀv; for each link as many numbers as its presynaptic block has neurons.
    still, room
        Zeros in place of switches, as many as the largest block has neurons; and scratch for products by a plan.
    """
    for j in range(starts[t.own[0]]):
        v[j] = v.dtype.type(root[j] * vector[j])
    for link in range(t.own[1]):
        pre, post = t.links[link, L_PRE], t.links[link, L_POST]
        n, width, at = t.blocks[post, B_SIZE], t.blocks[pre, B_SIZE], t.links[link, L_RESPONSE]
        if t.links[link, L_CALLED]:
            continue
        plan, w = t.links[link, L_PLAN], t.links[link, L_WEIGHTS]
        if plan == NONE:
            times(v, starts[post], 1, n, W, w, width, feedback, at)
        else:
            backward(t.plans, plan, v, starts[post], 1, 1, W, w, feedback, at, still, 0, room)


@apart
def take_response(t, W, starts, up, down, vector, root, v, feedback, drive, still, room):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Sum the messages of `send_response` into the next vector; without θv of the links that Python computes.

    Parameters
    ----------
    up, down
        Factors of θ and of θᵀ, for each link.
    drive
        Scratch for the largest block.
    """
    for b in range(t.own[0]):
        n, start = t.blocks[b, B_SIZE], starts[b]
        for j in range(start, start + n):
            vector[j] = 0.0
        for link in range(t.blocks[b, B_LINKS], t.blocks[b, B_LINKS_END]):
            if t.links[link, L_CALLED]:
                continue
            pre = t.links[link, L_PRE]
            plan, w = t.links[link, L_PLAN], t.links[link, L_WEIGHTS]
            if plan == NONE:
                times_transposed(v, starts[pre], 1, t.blocks[pre, B_SIZE], W, w, n, drive, 0)
            else:
                forward(t.plans, plan, v, starts[pre], 1, 0, 1, W, w, drive, 0, still, 0, room)
            factor = drive.dtype.type(up[link])
            for j in range(n):
                vector[start + j] += float(factor * drive[j])
        for k in range(t.blocks[b, B_AXONS], t.blocks[b, B_AXONS_END]):
            link = t.axons[k]
            at = t.links[link, L_RESPONSE]
            for j in range(n):
                vector[start + j] += down[link] * float(feedback[at + j])
        for j in range(start, start + n):
            vector[j] = root[j] * vector[j]
