"""When a relaxation is over: the numbers of the stop rule, its cap, and what a verdict leads to. No effects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from dyadnet.dynamics.request import Phase, PhaseOutcome

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


def circling(smallest: float, patience: int, residual: float) -> str:
    """Why a relaxation whose residual does not fall diverges, in words."""
    return f"no residual below {smallest:.3g} in {patience} sweeps, now {residual:.3g}"


class StopRule:
    """At which ticks one phase of one lane is checked, and by what; `dyadnet.program.sync.verdicts` decides.

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
    ) -> None:
        self.phase = phase
        self.first_tick = first_tick
        self.sweep = sweep
        self.window = largest_delay
        self.every = phase.cap if phase.fixed else check_every
        self.patience = patience
        self.tick = first_tick - 1

    @property
    def next_check(self) -> int:
        """The tick after which to ask next."""
        end = self.first_tick - 1 + self.phase.cap * self.sweep
        return min(self.tick + self.every * self.sweep, end)

    @property
    def ticks(self) -> int:
        """Ticks that this phase has run."""
        return self.tick - self.first_tick + 1


class PhaseSequence:
    """One lane's way through the phases of a relaxation: which check comes next, and what its verdict leads to.

    Whoever knows how a phase has ended calls `end`.

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
