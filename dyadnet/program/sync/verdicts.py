"""Compiled progress of all processes, and verdicts at check ticks.

See `dyadnet.dynamics.stopping`.

In virtual time every process computes every verdict itself: from the same numbers, by the same rule.
"""

from __future__ import annotations

import math

from dyadnet.numerics.kernels import compiled
from dyadnet.program.sync.words import bits, get, load, number, put, store, tell
from dyadnet.program.tables import (
    B_ORDER,
    B_WAITS,
    B_WAITS_END,
    BROKEN,
    CAPPED,
    CIRCLING,
    CONTINUE,
    F_BUDGET,
    F_SMALLEST,
    F_TOLERANCE,
    F_UPDATES,
    F_WINDOW,
    F_WORST,
    INFINITE,
    J_BLAMED,
    J_BLOCK,
    J_BLOCKS,
    J_FIRED,
    J_OVER,
    J_RESIDUAL,
    J_STATE,
    J_UPDATES,
    J_VERDICT,
    J_WIDTH,
    J_WORST,
    QUIET,
    REG_AVERAGE,
    REG_BEFORE,
    REG_BEGAN,
    REG_CAP,
    REG_CHECK,
    REG_CHECKS,
    REG_EVERY,
    REG_FEWEST,
    REG_FIRST,
    REG_FIXED,
    REG_HOST,
    REG_MAY_AVERAGE,
    REG_NOW,
    REG_OVER_AT,
    REG_PATIENCE,
    REG_PHASE,
    REG_ROUND,
    REG_SMALLEST_AT,
    REG_STATE,
    REG_SUM,
    REG_SWEEP,
    REG_TICK,
    REG_VERDICT,
    REG_WAITS_FOR,
    REG_WAITS_UNTIL,
    REG_WINDOW,
    REG_WORST,
    RESTLESS,
    S_FIRED,
    S_OVER,
    SETTLED,
    SPENT,
    V_WORST,
    Y_HOST,
    Y_LAG,
)

AVERAGED = 0.5
"""Fraction of a phase's time or updates, in real time, after which (m, d) are averaged, if they are."""
LEADER = 0
"""The host that decides in real time, from the reports of all hosts."""


@compiled
def stage(t, s, tick):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the least word of a host that has completed a tick; tick 0 means that its initial states are there."""
    return (s.reg[REG_ROUND] << 32) + t.own[2] + 1 + tick


@compiled
def reached(s, host, least):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Whether a host's word is at least `least`; if not, note the host and the word to wait for."""
    if load(s.words[host]) >= least:
        limit = load(s.limits[host])
        if limit == 0 or least <= limit:
            return True
    s.reg[REG_WAITS_FOR], s.reg[REG_WAITS_UNTIL] = host, least
    return False


@compiled
def ready(t, s, b, tick):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Whether a block may fire: other hosts have written what it reads, and have read what it overwrites."""
    for k in range(t.blocks[b, B_WAITS], t.blocks[b, B_WAITS_END]):
        if not reached(s, t.waits[k, Y_HOST], stage(t, s, max(tick - t.waits[k, Y_LAG], 0))):
            return False
    return True


@compiled
def everybody(t, s, least):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Whether the words of all hosts are at least `least`."""
    for host in range(t.own[3]):
        there = host == s.reg[REG_HOST] or reached(s, host, least)
        if not there:
            return False
    return True


@compiled
def come(t, s, tick):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Tell the other hosts, if there are any, that this host has completed a tick."""
    if t.own[3] > 1:
        tell(s.words[s.reg[REG_HOST]], stage(t, s, tick))


@compiled
def report(t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Report what the stop rule needs of this host's blocks, and reset their largest residuals.

    The report has the earliest last firing, the latest firing over tolerance, the largest residual and its block.
    """
    fired, over, worst = 2**62, 0, 0
    for b in range(t.own[0]):
        fired = min(fired, s.blocks[b, S_FIRED])
        over = max(over, s.blocks[b, S_OVER])
        if s.values[b, V_WORST] > s.values[worst, V_WORST]:
            worst = b
    at = s.boards[s.reg[REG_HOST]] + 8 * J_WIDTH * (s.reg[REG_CHECKS] & 1)
    put(at + 8 * J_FIRED, fired)
    put(at + 8 * J_OVER, over)
    put(at + 8 * J_RESIDUAL, bits(s.values[worst, V_WORST]))
    put(at + 8 * J_BLOCK, t.blocks[worst, B_ORDER])
    for b in range(t.own[0]):
        s.values[b, V_WORST] = 0.0


