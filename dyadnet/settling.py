"""When a relaxation is over: the stop rule, its cap, and what counts as diverging. Pure decisions, no effects."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from dyadnet.relaxation import Phase, PhaseOutcome, Progress

Kind = Literal["continue", "settled", "capped", "diverged"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from a check.

    Attributes
    ----------
    kind
        ``continue``, ``settled``, ``capped``, or ``diverged``.
    block, why
        The block that is worst off, and in words why a relaxation diverges.
    """

    kind: Kind
    block: str = ""
    why: str = ""


def settled(progress: Sequence[Progress], first_tick: int, largest_delay: int) -> bool:
    """Has every block fired at a tick ≥ U + the largest delay?

    U is the last tick at which any block fired over tolerance, and at least the phase's first tick. If so, each
    block has updated within tolerance after hearing all that was sent up to U: no wave still travels.
    """
    last_over = max(first_tick, max(p.over for p in progress))
    return all(p.fired >= last_over + largest_delay for p in progress)


def circling(smallest: float, patience: int, residual: float) -> str:
    """Why a relaxation whose residual does not fall diverges, in words."""
    return f"no residual below {smallest:.3g} in {patience} sweeps, now {residual:.3g}"


class StopRule:
    """Decides at the check ticks of one phase of one lane.

    Parameters
    ----------
    phase
        Its cap, and whether to ask at all.
    first_tick
        The phase's first tick.
    sweep
        Ticks in a sweep.
    largest_delay
        Of any channel, in ticks; where messages are lost, until one came through.
    check_every
        Sweeps between two checks.
    patience
        Sweeps without a new smallest residual that count as diverging; None where delays, clocks or noise are
        random.
    tolerance
        A residual within it is never called diverging.
    """

    def __init__(
        self,
        phase: Phase,
        first_tick: int,
        *,
        sweep: int,
        largest_delay: int,
        check_every: int,
        patience: int | None,
        tolerance: float,
    ) -> None:
        self._phase = phase
        self.first_tick = first_tick
        self.sweep = sweep
        self.window = largest_delay
        self.every = phase.cap if phase.fixed else check_every
        self.patience = patience
        self._tolerance = tolerance
        self._smallest = math.inf
        self._smallest_at = first_tick - 1
        self.tick = first_tick - 1

    @property
    def next_check(self) -> int:
        """The tick after which to ask next."""
        end = self.first_tick - 1 + self._phase.cap * self.sweep
        return min(self.tick + self.every * self.sweep, end)

    @property
    def ticks(self) -> int:
        """Ticks that this phase has run."""
        return self.tick - self.first_tick + 1

    def judge(self, progress: Sequence[Progress]) -> Verdict:
        """The verdict at `next_check`, from what every block reports there."""
        self.tick = self.next_check
        worst = max(progress, key=lambda p: p.residual)
        if not math.isfinite(worst.residual):
            return Verdict("diverged", worst.block, "A or D is no longer finite")
        if self._phase.fixed:
            return Verdict("settled")
        if settled(progress, self.first_tick, self.window):
            return Verdict("settled")
        if worst.residual < self._smallest:
            self._smallest, self._smallest_at = worst.residual, self.tick
        elif (
            self.patience is not None
            and worst.residual > self._tolerance
            and self.tick - self._smallest_at >= self.patience * self.sweep
        ):
            return Verdict("diverged", worst.block, circling(self._smallest, self.patience, worst.residual))
        if self.ticks >= self._phase.cap * self.sweep:
            return Verdict("capped")
        return Verdict("continue")


class Settling:
    """One lane's way through the phases of a relaxation: which check comes next, and what its verdict leads to.

    Whoever hears every block's progress calls `judge`; whoever knows how a phase has ended calls `end`.

    Parameters
    ----------
    phases
        Of the relaxation.
    rule
        The stop rule of a phase that begins at a tick.
    sweep
        Ticks in a sweep.

    Attributes
    ----------
    index
        Of the present phase.
    rule
        Of the present phase.
    outcomes
        How each phase ended that is over.
    done
        Whether the last one is, or one diverged.
    """

    def __init__(self, phases: Sequence[Phase], rule: Callable[[Phase, int], StopRule], sweep: int) -> None:
        self._phases = phases
        self._rule_of = rule
        self._sweep = sweep
        self.rule = rule(phases[0], 1)
        self.index = 0
        self.outcomes: list[PhaseOutcome] = []
        self.done = False

    @property
    def phase(self) -> Phase:
        """The present phase."""
        return self._phases[self.index]

    @property
    def average_from(self) -> int | None:
        """The tick from which the present phase is averaged, if it is."""
        if not self.phase.average:
            return None
        return self.rule.first_tick + max(self.phase.cap - self.phase.average, 0) * self._sweep

    @property
    def next_check(self) -> int:
        """The tick after which to ask next."""
        return self.rule.next_check

    def judge(self, progress: Sequence[Progress]) -> Verdict:
        """Decide at the next check, from what every block reports there in block order."""
        verdict = self.rule.judge(progress)
        if verdict.kind != "continue":
            self.end(self.rule.tick, verdict.kind)
        return verdict

    def end(self, tick: int, kind: Kind) -> None:
        """The present phase has ended at a tick."""
        self.rule.tick = tick
        ticks = self.rule.ticks
        self.outcomes.append(PhaseOutcome(self.phase.name, ticks, ticks / self._sweep, kind == "settled"))
        if kind == "diverged" or self.index + 1 == len(self._phases):
            self.done = True
            return
        self.index += 1
        self.rule = self._rule_of(self.phase, tick + 1)
