"""An actor's report about itself while it computes or waits: the records of a stall's diagnosis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dyadnet.dynamics.messages import Kind

Doing = Literal["computing", "waiting", "checking", "done"]
"""A lane computes or is about to, waits for messages, waits for a verdict at a check tick, or is done."""
SHOWN = 2
"""Maximum number of messages that the description of one lane lists."""


@dataclass(frozen=True, slots=True)
class ExpectedMessage:
    """A message that a block waits for.

    Attributes
    ----------
    tick
        Tick at which the source sends it; 0 for the initial state.
    """

    block: str
    source: str
    kind: Kind
    tick: int

    def __str__(self) -> str:
        """Describe this in words."""
        return f"{self.block} waits for {self.kind} of {self.source} of tick {self.tick}"


@dataclass(frozen=True, slots=True)
class LaneStatus:
    """How far one lane of an actor has come.

    Attributes
    ----------
    tick
        The last tick that has begun.
    wants
        Messages that the lane needs to continue.
    unborn
        Blocks that have not sent their initial state yet.
    """

    lane: int
    tick: int
    doing: Doing
    wants: tuple[ExpectedMessage, ...] = ()
    unborn: tuple[str, ...] = ()

    def has_sent(self, source: str, tick: int) -> bool:
        """Return whether a block's message of a tick has been sent, given that the lane does not compute."""
        return self.doing == "done" or (source not in self.unborn and (tick == 0 or self.tick >= tick))

    def __str__(self) -> str:
        """Describe this in words."""
        if self.doing == "checking":
            return f"lane {self.lane} waits at check tick {self.tick} for the verdict"
        wants = "; ".join(map(str, self.wants[:SHOWN]))
        return f"lane {self.lane} at tick {self.tick}: {wants or self.doing}"


@dataclass(frozen=True, slots=True)
class HostStatus:
    """What an actor is doing.

    Attributes
    ----------
    activity
        The activity in words; ``idle`` between two rounds.
    round
        The last round that the actor has begun.
    still
        Seconds for which nothing has moved here.
    lanes
        Lanes of a round in which the actor waits for messages.
    busy
        Whether the actor has something to do although its lanes wait: it reads messages, or is held back.
    """

    activity: str
    round: int = 0
    still: float = 0.0
    lanes: tuple[LaneStatus, ...] = ()
    busy: bool = False

    @property
    def computing(self) -> bool:
        """Whether the actor has something to do and waits for nobody."""
        if self.activity == "idle":
            return False
        lanes = [lane for lane in self.lanes if lane.doing != "done"]
        return self.busy or not lanes or any(lane.doing == "computing" for lane in lanes)

    def __str__(self) -> str:
        """Describe this in words."""
        lanes = [str(lane) for lane in self.lanes if lane.doing != "done" and not self.busy]
        return ", ".join([self.activity, *(["; ".join(lanes)] if lanes else [])])


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Stands for the report of an actor that has not answered.

    Attributes
    ----------
    seconds
        Seconds since the actor's last sign of life.
    died
        Cause of death, if the actor is known to be dead; empty if it only does not answer.
    """

    seconds: float = 0.0
    died: str = ""

    def __str__(self) -> str:
        """Describe this in words."""
        if self.died:
            return f"dead ({self.died})"
        return f"does not answer: no sign of life for {self.seconds:.1f} s"


Told = HostStatus | NoAnswer
