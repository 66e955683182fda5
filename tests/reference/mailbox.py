"""What a block has received for one lane: messages under way, and the newest of each neighbour.

Messages are delivered in the order (arrival, source, sequence); of each (source, kind) the one with the newest send
tick is held. Where delays differ from neuron to neuron, newest wins for each neuron; where a message carries only
what has moved, newest wins for each number.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.dynamics.messages import Kind
from dyadnet.dynamics.outcome import RECEIVED
from dyadnet.timing.clocks import Clock
from tests.reference.channels import ReceivingEnd
from tests.reference.clocks import Moment, fires
from tests.reference.messages import Message
from tests.reference.transit import Fate

Pending = tuple[int, int, int, int, Message, NDArray[np.bool_] | None, int]
"""(arrival, order of the channel, sequence, order of receipt, message, which neurons, 1 for a duplicate)."""


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
        self._ideal = True
        self._until = 0
        self._fates: dict[tuple[str, Kind, int, Moment], Fate] = {}
        self._ticks: dict[tuple[str, Kind], NDArray[np.int32]] = {}

    def begin(self, relaxation: int, *, ideal: bool = False) -> None:
        """Forget the last relaxation; initial states of this one that came early are kept.

        Parameters
        ----------
        ideal
            Whether channels are to be ideal but for their delays.
        """
        early = {k: m for k, m in self.held.items() if m.tick == 0 and m.relaxation == relaxation}
        self.held = early
        self.counts = {channel: dict.fromkeys(RECEIVED, 0) for channel in self._inbound}
        self._pending = []
        self._received = 0
        self._merges = -1
        self._ideal = ideal
        self._until = 0
        self._fates = {}
        self._ticks = {}

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
        delay = channel.end.constant(ideal=self._ideal)
        if delay is not None:
            self._await(channel, message, message.tick + delay)
            return
        moment = Moment(message.relaxation, message.phase, message.lane)
        for arrival, neurons, copy in self._fate(channel, message.tick, moment).arrivals:
            self._await(channel, message, arrival, neurons, copy)

    def hold(self, message: Message) -> None:
        """Hold an ideal message, whatever was held before."""
        self.held[message.source, message.kind] = message

    def deliver(self, tick: int) -> None:
        """Deliver every message that has arrived by `tick`."""
        pending = self._pending
        while pending and pending[0][0] <= tick:
            arrival, *_, message, neurons, copy = heapq.heappop(pending)
            if (
                copy == 0
                and arrival > message.tick + 1
                and self._inbound[message.source, message.kind].end.last(neurons, copy)
            ):
                self.counts[message.source, message.kind]["delayed"] += 1
            self.take(message, neurons, copy)
        self._until = max(self._until, tick)

    def take(self, message: Message, neurons: NDArray[np.bool_] | None = None, copy: int = 0) -> None:
        """Hold what has just arrived of a message, with the noise of its channel, unless something newer is held."""
        key = (message.source, message.kind)
        end, held = self._inbound[key].end, self.held.get(key)
        if copy and end.last(neurons, copy):
            self.counts[key]["duplicated"] += 1
        piecemeal = end.piecemeal and not self._ideal
        if held is not None and neurons is None and not piecemeal and message.tick <= held.tick:
            self.counts[key]["stale"] += 1
            return
        if end.transit is not None and end.transit.noisy and not self._ideal:
            self._merges -= 1
            message = end.transit.disturbed(message, copy, since=self._merges)
        if held is None or (neurons is None and not piecemeal):
            self.held[key] = message
            return
        self._merges -= 1
        if not piecemeal:
            assert neurons is not None
            self.held[key] = merged(held, message, neurons, since=self._merges)
            return
        ticks = self._ticks.get(key)
        sent = ~np.isnan(message.payload)
        if neurons is not None:
            sent &= neurons
        self.held[key], self._ticks[key], used = patched(held, message, sent, ticks, since=self._merges)
        if not used and sent.any() and end.last(neurons, copy):
            self.counts[key]["stale"] += 1

    def rate(self, channel: tuple[str, Kind]) -> float:
        """Mean firings a tick of the block that sends on a channel."""
        return self._inbound[channel].clock.rate

    def lag(self, channel: tuple[str, Kind]) -> float:
        """Mean ticks by which the neurons of a channel are later than the first of them."""
        return self._inbound[channel].end.lag

    def report(self) -> dict[tuple[str, Kind], dict[str, int]]:
        """Counts of each channel, with what was lost on the way until the last delivery.

        What was lost is worked out from the same draws as what is expected, because nobody waits for it: it may have
        come here or not.
        """
        counts = {channel: dict(found) for channel, found in self.counts.items()}
        for (source, kind, _, _), fate in self._fates.items():
            counts[source, kind]["dropped"] += sum(arrival <= self._until for arrival in fate.lost)
        return counts

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
            delay = channel.end.constant(ideal=self._ideal)
            if delay is not None:
                sent = tick - delay
                if sent >= 1 and fires(channel.clock, sent, moment_at(sent)):
                    due.add((channel.source, channel.kind, sent))
                continue
            for sent in range(max(1, tick - channel.end.largest), tick):
                moment = moment_at(sent)
                if not fires(channel.clock, sent, moment):
                    continue
                if any(arrival == tick for arrival, _, _ in self._fate(channel, sent, moment).arrivals):
                    due.add((channel.source, channel.kind, sent))
        return due

    def _await(
        self,
        channel: Inbound,
        message: Message,
        arrival: int,
        neurons: NDArray[np.bool_] | None = None,
        copy: int = 0,
    ) -> None:
        self._received += 1
        entry = (arrival, channel.order, message.sequence, self._received, message, neurons, copy)
        heapq.heappush(self._pending, entry)

    def _fate(self, channel: Inbound, tick: int, moment: Moment) -> Fate:
        if self._ideal or not channel.end.uncertain:
            return channel.end.fate(tick, moment, ideal=True)
        key = (channel.source, channel.kind, tick, moment)
        if key not in self._fates:
            self._fates[key] = channel.end.fate(tick, moment)
        return self._fates[key]

    def snapshot(self) -> dict[str, Any]:
        """All that changes; messages are shared, because they are never written again."""
        return {
            "held": dict(self.held),
            "counts": {channel: dict(counts) for channel, counts in self.counts.items()},
            "_pending": list(self._pending),
            "_received": self._received,
            "_merges": self._merges,
            "_ideal": self._ideal,
            "_until": self._until,
            "_fates": dict(self._fates),
            "_ticks": dict(self._ticks),
        }

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Go back to a snapshot, which stays good."""
        self.__dict__.update(snapshot)
        self.held, self._pending = dict(snapshot["held"]), list(snapshot["_pending"])
        self.counts = {channel: dict(counts) for channel, counts in snapshot["counts"].items()}
        self._fates, self._ticks = dict(snapshot["_fates"]), dict(snapshot["_ticks"])


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
        sequence=max(held.sequence, message.sequence),
        payload=payload,
        mean=message.mean or held.mean,
        difference=message.difference or held.difference,
        mean_since=since,
        difference_since=since,
    )


