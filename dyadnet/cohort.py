"""The blocks of one host in free-running mode, which update together; whoever drives them says when.

What an update computes depends on what was read before it, on the times that are passed in, and on who was told of
the ones before; nothing here looks at a clock. So a host that runs freely and one that repeats what it did are the
same from here on.
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping

from dyadnet.dyads import Dyads
from dyadnet.messages import Message
from dyadnet.realtime import RealDelay
from dyadnet.underway import Underway


class Cohort:
    """Blocks that update together in one relaxation.

    Parameters
    ----------
    dyads
        By block, in block order.
    delay
        Law of the delay of messages, beside what links and actors take; None: none.
    seed
        Of the draws of channels that are not ideal.

    Attributes
    ----------
    underway
        Messages that have come in and not arrived; None where channels are ideal, and before `begin`.
    """

    def __init__(self, dyads: Mapping[str, Dyads], delay: RealDelay | None, seed: int) -> None:
        self.dyads = dict(dyads)
        self.underway: Underway | None = None
        self._delay = delay
        self._seed = seed

    @property
    def updates(self) -> int:
        """Updates so far, which number what is told after each of them."""
        return max(dyad.course.updates for dyad in self.dyads.values())

    def begin(self) -> None:
        """The first states are there, and time begins."""
        if self._delay is not None or any(dyad.mail.disturbed for dyad in self.dyads.values()):
            self.underway = Underway(self.dyads, self._delay, self._seed)

    def enter(self, phase: int, beta: float) -> None:
        """Start a phase with the next update."""
        for dyad in self.dyads.values():
            dyad.enter(phase, beta, dyad.course.tick + 1)

    def average(self) -> None:
        """Average (m, d) from the next update on."""
        for dyad in self.dyads.values():
            dyad.average()

    def read(self, message: Message, made: float) -> None:
        """Take in a message that came in at a time."""
        if self.underway is None:
            self.dyads[message.target].mail.hold(message)
        else:
            self.underway.put(message, made)

    def deliver(self, now: float) -> None:
        """Deliver what has arrived by now over channels that are not ideal."""
        if self.underway is not None:
            self.underway.deliver(now)

    def update(self, now: float, interval: float, time_constant: float) -> None:
        """One update of every block, of which the others here hear at once.

        Parameters
        ----------
        now
            The time, in seconds on any one clock.
        interval, time_constant
            Δt since the last update, and T.
        """
        fraction = -math.expm1(-interval / time_constant)
        for dyad in self.dyads.values():
            dyad.integrate(fraction)
        for dyad in self.dyads.values():
            for message in dyad.tell(self.dyads):
                self.read(message, now)

    def tell(self, targets: Container[str]) -> list[Message]:
        """Messages with the present state to blocks elsewhere."""
        return [message for dyad in self.dyads.values() for message in dyad.tell(targets)]
