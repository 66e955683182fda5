"""What a block has received for one lane: messages under way, and the newest of each neighbour.

Messages are delivered in the order (arrival, source, sequence); of each (source, kind) the one with the newest send
tick is held. Where delays differ from neuron to neuron, newest wins for each neuron.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.channels import RECEIVED, ReceivingEnd
from dyadnet.clocks import Clock, Moment
from dyadnet.messages import Kind, Message

Pending = tuple[int, int, int, int, Message, NDArray[np.bool_] | None]
"""(arrival, order of the channel, sequence, order of receipt, message, which neurons)."""


Expected = tuple[str, Kind, int]
"""(source, kind, send tick) of a message that is to come."""


@dataclass(frozen=True, slots=True)
class Inbound:
    """The receiving end of one channel of a block, and the clock of the block that sends on it.

    Attributes
    ----------
    order
        Breaks ties between messages that arrive at one tick.
    """

    source: str
    kind: Kind
    order: int
    end: ReceivingEnd
    clock: Clock


class Mailbox:
    """The receiving side of one block's lane.

    Parameters
    ----------
    inbound
        Every channel that ends here.
    """

    def __init__(self, inbound: Iterable[Inbound]) -> None:
        self._inbound = {(channel.source, channel.kind): channel for channel in inbound}
        self.held: dict[tuple[str, Kind], Message] = {}
        self.counts = {channel: dict.fromkeys(RECEIVED, 0) for channel in self._inbound}
        self._pending: list[Pending] = []
        self._received = 0
        self._merges = -1

    def begin(self, relaxation: int) -> None:
        """Forget the last relaxation; initial states of this one that came early are kept."""
        early = {k: m for k, m in self.held.items() if m.tick == 0 and m.relaxation == relaxation}
        self.held = early
        self.counts = {channel: dict.fromkeys(RECEIVED, 0) for channel in self._inbound}
        self._pending = []
        self._received = 0
        self._merges = -1

    @property
    def stale(self) -> int:
        """Messages that were dropped because a newer one was held."""
        return sum(counts["stale"] for counts in self.counts.values())

    def receive(self, message: Message) -> None:
        """Take a message in, to be delivered when it arrives in virtual time; an initial state at once."""
        if message.tick == 0:
            self.hold(message)
            return
        channel = self._inbound[message.source, message.kind]
        moment = Moment(message.relaxation, message.phase, message.lane)
        for arrival, neurons in channel.end.arrivals(message.tick, moment):
            self._received += 1
            entry = (arrival, channel.order, message.sequence, self._received, message, neurons)
            heapq.heappush(self._pending, entry)

    def hold(self, message: Message) -> None:
        """Hold an ideal message, whatever was held before."""
        self.held[message.source, message.kind] = message

    def deliver(self, tick: int) -> None:
        """Deliver every message that has arrived by `tick`."""
        pending = self._pending
        while pending and pending[0][0] <= tick:
            arrival, *_, message, neurons = heapq.heappop(pending)
            key = (message.source, message.kind)
            if arrival > message.tick + 1 and (neurons is None or neurons is self._inbound[key].end.latest):
                self.counts[key]["delayed"] += 1
            held = self.held.get(key)
            if neurons is not None and held is not None:
                self._merges -= 1
                self.held[key] = merged(held, message, neurons, since=self._merges)
            elif held is None or message.tick > held.tick:
                self.held[key] = message
            else:
                self.counts[key]["stale"] += 1

    def expects(self, tick: int, moment_at: Callable[[int], Moment]) -> set[Expected]:
        """Every (source, kind, send tick) that arrives at `tick`; at tick 0, the initial state of each channel.

        Parameters
        ----------
        moment_at
            The moment that a send tick counted its draws by.
        """
        if tick == 0:
            return {(channel.source, channel.kind, 0) for channel in self._inbound.values()}
        due: set[Expected] = set()
        for channel in self._inbound.values():
            for sent in range(max(1, tick - channel.end.largest), tick):
                moment = moment_at(sent)
                if not channel.clock.fires(sent, moment):
                    continue
                if any(arrival == tick for arrival, _ in channel.end.arrivals(sent, moment)):
                    due.add((channel.source, channel.kind, sent))
        return due

    def snapshot(self) -> dict[str, Any]:
        """All that changes; messages are shared, because they are never written again."""
        return {
            "held": dict(self.held),
            "counts": {channel: dict(counts) for channel, counts in self.counts.items()},
            "_pending": list(self._pending),
            "_received": self._received,
            "_merges": self._merges,
        }

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Go back to a snapshot, which stays good."""
        self.__dict__.update(snapshot)
        self.held, self._pending = dict(snapshot["held"]), list(snapshot["_pending"])
        self.counts = {channel: dict(counts) for channel, counts in snapshot["counts"].items()}


def merged(held: Message, message: Message, neurons: NDArray[np.bool_], since: int) -> Message:
    """What is held once some neurons of a newer message have arrived.

    Parameters
    ----------
    since
        A number that no stream's ``…_since`` has had, because these bits are new to the receiver.
    """
    streams = max(held.payload.shape[0], message.payload.shape[0])
    payload = np.zeros((streams, *message.payload.shape[1:]), dtype=message.payload.dtype)
    payload[: held.payload.shape[0]] = held.payload
    payload[: message.payload.shape[0], :, neurons] = message.payload[:, :, neurons]
    return replace(
        message,
        tick=max(held.tick, message.tick),
        payload=payload,
        mean=message.mean or held.mean,
        difference=message.difference or held.difference,
        mean_since=since,
        difference_since=since,
    )