def patched(
    held: Message, message: Message, sent: NDArray[np.bool_], ticks: NDArray[np.int32] | None, since: int
) -> tuple[Message, NDArray[np.int32], bool]:
    """What is held once some numbers of a message have arrived, each if it is newer than the one that is held.

    Parameters
    ----------
    sent
        Which numbers of the message have arrived, of the shape of its payload.
    ticks
        When each held number was sent, of the shape of the held payload; None: all at the beginning.
    since
        As in `merged`; a stream of which nothing is new keeps its bits and its mark.

    Returns
    -------
    tuple
        The message, when each of its numbers was sent, and whether any is new.
    """
    streams = max(held.payload.shape[0], message.payload.shape[0])
    shape = (streams, *message.payload.shape[1:])
    payload = np.zeros(shape, dtype=message.payload.dtype)
    payload[: held.payload.shape[0]] = held.payload
    when = np.zeros(shape, dtype=np.int32)
    if ticks is not None:
        when[: ticks.shape[0]] = ticks
    fresh = np.zeros(shape, dtype=np.bool_)
    part = message.payload.shape[0]
    fresh[:part] = sent & (message.tick > when[:part])
    payload[:part][fresh[:part]] = message.payload[fresh[:part]]
    when[fresh] = message.tick
    mean, difference = message.mean or held.mean, message.difference or held.difference
    changed = [bool(stream.any()) for stream in fresh]
    new = replace(
        held if held.tick > message.tick else message,
        payload=payload,
        mean=mean,
        difference=difference,
        mean_since=since if mean and changed[0] else held.mean_since,
        difference_since=since if difference and (changed[-1] or not held.difference) else held.difference_since,
    )
    return new, when, any(changed)
