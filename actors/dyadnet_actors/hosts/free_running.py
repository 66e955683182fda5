"""Runs one relaxation of one host in real time: its blocks update on the newest messages, and wait for nobody."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dyadnet.config import RunConfig
from dyadnet.config.dynamics import FreeRunning
from dyadnet.dynamics.request import Pace, Phase, PhaseOutcome
from dyadnet.errors import DivergedError
from dyadnet.program import tables as c
from dyadnet.program.advance import NOBODY, advance
from dyadnet.program.lane import Lane
from dyadnet.program.real_time.trace import TraceRecorder
from dyadnet.program.real_time.updates import run_freely
from dyadnet.program.sync.verdicts import LEADER
from dyadnet.program.sync.words import MOST, ROOM, tell
from dyadnet_actors.protocol.pace import Delays

LOOK = 50_000_000
"""Nanoseconds after which a host checks whether it was told to stop."""
STATES = ("restless", "quiet", "spent", "diverged")
ROWS = 16
"""Minimum number of updates for which a trace has room before it is copied."""


class FreeRun:
    """Runs one lane through its phases.

    Parameters
    ----------
    config
        The run.
    lane
        The lane, prepared for the relaxation.
    phases, pace
        Phases of the relaxation, and its pace.
    waited
        Array of one number, to which nanoseconds without new messages are added.
    look
        Called now and then; raises if the host is to stop.

    Attributes
    ----------
    outcomes
        Outcomes of the phases that have ended.
    index
        Index of the present phase.
    """

    def __init__(
        self,
        config: RunConfig,
        lane: Lane,
        phases: tuple[Phase, ...],
        pace: Pace,
        waited: NDArray[np.int64],
        look: Callable[[], None],
    ) -> None:
        mode = config.dynamics.mode
        assert isinstance(mode, FreeRunning)
        self.lane, self.phases, self.outcomes = lane, phases, list[PhaseOutcome]()
        self.index = 0
        self._waited, self._look = waited, look
        self._words, self._room = np.zeros((2, MOST), dtype=np.int64), np.zeros(ROOM, dtype=np.int64)
        lane.measure(pace, mode.budget, mode.updates, settle=mode.settle)
        self._scribe: TraceRecorder | None = None
        if config.record.trace is not None:
            lane.record(ROWS * lane.rows_of_trace)
            self._scribe = TraceRecorder(lane)

    def begin(self) -> None:
        """Compute the first states, which need those of other hosts; then start the time."""
        table = np.zeros((1, c.ADVANCE_WIDTH), dtype=np.int64)
        while True:
            table[0, :3] = self.lane.views[:3]
            table[0, c.ADVANCE_STAGE] = c.ADVANCE_BEGINNING
            who, reason = advance(table, self.lane.views[3], c.FAR, LOOK, self._waited, self._words, self._room)
            self._look()
            if who == NOBODY:
                continue
            if reason == c.DONE:
                break
            self.lane.serve_first(reason)
        self.lane.start(time.monotonic_ns())
        self.lane.enter_freely(0, self.phases[0])

    def advance(self, until: int) -> bool:
        """Run up to update number `until` or to the end of all phases; return whether they are over."""
        lane = self.lane
        while True:
            reason = run_freely(*lane.views, until, LOOK, self._waited, self._words, self._room)
            self._look()
            if reason == c.DONE:
                return False
            if reason == c.OVER:
                self._end_phase()
                if len(self.outcomes) == len(self.phases):
                    self._finish()
                    return True
                self.index += 1
                lane.enter_freely(self.index, self.phases[self.index])
            elif reason == c.LOOK:
                if self._scribe is not None:
                    self._scribe.take()
            else:
                lane.serve(reason)

    def __str__(self) -> str:
        """Return the progress in words; callable from any thread."""
        state, home = self.lane.state, self.lane.arena.home
        reg, now = state.reg, time.monotonic_ns()
        if reg[c.REG_NOW] == 0:
            return "beginning"
        stamps = state.ages[:, c.A_STAMP].tolist()
        ages = [f"{1e-6 * (now - stamp):.1f} ms" for host, stamp in enumerate(stamps) if stamp and host != home.index]
        heard = f", newest messages {', '.join(ages)} old" if ages else ""
        how = STATES[int(reg[c.REG_STATE])]
        return f"phase {self.phases[self.index].name}, {reg[c.REG_TICK]} updates, {how}{heard}"

    @property
    def delays(self) -> Delays:
        """Measured delays δ."""
        state = self.lane.state
        return Delays.of(1e-9 * state.delays[: min(int(state.reg[c.REG_DELAYS]), len(state.delays))])

    @property
    def script(self) -> bytes | None:
        """Record of what happened, for a replay; None if the run is not traced."""
        return None if self._scribe is None else self._scribe.script().packed()

    def _end_phase(self) -> None:
        """Record how a phase has ended; the first host knows the updates of all hosts."""
        lane, reg = self.lane, self.lane.state.reg
        verdict, name = lane.verdict, self.phases[self.index].name
        if verdict.kind == "diverged":
            self._finish()
            raise DivergedError(verdict.block, lane.tick, verdict.why)
        fewest = total = int(reg[c.REG_TICK] - reg[c.REG_BEFORE])
        mean = float(total)
        if reg[c.REG_HOST] == LEADER:
            fewest, mean = int(reg[c.REG_FEWEST]), float(reg[c.REG_SUM]) / len(lane.arena.home.homes)
        self.outcomes.append(PhaseOutcome(name, fewest, mean, verdict.kind == "settled"))

    def _finish(self) -> None:
        """Tell the other hosts that no more updates follow."""
        state = self.lane.state
        if self.lane.arena.home.hosts > 1:
            reg = state.reg
            base = (int(reg[c.REG_ROUND]) << 32) + int(self.lane.tables.own[2]) + 1
            tell(int(state.words[reg[c.REG_HOST]]), base + c.FINISHED + int(reg[c.REG_TICK]))