@compiled
def judge(t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the verdict at a check tick that all hosts have completed; see `dyadnet.dynamics.stopping.StopRule`."""
    reg, real = s.reg, s.real
    fired, over, worst, residual = 2**62, 0, 2**62, -1.0
    for host in range(t.own[3]):
        at = s.boards[host] + 8 * J_WIDTH * (reg[REG_CHECKS] & 1)
        fired = min(fired, get(at + 8 * J_FIRED))
        over = max(over, get(at + 8 * J_OVER))
        its, block = number(get(at + 8 * J_RESIDUAL)), get(at + 8 * J_BLOCK)
        if not (its <= residual) or (its == residual and block < worst):
            residual, worst = its, block
    tick = reg[REG_CHECK]
    reg[REG_CHECKS] += 1
    reg[REG_WORST], real[F_WORST] = worst, residual
    if not math.isfinite(residual):
        return INFINITE
    if reg[REG_FIXED]:
        return SETTLED
    if fired >= max(reg[REG_FIRST], over) + reg[REG_WINDOW]:
        return SETTLED
    if residual < real[F_SMALLEST]:
        real[F_SMALLEST], reg[REG_SMALLEST_AT] = residual, tick
    elif (
        reg[REG_PATIENCE] >= 0
        and residual > real[F_TOLERANCE]
        and tick - reg[REG_SMALLEST_AT] >= reg[REG_PATIENCE] * reg[REG_SWEEP]
    ):
        return CIRCLING
    end = reg[REG_FIRST] - 1 + reg[REG_CAP] * reg[REG_SWEEP]
    if tick >= end:
        return CAPPED
    reg[REG_CHECK] = min(tick + reg[REG_EVERY] * reg[REG_SWEEP], end)
    return CONTINUE


@compiled
def judge_freely(t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Report this host's state after an update in real time, and read the verdict.

    A host is quiet once all its blocks have stayed within tolerance for long enough. It is spent once it has used the
    phase's updates or time. The phase is over once no host is restless; the first host decides this.
    """
    reg, real = s.reg, s.real
    worst = 0
    over = False
    for b in range(t.own[0]):
        over = over or s.blocks[b, S_OVER] == reg[REG_TICK]
        if s.values[b, V_WORST] > s.values[worst, V_WORST]:
            worst = b
    if over:
        reg[REG_OVER_AT] = reg[REG_NOW]
    updates = reg[REG_TICK] - reg[REG_BEFORE]
    passed = max((reg[REG_NOW] - reg[REG_BEGAN]) / real[F_BUDGET], updates / real[F_UPDATES])
    state = RESTLESS
    if not math.isfinite(s.values[worst, V_WORST]):
        state = BROKEN
    elif real[F_WINDOW] >= 0.0 and reg[REG_NOW] - reg[REG_OVER_AT] >= real[F_WINDOW]:
        state = QUIET
    elif passed >= 1.0:
        state = SPENT
    for b in range(t.own[0]):
        s.values[b, V_WORST] = 0.0
    if reg[REG_MAY_AVERAGE] and reg[REG_AVERAGE] < 0 and passed >= AVERAGED:
        reg[REG_AVERAGE] = reg[REG_TICK] + 1
    reg[REG_STATE] = state
    phase = ((reg[REG_ROUND] << 8) + reg[REG_PHASE]) << 3
    board = s.boards[reg[REG_HOST]]
    store(board + 8 * J_UPDATES, updates)
    store(board + 8 * J_BLOCKS, t.own[0])
    store(board + 8 * J_WORST, t.blocks[worst, B_ORDER])
    store(board + 8 * J_STATE, phase + state)
    if reg[REG_HOST] == LEADER:
        _decide(t, s, phase)
    verdict = load(s.boards[LEADER] + 8 * J_VERDICT) - phase
    if 0 < verdict < 8:
        reg[REG_VERDICT] = verdict
        reg[REG_WORST] = load(s.boards[LEADER] + 8 * J_BLAMED)


@compiled
def _decide(t, s, phase):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Write a verdict on the present phase if no host is restless, or if a host's numbers are no longer finite."""
    reg = s.reg
    quiet = True
    restless = False
    fewest, total = 2**62, 0
    verdict = CONTINUE
    own = s.boards[reg[REG_HOST]]
    for host in range(t.own[3]):
        board = s.boards[host]
        state = load(board + 8 * J_STATE) - phase
        if not 0 <= state < 8:
            # The host is in another phase.
            state = RESTLESS
        if state == BROKEN:
            verdict = INFINITE
            store(own + 8 * J_BLAMED, load(board + 8 * J_WORST))
        restless = restless or state == RESTLESS
        quiet = quiet and state == QUIET
        updates = load(board + 8 * J_UPDATES)
        fewest = min(fewest, updates)
        total += updates * load(board + 8 * J_BLOCKS)
    if verdict == CONTINUE and not restless:
        verdict = SETTLED if quiet or s.real[F_WINDOW] < 0.0 else CAPPED
    if verdict != CONTINUE:
        reg[REG_FEWEST], reg[REG_SUM] = fewest, total
        store(own + 8 * J_VERDICT, phase + verdict)
