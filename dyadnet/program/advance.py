"""Advance all lanes of a host in one thread, compiled: each goes as far as it can; it sleeps only if none can go on."""

from __future__ import annotations

from dyadnet.numerics.kernels import compiled
from dyadnet.program.beginning import begin
from dyadnet.program.executor import run
from dyadnet.program.sync.verdicts import reached
from dyadnet.program.sync.words import load, now, pause, sleep
from dyadnet.program.tables import (
    ADVANCE_BEGINNING,
    ADVANCE_IDLE,
    ADVANCE_MEMORY,
    ADVANCE_STAGE,
    ADVANCE_STATE,
    ADVANCE_TABLES,
    BLOCKED,
    REG_LOOKS,
    REG_WAITS_FOR,
    REG_WAITS_UNTIL,
)
from dyadnet.program.views import state

NOBODY = -1
"""Returned instead of a lane if no lane could go on for `longest` nanoseconds."""


@compiled
def advance(lanes, like, until, longest, waited, words, room):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Advance lanes until one of them needs Python, or none can go on.

    Parameters
    ----------
    lanes
        Shape (lanes, `ADVANCE_WIDTH`): addresses of each lane's views, and its stage.
    until
        See `dyadnet.program.executor.run`.
    longest
        Nanoseconds of waiting after which the function returns to its caller.
    waited
        Array of one number, to which the nanoseconds are added during which no lane could go on.
    words
        Shape (2, `MOST`): scratch.
    room
        Scratch of `dyadnet.program.sync.words.sleep`.

    Returns
    -------
    tuple
        The lane, and what `run` or `begin` returned for it; or `NOBODY` and `BLOCKED`.
    """
    count = lanes.shape[0]
    while True:
        for k in range(count):
            t, m, s, stage = (
                lanes[k, ADVANCE_TABLES],
                lanes[k, ADVANCE_MEMORY],
                lanes[k, ADVANCE_STATE],
                lanes[k, ADVANCE_STAGE],
            )
            if stage == ADVANCE_IDLE:
                continue
            reason = begin(t, m, s, like) if stage == ADVANCE_BEGINNING else run(t, m, s, like, until)
            if reason != BLOCKED:
                return k, reason
        began = now(room)
        looks = 0
        while True:
            asleep = 0
            allowed = 0
            for k in range(count):
                if lanes[k, ADVANCE_STAGE] == ADVANCE_IDLE:
                    continue
                s = state(lanes[k, ADVANCE_STATE])
                host, allowed = s.reg[REG_WAITS_FOR], s.reg[REG_LOOKS]
                words[0, asleep] = s.words[host]
                words[1, asleep] = load(s.words[host])
                if reached(s, host, s.reg[REG_WAITS_UNTIL]):
                    asleep = -1
                    break
                asleep += 1
            if asleep < 0:
                break
            if looks < allowed:
                looks += 1
                pause()
                continue
            spent = now(room) - began
            if spent >= longest:
                waited[0] += spent
                return NOBODY, BLOCKED
            sleep(words[0], words[1], asleep, longest - spent, room)
        waited[0] += now(room) - began
