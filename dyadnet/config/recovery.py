"""What to do after a failure: go on from the last checkpoint, or end and say why.

The decision is taken here, by an object that only counts; whoever runs the actors carries it out. Actors, machines
and single minibatches have budgets of their own, so that neither a machine that keeps dying nor a minibatch that kills
its actors is retried for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import Field

from dyadnet.errors import DyadnetError, RunFolderError
from dyadnet.schema import Spec

What = Literal["actor", "node", "link", "stall", "coordinator"]
"""An actor died or hangs, its machine does, letters between two actors were lost or they never met, nobody knows why
nothing moves, or the coordinator died."""


class RecoverySpec(Spec):
    """How failures are noticed, and how many a run survives; engine ``ray``.

    Attributes
    ----------
    heartbeat
        Seconds without a sign of life after which an actor counts as hung, and seconds of standstill after which
        letters that were sent and never came count as lost.
    stalled
        Seconds of standstill after which a run in lockstep says who waits for whom.
    actor_failures
        Of actors, the coordinator and links, in the whole run; 0: the first ends it.
    node_failures
        Of machines, in the whole run.
    same_minibatch
        Failures at one minibatch with which the run ends, and the minibatch is named.
    """

    heartbeat: float = Field(6.0, gt=0)
    stalled: float = Field(4.0, gt=0)
    actor_failures: int = Field(10, ge=0)
    node_failures: int = Field(3, ge=0)
    same_minibatch: int = Field(3, ge=1)


@dataclass(frozen=True, slots=True)
class Failure:
    """What failed.

    Attributes
    ----------
    what, who, why
        Kind, names and symptom.
    minibatch
        Of the run's training, from 1, that was under way; of the one before, if the data were being evaluated.
    """

    what: What
    who: tuple[str, ...]
    why: str
    minibatch: int

    def plain(self) -> dict[str, Any]:
        """As a line of the machinery's record."""
        return {"kind": "failure"} | asdict(self) | {"who": list(self.who)}

    @classmethod
    def from_plain(cls, line: Mapping[str, Any]) -> Failure:
        """From a line of the machinery's record."""
        try:
            return cls(line["what"], tuple(line["who"]), line["why"], int(line["minibatch"]))
        except (KeyError, TypeError, ValueError):
            raise RunFolderError("events.jsonl: damaged, a line describes no failure") from None


def failures(events: Iterable[Mapping[str, Any]]) -> list[Failure]:
    """Those among a run's events."""
    return [Failure.from_plain(event) for event in events if event["kind"] == "failure"]


class GaveUpError(DyadnetError):
    """A run that failed more often than it may; says what it was that failed, and which setting allows more."""


class Recovery:
    """Counts failures and says whether to go on.

    Parameters
    ----------
    spec
        The budgets.
    history
        Failures of this run that were survived before.
    """

    def __init__(self, spec: RecoverySpec, history: Iterable[Failure] = ()) -> None:
        self.spec = spec
        self.history: list[Failure] = list(history)

    @property
    def incarnation(self) -> int:
        """Which life of the run's actors this is; the first is 0."""
        return len(self.history)

    def refuse(self, failure: Failure) -> str | None:
        """Count a failure; None if the run goes on, else why it ends."""
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
