"""What to do after a failure: resume from the last checkpoint, or end with an explanation.

The class `Recovery` only counts failures and decides; the code that runs the actors carries the decision out. Actors,
machines and single minibatches have separate budgets. So neither a machine that fails again and again nor a minibatch
that kills its actors is retried forever.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import Field

from dyadnet.errors import DyadnetError, RunFolderError
from dyadnet.schema import Spec

What = Literal["actor", "node", "link", "stall", "coordinator"]
"""Kinds of failure: an actor died or hangs; its machine died; messages between two actors were lost, or the two never
connected; the run stalls for an unknown reason; the coordinator died."""


class RecoverySpec(Spec):
    """How failures are detected, and how many of them a run survives; engine ``ray`` only.

    Attributes
    ----------
    heartbeat
        Seconds without a sign of life after which an actor counts as hung. Also the seconds of standstill after which
        messages that were sent but not received count as lost.
    stalled
        Seconds of standstill after which a lockstep run reports which actor waits for which.
    actor_failures
        Allowed failures of actors, the coordinator and links in the whole run; 0: the first one ends the run.
    node_failures
        Allowed failures of machines in the whole run.
    same_minibatch
        Number of failures at the same minibatch that ends the run. The error names the minibatch.
    """

    heartbeat: float = Field(6.0, gt=0)
    stalled: float = Field(4.0, gt=0)
    actor_failures: int = Field(10, ge=0)
    node_failures: int = Field(3, ge=0)
    same_minibatch: int = Field(3, ge=1)


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure of a part of the run.

    Attributes
    ----------
    what, who, why
        Kind of failure, names of the failed parts, and symptom.
    minibatch
        Minibatch of the run's training, from 1, that was under way. During an evaluation, the one before it.
    """

    what: What
    who: tuple[str, ...]
    why: str
    minibatch: int

    def plain(self) -> dict[str, Any]:
        """Return the failure as a line of the run's event record."""
        return {"kind": "failure"} | asdict(self) | {"who": list(self.who)}

    @classmethod
    def from_plain(cls, line: Mapping[str, Any]) -> Failure:
        """Build a failure from a line of the run's event record."""
        try:
            return cls(line["what"], tuple(line["who"]), line["why"], int(line["minibatch"]))
        except (KeyError, TypeError, ValueError):
            raise RunFolderError("events.jsonl: damaged, a line describes no failure") from None


def failures(events: Iterable[Mapping[str, Any]]) -> list[Failure]:
    """Return the failures among a run's events."""
    return [Failure.from_plain(event) for event in events if event["kind"] == "failure"]


class GaveUpError(DyadnetError):
    """The run failed more often than allowed. The message names the failed part and the setting that allows more."""


class Recovery:
    """Counts failures and decides whether the run continues.

    Parameters
    ----------
    spec
        The budgets.
    history
        Earlier failures of this run that it survived.
    """

    def __init__(self, spec: RecoverySpec, history: Iterable[Failure] = ()) -> None:
        self.spec = spec
        self.history: list[Failure] = list(history)

    @property
    def incarnation(self) -> int:
        """Number of the current generation of actors; the first is 0. Each failure starts a new one."""
        return len(self.history)

    def refuse(self, failure: Failure) -> str | None:
        """Count a failure. Return None if the run continues, or the reason why it ends."""
        self.history.append(failure)
        who = " and ".join(failure.who)
        here = [known for known in self.history if known.minibatch == failure.minibatch]
        budget = "node_failures" if failure.what == "node" else "actor_failures"
        count = sum((known.what == "node") == (failure.what == "node") for known in self.history)
        allowed = getattr(self.spec, budget)
        if allowed == 0:
            return failure.why
        if len(here) >= self.spec.same_minibatch:
            several = f"failure number {len(here)} at minibatch {failure.minibatch}, which is not tried again"
            return f"{failure.why}; {several} (recovery.same_minibatch); {who} failed last"
        if count > allowed:
            return f"{failure.why}; failure number {count}, {allowed} are survived (recovery.{budget})"
        return None
