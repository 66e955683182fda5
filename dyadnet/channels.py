"""Channels: one directed link between two blocks for one kind of message, with an end at each block.

What has a memory acts at the sender's end; what can be drawn from counters acts at the receiver's end. So the wire
between them is clean, and the receiver alone decides when a message arrives. Delays are the imperfection there is
so far; each further one goes into one of the two ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.clocks import Moment
from dyadnet.delays import Delay
from dyadnet.messages import Message
from dyadnet.random import Stream

SENT = ("messages", "values", "quantised", "suppressed")
RECEIVED = ("delayed", "dropped", "duplicated", "stale")
"""What the two ends count; see `dyadnet.relaxation.EdgeReport`."""
Arrival = tuple[int, NDArray[np.bool_] | None]
"""Tick of arrival, and which neurons arrive then (None: all)."""


class SendingEnd:
    """The sender's end: passes every message on unchanged while the channel has no memory of its own.

    Attributes
    ----------
    counts
        Of this relaxation; see `dyadnet.relaxation.EdgeReport`.
    """

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.begin()

    def begin(self) -> None:
        """Forget the last relaxation."""
        self.counts = dict.fromkeys(SENT, 0)

    def send(self, message: Message) -> Message:
        """What goes out for what the block emits."""
        self.counts["messages"] += 1
        self.counts["values"] += message.payload.size
        return message

    def snapshot(self) -> dict[str, Any]:
        """All that changes."""
        return {"counts": dict(self.counts)}

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Go back to a snapshot, which stays good."""
        self.counts = dict(snapshot["counts"])


class ReceivingEnd:
    """The receiver's end: says when what was sent arrives.

    Parameters
    ----------
    delay
        Law of the delay.
    stream
        Draws of this channel.
    width
        Neurons that a message carries.
    """

    def __init__(self, delay: Delay, stream: Stream, width: int) -> None:
        self._stream = stream
        self._delay = delay
        self.largest = delay.largest
        self._constant: int | None = None
        self._by_neuron: list[tuple[int, NDArray[np.bool_]]] | None = None
        draw = getattr(delay, "draw", "channel")
        if delay.fixed or draw == "channel":
            self._constant = int(delay.sample(stream.at(), 1)[0])
        elif draw == "neuron":
            each = delay.sample(stream.at(), width)
            self._by_neuron = [(int(ticks), each == ticks) for ticks in np.unique(each)]

    @property
    def latest(self) -> NDArray[np.bool_] | None:
        """Which neurons arrive last, where each has a delay of its own."""
        return None if self._by_neuron is None else self._by_neuron[-1][1]

    def delay(self, tick: int, moment: Moment) -> int:
        """Delay of the last neuron of the message that was sent at `tick`."""
        if self._constant is not None:
            return self._constant
        if self._by_neuron is not None:
            return self._by_neuron[-1][0]
        generator = self._stream.at(tick, moment.phase, moment.lane, moment.relaxation)
        return int(self._delay.sample(generator, 1)[0])

    def arrivals(self, tick: int, moment: Moment) -> Iterator[Arrival]:
        """When the message that was sent at `tick` arrives: once, or part by part."""
        if self._by_neuron is None:
            yield tick + self.delay(tick, moment), None
        else:
            for ticks, neurons in self._by_neuron:
                yield tick + ticks, neurons
