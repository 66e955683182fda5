"""Entry points of the compiled functions for Python: each opens the views of its tables and passes them on.

Parameters are the same everywhere: `t`, `m` and `s` are the addresses of the views of a lane's `Tables`, `Memory` and
`State` (see `dyadnet.program.views`), `like` is any array with the type of the parameters.
"""

from __future__ import annotations

from dyadnet.numerics.kernels import compiled
from dyadnet.program import beginning, drives, learning
from dyadnet.program.real_time import messages, updates
from dyadnet.program.views import memory, state, tables


@compiled
def reset(s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """See `dyadnet.program.beginning.reset`."""
    return beginning.reset(state(s))


@compiled
def announce(t, m, s, like):  # type: ignore[no-untyped-def]  # pragma: no cover
    """See `dyadnet.program.beginning.announce`."""
    return beginning.announce(tables(t), memory(m, like), state(s))


@compiled
def keep_turn(t, m, s, like, tick):  # type: ignore[no-untyped-def]  # pragma: no cover
    """See `dyadnet.program.beginning.keep_turn`."""
    return beginning.keep_turn(tables(t), memory(m, like), state(s), tick)


@compiled
def lacking(t, s, link, tick):  # type: ignore[no-untyped-def]  # pragma: no cover
    """See `dyadnet.program.drives.lacking`."""
    return drives.lacking(tables(t), state(s), link, tick)


@compiled
def heard(t, m, s, like, link, b, stop):  # type: ignore[no-untyped-def]  # pragma: no cover
    """See `dyadnet.program.learning.heard`."""
    return learning.heard(tables(t), memory(m, like), state(s), link, b, stop)


@compiled
def readout(t, m, s, like, b):  # type: ignore[no-untyped-def]  # pragma: no cover
    """See `dyadnet.program.learning.readout`."""
    return learning.readout(tables(t), memory(m, like), state(s), b)


@compiled
def report(t, m, s, like, stop, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """See `dyadnet.program.learning.report`."""
    return learning.report(tables(t), memory(m, like), state(s), stop, out)


@compiled
def gradients(t, m, s, like, blocks, stop, first, last, factor, G, scratch):  # type: ignore[no-untyped-def]  # pragma: no cover
    """See `dyadnet.program.learning.gradients`."""
    learning.gradients(tables(t), memory(m, like), state(s), blocks, stop, first, last, factor, G, scratch)


@compiled
def count(t, s, stop, places, counts, blocks):  # type: ignore[no-untyped-def]  # pragma: no cover
    """See `dyadnet.program.learning.count`."""
    learning.count(tables(t), state(s), stop, places, counts, blocks)


@compiled
def step_momentum(t, blocks, W, G, velocity, rate, keep, decay, l2):  # type: ignore[no-untyped-def]  # pragma: no cover
    """See `dyadnet.program.learning.step_momentum`."""
    return learning.step_momentum(tables(t), blocks, W, G, velocity, rate, keep, decay, l2)


@compiled
def step_adam(t, blocks, W, G, one, two, rate, correction, beta1, beta2, epsilon, decay, l2):  # type: ignore[no-untyped-def]  # pragma: no cover
    """See `dyadnet.program.learning.step_adam`."""
    return learning.step_adam(tables(t), blocks, W, G, one, two, rate, correction, beta1, beta2, epsilon, decay, l2)


@compiled
def turn_synapses(t, blocks, W, F):  # type: ignore[no-untyped-def]  # pragma: no cover
    """See `dyadnet.program.learning.turn_synapses`."""
    learning.turn_synapses(tables(t), blocks, W, F)


@compiled
def wide_drive(t, m, s, like, b, drive, product, x, w, switches, room):  # type: ignore[no-untyped-def]  # pragma: no cover
    """See `dyadnet.program.learning.wide_drive`."""
    return learning.wide_drive(tables(t), memory(m, like), state(s), b, drive, product, x, w, switches, room)


@compiled
def send_response(t, W, starts, vector, root, v, feedback, still, room):  # type: ignore[no-untyped-def]  # pragma: no cover
    """See `dyadnet.program.learning.send_response`."""
    learning.send_response(tables(t), W, starts, vector, root, v, feedback, still, room)


@compiled
def take_response(t, W, starts, up, down, vector, root, v, feedback, drive, still, room):  # type: ignore[no-untyped-def]  # pragma: no cover
    """See `dyadnet.program.learning.take_response`."""
    learning.take_response(tables(t), W, starts, up, down, vector, root, v, feedback, drive, still, room)


@compiled
def rows_of_trace(t):  # type: ignore[no-untyped-def]  # pragma: no cover
    """See `dyadnet.program.real_time.updates.rows_of_trace`."""
    return updates.rows_of_trace(tables(t))


@compiled
def newest(t, s, b):  # type: ignore[no-untyped-def]  # pragma: no cover
    """See `dyadnet.program.real_time.messages.newest`."""
    return messages.newest(tables(t), state(s), b)


@compiled
def place_of(t, m, s, like, c, place, message, count, dyadic, mean_since, difference_since, stamp):  # type: ignore[no-untyped-def]  # pragma: no cover
    """See `dyadnet.program.real_time.messages.place_of`."""
    marks = count, dyadic, mean_since, difference_since, stamp
    messages.place_of(tables(t), memory(m, like), state(s), c, place, message, *marks)


@compiled
def deliver(t, m, s, like, c, place, copy, phase):  # type: ignore[no-untyped-def]  # pragma: no cover
    """See `dyadnet.program.real_time.messages.deliver`."""
    messages.deliver(tables(t), memory(m, like), state(s), c, place, copy, phase)


@compiled
def begin_repeat(t, m, s, like, blocks, number):  # type: ignore[no-untyped-def]  # pragma: no cover
    """See `dyadnet.program.real_time.updates.begin_events`."""
    updates.begin_events(tables(t), memory(m, like), state(s), blocks, number)
