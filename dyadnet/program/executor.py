"""Execute events, compiled: compute the firings of blocks without Python and without the interpreter's lock.

Python code is *called* for user-defined activations, losses, imperfections and kinds of projection, and for probes:
`run` returns the reason, with the block in `REG_BLOCK`, and continues at the next call. User-defined clocks and delays
are drawn before the events are scheduled, never during execution.
"""

from __future__ import annotations

from dyadnet.numerics.elementwise import CALLED_ACTIVATION, CALLED_LOSS
from dyadnet.numerics.kernels import apart, compiled
from dyadnet.program.channels import arrive, bring, take_changed
from dyadnet.program.firing import emit, update
from dyadnet.program.scheduler import schedule
from dyadnet.program.sync.verdicts import come, everybody, judge, judge_freely, reached, ready, report, stage
from dyadnet.program.tables import (
    ACTIVATE,
    B_ACTIVATION,
    B_CALLED,
    B_HOST,
    B_LOSS,
    B_PROBED,
    BLOCKED,
    C_CALLED,
    C_SOURCE,
    CONTINUE,
    DISTURB,
    DONE,
    E_OP,
    E_SENT,
    E_WHO,
    F_BETA,
    FEED_BACK,
    FIRE,
    FORESEE,
    GROW,
    MULTIPLY,
    NUDGE,
    OVER,
    PROBE,
    REG_AHEAD,
    REG_BLOCK,
    REG_CHECK,
    REG_EVENTS,
    REG_PC,
    REG_PROBING,
    REG_REAL,
    REG_STAGE,
    REG_TEAM,
    REG_TICK,
    REG_VERDICT,
    S_COUNT,
    TICK,
)
from dyadnet.program.team import execute_together, gathered
from dyadnet.program.views import memory, tables
from dyadnet.program.views import state as lane_state


@compiled
def _here(t, s, source, sent):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Whether what a block has sent at a tick can be read in this process."""
    return source < t.own[0] or reached(s, t.blocks[source, B_HOST], stage(t, s, sent))


@apart
def run(t, m, s, like, until):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Schedule and execute the ticks up to `until`, or to the end of the phase.

    This is one long function on purpose: each further level of calls would be compiled once more.

    Parameters
    ----------
    t, m, s, like
        See `dyadnet.program.calls`.

    Returns
    -------
    int
        `OVER`: the phase has ended, as `REG_VERDICT` says. `DONE`: `until` is reached. `BLOCKED`: it must wait for
        another host. Otherwise Python must act, for the block in `REG_BLOCK` where one is concerned: `GROW` (there is
        no room for events or messages under way), `FORESEE` (no tick beyond `REG_AHEAD` has been drawn), `NUDGE`,
        `MULTIPLY` (compute θ·m_pre and θ·d_pre of held messages), `ACTIVATE`, `FEED_BACK` (compute θᵀm and θᵀd of the
        next state) or `PROBE`; or `DISTURB` (for the channel in `REG_BLOCK`).
    """
    t, m, s = tables(t), memory(m, like), lane_state(s)
    reg = s.reg
    while True:
        while reg[REG_PC] < reg[REG_EVENTS]:
            event = s.events[reg[REG_PC]]
            op, b, tick = event[E_OP], event[E_WHO], event[E_SENT]
            if op == FIRE and b >= t.own[0]:
                # A ghost: another host computes what it sends.
                s.blocks[b, S_COUNT] += 1
            elif op == FIRE:
                if reg[REG_STAGE] == 0:
                    if not ready(t, s, b, tick):
                        return BLOCKED
                    reg[REG_STAGE] = 1
                    if t.blocks[b, B_LOSS] == CALLED_LOSS and s.real[F_BETA] != 0.0:
                        reg[REG_BLOCK] = b
                        return NUDGE
                if reg[REG_STAGE] == 1:
                    reg[REG_STAGE] = 2
                    if t.blocks[b, B_CALLED]:
                        reg[REG_BLOCK] = b
                        return MULTIPLY
                if reg[REG_STAGE] == 2:
                    update(t, m, s, b, tick)
                    reg[REG_STAGE] = 3
                    if t.blocks[b, B_ACTIVATION] == CALLED_ACTIVATION:
                        reg[REG_BLOCK] = b
                        return ACTIVATE
                if reg[REG_STAGE] == 3:
                    reg[REG_STAGE] = 4
                    if t.blocks[b, B_CALLED]:
                        reg[REG_BLOCK] = b
                        return FEED_BACK
                if reg[REG_STAGE] == 4:
                    emit(t, m, s, b, tick)
                    reg[REG_STAGE] = 5
                    if reg[REG_PROBING] and t.blocks[b, B_PROBED]:
                        reg[REG_BLOCK] = b
                        return PROBE
                reg[REG_STAGE] = 0
            elif op == TICK:
                at = tick & (s.fired_by.shape[1] - 1)
                for block in range(t.blocks.shape[0]):
                    s.fired_by[block, at] = s.blocks[block, S_COUNT]
                if reg[REG_REAL]:
                    judge_freely(t, s)
                elif tick == reg[REG_CHECK]:
                    report(t, s)
                come(t, s, tick)
            else:
                if t.own[3] > 1 and not _here(t, s, t.channels[b, C_SOURCE], event[E_SENT]):
                    return BLOCKED
                if not t.channels[b, C_CALLED]:
                    arrive(t, m, s, event)
                elif reg[REG_STAGE] == 0:
                    bring(t, m, s, event)
                    reg[REG_STAGE] = 1
                    reg[REG_BLOCK] = b
                    return DISTURB
                else:
                    take_changed(t, m, s, event)
                    reg[REG_STAGE] = 0
            reg[REG_PC] += 1
        if reg[REG_TICK] == reg[REG_CHECK]:
            if not everybody(t, s, stage(t, s, reg[REG_CHECK])):
                return BLOCKED
            reg[REG_VERDICT] = judge(t, s)
            if reg[REG_VERDICT] != CONTINUE:
                return OVER
        if reg[REG_TICK] >= until:
            return DONE
        last = min(until, reg[REG_CHECK])
        if s.ahead.shape[1] > 0:
            if reg[REG_TICK] >= reg[REG_AHEAD]:
                return FORESEE
            last = min(last, reg[REG_AHEAD])
        together = reg[REG_TEAM] > 1 and not reg[REG_PROBING] and gathered(s)
        if not schedule(t, s, last, together):
            return GROW
        if together:
            execute_together(t, m, s)
            if reg[REG_TICK] == reg[REG_CHECK]:
                report(t, s)
