"""Lockstep in virtual time, without null messages: one lane of one host.

Clocks and delays are drawn from counters, so every block knows which messages arrive at a tick, and waits for those
and no others. At a check tick the lane reports once and waits for the verdict. The order of what happens within a
tick is that of `dyadnet.dyads`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from actors.opening import Opening, Send
from actors.standing import Doing, LaneStanding, Want
from dyadnet.data import Dataset
from dyadnet.dyads import Dyads
from dyadnet.mailbox import Expected
from dyadnet.messages import Message
from dyadnet.relaxation import Relaxation
from dyadnet.settling import Kind, Settling

Report = Callable[[int, list[tuple[str, int, int, float]]], None]
"""Takes the number of the check, and the fields of each block's `dyadnet.relaxation.Progress`."""


class Outstanding:
    """What one block has still to hear.

    Parameters
    ----------
    memory
        Ticks for which a message may be asked after: the largest delay.
    """

    def __init__(self, dyads: Dyads, memory: int) -> None:
        self._dyads = dyads
        self._memory = memory
        self._heard: set[Expected] = set()
        self._owed: set[Expected] = set()
        self._asked = -1

    def hear(self, message: Message) -> bool:
        """Note a message; False if it has come before."""
        key = (message.source, message.kind, message.tick)
        if key in self._heard:
            return False
        self._heard.add(key)
        self._owed.discard(key)
        return True

    @property
    def owed(self) -> list[Expected]:
        """What has been asked after and has not come; from any thread, because it asks after nothing itself."""
        return sorted(self._owed)

    def lacks(self, tick: int) -> set[Expected]:
        """What arrives by `tick` and has not come yet."""
        while self._asked < tick:
            self._asked += 1
            self._owed |= self._dyads.expects(self._asked) - self._heard
        if len(self._heard) > 64:
            # A message that arrives part by part is asked after more than once, but never after the largest delay.
            self._heard = {key for key in self._heard if key[2] + self._memory >= self._asked}
        return self._owed


class Lane:
    """One lane of a host through one relaxation.

    Parameters
    ----------
    dyads
        The host's blocks in block order, for this lane.
    rows
        Of the data, for this lane.
    feedforward
        Whether a block's first state needs those of the blocks before it.

    Attributes
    ----------
    reach
        Told of every tick before it begins.
    """

    def __init__(
        self,
        index: int,
        relaxation: Relaxation,
        rows: NDArray[np.int64],
        dyads: Mapping[str, Dyads],
        settling: Settling,
        dataset: Dataset | None,
        *,
        largest_delay: int,
        feedforward: bool,
    ) -> None:
        self.index = index
        self.rows = rows
        self.dyads = dict(dyads)
        self.tick = 0
        self.done = False
        self._settling = settling
        self._opening = Opening(index, relaxation, rows, self.dyads, dataset, feedforward=feedforward)
        self._outstanding = {name: Outstanding(dyad, largest_delay) for name, dyad in dyads.items()}
        self._reported = False
        self._stuck = False
        self.reach: Callable[[int], None] | None = None
        self._turning = False

    def accept(self, message: Message) -> bool:
        """Take in a message to one of this lane's blocks; False if it has come before."""
        if not self._outstanding[message.target].hear(message):
            return False
        self._opening.accept(message)
        return True

    def follow(self, check: int, kind: Kind) -> None:
        """Take over the verdict on a check; one that was not asked for is ignored."""
        if self._reported and check == self._settling.checks:
            self._reported = False
            phase = self._settling.index
            self._settling.follow(kind)
            if self._settling.index != phase:
                # What was held at the stop tick counts where compartments take turns, and may be under way.
                self._turning = bool(self._settling.phase.side)
                if not self._turning:
                    self._enter()

    def advance(self, send: Send, report: Report) -> bool:
        """Run on until a message or a verdict is lacking; whether anything moved."""
        moved = self._stuck = False
        while not self.done and self._step(send, report):
            moved = True
        self._stuck = True
        return moved

    def standing(self) -> LaneStanding:
        """How far it has come and what it waits for; from any thread."""
        wants: list[Want] = []
        if self._stuck:
            wants = [Want(name, source, kind, 0) for name, source, kind in self._opening.needs()] or [
                Want(name, source, kind, sent)
                for name, outstanding in self._outstanding.items()
                for source, kind, sent in outstanding.owed
            ]
        doing: Doing = "waiting" if wants else "computing"
        if self.done or self._reported:
            doing, wants = "done" if self.done else "checking", []
        return LaneStanding(self.index, self.tick, doing, tuple(wants), tuple(self._opening.waiting))

    def _step(self, send: Send, report: Report) -> bool:
        if self._reported:
            return False
        if self._opening.waiting:
            return self._begin(send)
        if self._settling.done:
            return self._finish()
        if self._turning:
            return self._turn()
        return self._fire(send, report)

    def _begin(self, send: Send) -> bool:
        if not self._opening.advance(send):
            return False
        if not self._opening.waiting:
            self._enter()
        return True

    def _turn(self) -> bool:
        if any(owed.lacks(self.tick) for owed in self._outstanding.values()):
            return False
        self._turning = False
        self._enter()
        return True

    def _enter(self) -> None:
        settling = self._settling
        for dyad in self.dyads.values():
            phase = settling.phase
            dyad.enter(settling.index, phase.beta, settling.first_tick, settling.average_from, phase.side)

    def _fire(self, send: Send, report: Report) -> bool:
        tick = self.tick + 1
        firing = [name for name, dyad in self.dyads.items() if dyad.clock.fires(tick, dyad.moment)]
        if any(self._outstanding[name].lacks(tick) for name in firing):
            return False
        if self.reach is not None:
            self.reach(tick)
        self.tick = tick
        out = [message for name in firing for message in self.dyads[name].fire(tick)]
        checked = tick == self._settling.next_check
        if checked:
            # First, so that whoever is woken by what is sent finds it.
            self._reported = True
            progress = [dyad.progress() for dyad in self.dyads.values()]
            report(self._settling.checks, [(p.block, p.fired, p.over, p.residual) for p in progress])
        if out or checked:
            send(out)
        return True

    def _finish(self) -> bool:
        """Hold what has arrived by the stop tick, which is what is learned from."""
        if any(owed.lacks(self.tick) for owed in self._outstanding.values()):
            return False
        for dyad in self.dyads.values():
            dyad.deliver(self.tick)
        self.done = True
        return True
