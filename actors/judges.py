"""What the coordinator concludes from hosts' reports while a minibatch settles: pure decisions, no effects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from actors.inbox import Decision
from actors.transport import Report
from dyadnet.errors import DivergedError
from dyadnet.relaxation import Phase, PhaseOutcome, Progress
from dyadnet.settling import Kind, Settling, Verdict


class Judge(Protocol):
    """Hears the reports of one relaxation until it is over."""

    @property
    def done(self) -> bool:
        """Whether every lane is over."""

    @property
    def diverged(self) -> DivergedError | None:
        """Where it diverged, if it did."""

    @property
    def outcomes(self) -> tuple[tuple[PhaseOutcome, ...], ...]:
        """Of each lane its phases."""

    def hear(self, report: Report) -> Decision | None:
        """Take in a report; the decision that it leads to, if any."""


@dataclass(frozen=True, slots=True)
class Given:
    """Verdicts that the hosts have given on consecutive checks of a lane; of a divergence its block and why."""

    kinds: tuple[Kind, ...]
    block: str = ""
    why: str = ""


class LockstepJudge:
    """One verdict a check tick and lane, once every host has reported.

    Parameters
    ----------
    courses
        Of each lane.
    blocks
        All blocks in their order.
    hosts
        How many report.

    Attributes
    ----------
    last
        The verdict that was given last.
    """

    def __init__(self, courses: Mapping[int, Settling], blocks: Sequence[str], hosts: int) -> None:
        self._courses = courses
        self._blocks = blocks
        self._hosts = hosts
        self._heard: dict[tuple[int, int], dict[int, Any]] = {}
        self._diverged: dict[int, DivergedError] = {}
        self.last = Verdict("continue")

    @property
    def done(self) -> bool:
        """See `Judge`."""
        return all(course.done for course in self._courses.values())

    @property
    def diverged(self) -> DivergedError | None:
        """See `Judge`; of several lanes the first."""
        return self._diverged[min(self._diverged)] if self._diverged else None

    @property
    def outcomes(self) -> tuple[tuple[PhaseOutcome, ...], ...]:
        """See `Judge`."""
        return tuple(tuple(course.outcomes) for course in self._courses.values())

    def hear(self, report: Report) -> Decision | None:
        """See `Judge`; a report of verdicts that the hosts have given is followed."""
        if isinstance(report.content, Given):
            self._follow(report.lane, report.content)
            return None
        key = (report.lane, report.check)
        so_far = self._heard.setdefault(key, {})
        so_far[report.host] = report.content
        if len(so_far) < self._hosts:
            return None
        del self._heard[key]
        return self.decide(report.round, report.lane, report.check, [p for part in so_far.values() for p in part])

    def decide(self, number: int, lane: int, check: int, told: Iterable[tuple[str, int, int, float]]) -> Decision:
        """The decision on a check of which everything has been told: fields of every block's `Progress`."""
        course = self._courses[lane]
        tick = course.next_check
        progress = {p[0]: Progress(*p) for p in told}
        verdict = course.judge([progress[name] for name in self._blocks])
        self.last = verdict
        if verdict.kind == "diverged":
            self._diverged[lane] = DivergedError(verdict.block, tick, verdict.why)
        return Decision(number, lane, check, verdict.kind)

    def _follow(self, lane: int, given: Given) -> None:
        course = self._courses[lane]
        for kind in given.kinds:
            tick = course.next_check
            course.follow(kind)
            if kind == "diverged":
                self._diverged[lane] = DivergedError(given.block, tick, given.why)


class FreeJudge:
    """A phase ends once no host is restless: all are quiet, or have spent what they had.

    Parameters
    ----------
    settle
        Whether the hosts were to be quiet, so that having spent all counts as capped.
    hosts
        How many report.
    """

    def __init__(self, phases: Sequence[Phase], hosts: int, *, settle: bool) -> None:
        self._phases = phases
        self._hosts = hosts
        self._settle = settle
        self._states: dict[int, tuple[str, dict[str, int]]] = {}
        self._ended: list[PhaseOutcome] = []
        self._diverged: DivergedError | None = None

    @property
    def done(self) -> bool:
        """See `Judge`."""
        return self._diverged is not None or len(self._ended) == len(self._phases)

    @property
    def diverged(self) -> DivergedError | None:
        """See `Judge`."""
        return self._diverged

    @property
    def outcomes(self) -> tuple[tuple[PhaseOutcome, ...], ...]:
        """See `Judge`; ticks are updates of the slowest block, sweeps the mean over blocks."""
        return (tuple(self._ended),)

    def hear(self, report: Report) -> Decision | None:
        """See `Judge`."""
        if report.check != len(self._ended):
            return None
        state, updates, worst = report.content
        self._states[report.host] = (state, updates)
        if state == "diverged":
            self._diverged = DivergedError(worst, max(updates.values()), "A or D is no longer finite")
            return Decision(report.round, 0, report.check, "diverged")
        states = [told for told, _ in self._states.values()]
        if len(states) < self._hosts or "restless" in states:
            return None
        settled = not self._settle or set(states) == {"quiet"}
        counts = [count for _, counts in self._states.values() for count in counts.values()]
        name = self._phases[report.check].name
        self._ended.append(PhaseOutcome(name, min(counts), sum(counts) / len(counts), settled))
        self._states = {}
        return Decision(report.round, 0, report.check, "settled" if settled else "capped")
