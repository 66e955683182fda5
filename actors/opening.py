"""The first states of a host's blocks in one lane, before anything moves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dyadnet.assembly import samples
from dyadnet.clocks import Moment
from dyadnet.data import Dataset
from dyadnet.dyads import Dyads
from dyadnet.messages import Kind, Message
from dyadnet.relaxation import Relaxation

Send = Callable[[Sequence[Message]], None]


class Opening:
    """Begins one block after the other, in block order.

    A feedforward pass visits the populations in the order of the description, so a block begins once the states of
    those before it are there. Each sends its first state as an ideal message.

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
    waiting
        Blocks that have not begun.
    """

    def __init__(
        self,
        lane: int,
        relaxation: Relaxation,
        rows: NDArray[np.int64],
        dyads: Mapping[str, Dyads],
        dataset: Dataset | None,
        *,
        feedforward: bool,
    ) -> None:
        self.waiting = list(dyads)
        self._lane = lane
        self._relaxation = relaxation
        self._rows = rows
        self._dyads = dyads
        self._dataset = dataset
        self._feedforward = feedforward
        self._early: dict[str, list[Message]] = {name: [] for name in dyads}
        self._heard: set[tuple[str, str, Kind]] = set()

    def accept(self, message: Message) -> None:
        """Take in a message; it is kept until its target has begun."""
        if message.tick == 0:
            self._heard.add((message.target, message.source, message.kind))
        if message.target in self.waiting:
            self._early[message.target].append(message)
        else:
            self._dyads[message.target].receive(message)

    def lacks(self) -> list[tuple[str, str, Kind]]:
        """(block, source, kind) of the first states that have not come yet, in order."""
        return sorted(
            (name, source, kind)
            for name, dyad in self._dyads.items()
            for source, kind, _ in dyad.expects(0)
            if (name, source, kind) not in self._heard
        )

    def needs(self) -> list[tuple[str, str, Kind]]:
        """(block, source, kind) of what the next block has still to hear before it can begin; from any thread."""
        return [
            (name, source, "state")
            for name in self.waiting[:1]
            for source in sorted(self._before(name))
            if (name, source, "state") not in self._heard
        ]

    def _before(self, name: str) -> set[str]:
        """Blocks whose first states that of a block needs."""
        block = self._dyads[name].block
        index = block.spec.index
        return {s.source for s in block.synapses if s.link.pre.index < index} if self._feedforward else set()

    def advance(self, send: Send) -> bool:
        """Begin the next block if it can; whether it has."""
        name = self.waiting[0]
        dyad = self._dyads[name]
        before = self._before(name)
        if not all((name, source, "state") in self._heard for source in before):
            return False
        # The pass sees the blocks before this one and no others, whoever else has begun already.
        first = [m for m in self._early[name] if m.kind == "state" and m.source in before]
        dyad.mail.begin(self._relaxation.number)
        for message in first:
            dyad.receive(message)
        moment = Moment(self._relaxation.number, 0, self._lane)
        inputs = targets = None
        if self._dataset is not None:
            inputs, targets = samples(dyad, self._relaxation, self._rows, self._dataset)
        out = dyad.begin(moment, len(self._rows), self._relaxation.step, inputs, targets)
        for message in self._early.pop(name):
            dyad.receive(message)
        self.waiting.pop(0)
        send(out)
        return True
