"""When a relaxation ends: the stop rule, the cap, and the consequences of a verdict. No side effects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from dyadnet.dynamics.request import Phase, PhaseOutcome

Kind = Literal["continue", "settled", "capped", "diverged"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Result of a check.

    Attributes
    ----------
    kind
        ``continue``, ``settled``, ``capped``, or ``diverged``.
    block, why
        The block with the worst residual, and the reason in words if the relaxation diverges.
    """

    kind: Kind
    block: str = ""
    why: str = ""


def circling(smallest: float, patience: int, residual: float) -> str:
    """Return a text that explains why a relaxation whose residual does not fall counts as diverging."""
    return f"no residual below {smallest:.3g} in {patience} sweeps, now {residual:.3g}"


class StopRule:
    """Ticks and criteria of the checks of one phase of one lane. `dyadnet.program.sync.verdicts` decides.

    Parameters
    ----------
    phase
        The phase, with its cap and whether it is checked at all.
    first_tick
        First tick of the phase.
    sweep
        Number of ticks in a sweep.
    largest_delay
        Largest delay of any channel, in ticks. If messages can be lost, the time until one has arrived.
    check_every
        Sweeps between two checks.
    patience
        Sweeps without a new smallest residual that count as diverging; None if delays, clocks or noise are random.
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
        """Tick after which the next check takes place."""
        end = self.first_tick - 1 + self.phase.cap * self.sweep
        return min(self.tick + self.every * self.sweep, end)

    @property
    def ticks(self) -> int:
        """Number of ticks that this phase has run."""
        return self.tick - self.first_tick + 1


class PhaseSequence:
    """One lane's progress through the phases of a relaxation: the next check, and the consequences of its verdict.

    The code that knows how a phase has ended calls `end`.

    Parameters
    ----------
    phases
        Phases of the relaxation.
    rule
        Function that returns the stop rule of a phase that begins at a tick.
    sweep
        Number of ticks in a sweep.

    Attributes
    ----------
    index
        Index of the present phase.
    rule
        Stop rule of the present phase.
    outcomes
        Results of the completed phases.
    done
        Whether the last phase has ended, or a phase has diverged.
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
        """Tick from which the present phase is averaged, or None."""
        if not self.phase.average:
            return None
        return self.rule.first_tick + max(self.phase.cap - self.phase.average, 0) * self._sweep

    def end(self, tick: int, kind: Kind) -> None:
        """Record that the present phase has ended at a tick, and begin the next phase."""
        self.rule.tick = tick
        ticks = self.rule.ticks
        self.outcomes.append(PhaseOutcome(self.phase.name, ticks, ticks / self._sweep, kind == "settled"))
        if kind == "diverged" or self.index + 1 == len(self._phases):
            self.done = True
            return
        self.index += 1
        self.rule = self._rule_of(self.phase, tick + 1)
