"""The stop rule: what follows from what every block reports at a check tick."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dyadnet.dynamics.stopping import StopRule, Verdict, circling


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a block has come at a check tick: two integers for the stop rule, and its largest residual.

    Attributes
    ----------
    fired, over
        Last tick at which it fired, and last tick at which it fired over tolerance.
    residual
        Largest |A*−A| since the last check; not finite if A or D is not.
    """

    block: str
    fired: int
    over: int
    residual: float


def settled(progress: Sequence[Progress], first_tick: int, largest_delay: int) -> bool:
    """Has every block fired at a tick ≥ U + the largest delay?

    U is the last tick at which any block fired over tolerance, and at least the phase's first tick. If so, each
    block has updated within tolerance after hearing all that was sent up to U: no wave still travels.
    """
    last_over = max(first_tick, max(p.over for p in progress))
    return all(p.fired >= last_over + largest_delay for p in progress)


class Judge:
    """Decides at the check ticks of one phase of one lane.

    Parameters
    ----------
    rule
        Of the phase.
    tolerance
        A residual within it is never called diverging.
    """

    def __init__(self, rule: StopRule, tolerance: float) -> None:
        self.rule = rule
        self._tolerance = tolerance
        self._smallest = math.inf
        self._smallest_at = rule.first_tick - 1

    def judge(self, progress: Sequence[Progress]) -> Verdict:
        """The verdict at the next check, from what every block reports there."""
        rule = self.rule
        rule.tick = rule.next_check
        worst = max(progress, key=lambda p: p.residual)
        if not math.isfinite(worst.residual):
            return Verdict("diverged", worst.block, "A or D is no longer finite")
        if rule.phase.fixed:
            return Verdict("settled")
        if settled(progress, rule.first_tick, rule.window):
            return Verdict("settled")
        if worst.residual < self._smallest:
            self._smallest, self._smallest_at = worst.residual, rule.tick
        elif (
            rule.patience is not None
            and worst.residual > self._tolerance
            and rule.tick - self._smallest_at >= rule.patience * rule.sweep
        ):
            return Verdict("diverged", worst.block, circling(self._smallest, rule.patience, worst.residual))
        if rule.ticks >= rule.phase.cap * rule.sweep:
            return Verdict("capped")
        return Verdict("continue")
