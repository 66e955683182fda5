"""Channels: one directed link between two blocks for one kind of message, with an end at each block.

What has a memory acts at the sender's end (send-on-delta, then quantisation); what can be drawn from counters acts
at the receiver's end (delays, and what `tests.reference.transit` does). So the wire between them is clean, and the
receiver alone decides when and how a message arrives.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.dynamics.outcome import SENT
from dyadnet.dynamics.prospective import lag
from dyadnet.imperfections.channel import Channel
from dyadnet.numerics.quantization import quantised
from dyadnet.numerics.rng import Stream
from dyadnet.timing.delays import Delay, OwnDelay, sampled
from tests.reference.clocks import Moment
from tests.reference.messages import Message
from tests.reference.transit import Fate, Transit

Arrival = tuple[int, NDArray[np.bool_] | None]
"""Tick of arrival, and which neurons arrive then (None: all)."""
Array = NDArray[Any]


class SendingEnd:
    """The sender's end, of one lane.

    A number that send-on-delta holds back travels as NaN: of a message with such gaps the receiver takes the other
    numbers.

    Parameters
    ----------
    channel
        Its imperfections; None if there are none.
    rounding
        Draws of stochastic rounding.

    Attributes
    ----------
    counts
        Of this relaxation; see `dyadnet.dynamics.outcome.counted`.
    """

    def __init__(self, channel: Channel | None = None, rounding: Stream | None = None) -> None:
        channel = channel or Channel()
        self.counts: dict[str, int] = {}
        self._channel = channel
        self._quantisation = channel.quantisation
        self._rounding = rounding
        self._ideal = True
        self._last: Array | None = None
        self.begin(ideal=True)

    def begin(self, *, ideal: bool) -> None:
        """Forget the last relaxation; the next one is to be ideal or not."""
        self.counts = dict.fromkeys(SENT, 0)
        self._ideal = ideal or not self._channel.coarse
        self._last = None

    def open(self, message: Message) -> None:
        """Note the initial message, which the receiver holds from the beginning."""
        if not self._ideal:
            self._last = message.payload

    def send(self, message: Message) -> Message:
        """What goes out for what the block emits."""
        counts = self.counts
        counts["messages"] += 1
        if self._ideal:
            counts["values"] += message.payload.size
            return message
        moved = None if self._channel.send_on_delta.ideal() else self._moved(message)
        if not self._quantisation.ideal():
            message = self._coarse(message, moved)
        if moved is None:
            counts["values"] += message.payload.size
            return message
        sent = int(np.count_nonzero(moved))
        counts["values"] += sent
        counts["suppressed"] += moved.size - sent
        gap = message.payload.dtype.type(np.nan)
        return replace(message, payload=np.where(moved, message.payload, gap))

    def snapshot(self) -> dict[str, Any]:
        """All that changes; arrays are never written again."""
        return {"counts": dict(self.counts), "_ideal": self._ideal, "_last": self._last}

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Go back to a snapshot, which stays good."""
        self.__dict__.update(snapshot)
        self.counts = dict(snapshot["counts"])

    def _moved(self, message: Message) -> NDArray[np.bool_]:
        """Which numbers have moved by more than ε; they are the last that were sent from now on."""
        payload, settings = message.payload, self._channel.send_on_delta
        # A stream that was silent so far is held as zeros.
        last = np.zeros_like(payload)
        if self._last is not None:
            last[: len(self._last)] = self._last
        difference = settings.threshold if settings.difference is None else settings.difference
        epsilon = [settings.threshold] * message.mean + [difference] * message.difference
        limit = np.array(epsilon, dtype=payload.dtype)[:, np.newaxis, np.newaxis]
        moved: NDArray[np.bool_] = np.abs(payload - last) > limit
        self._last = np.where(moved, payload, last)
        return moved

    def _coarse(self, message: Message, moved: NDArray[np.bool_] | None) -> Message:
        settings, payload = self._quantisation, message.payload
        draws = None
        marks: dict[str, Any] = {}
        if settings.stochastic and self._rounding is not None:
            generator = self._rounding.at(message.tick, message.phase, message.lane, message.relaxation)
            draws = generator.random(payload.shape)
            marks = {"mean_since": message.sequence, "difference_since": message.sequence}
        levels = payload.copy()
        index = 0
        difference_bits = settings.bits if settings.difference_bits is None else settings.difference_bits
        for present, bits, limits in (
            (message.mean, settings.bits, settings.range),
            (message.difference, difference_bits, settings.difference_range),
        ):
            if present and bits is not None:
                levels[index] = quantised(payload[index], bits, limits, None if draws is None else draws[index])
                count = payload[index].size if moved is None else int(np.count_nonzero(moved[index]))
                self.counts["quantised"] += count
            index += present
        return replace(message, payload=levels, **marks)


class ReceivingEnd:
    """The receiver's end: says when what was sent arrives, and whether.

    Parameters
    ----------
    delay
        Law of the delay.
    stream
        Draws of this channel's delays.
    width
        Neurons that a message carries.
    channel
        Further imperfections; None if there are none.
    seed, entity, kind
        For their draws.

    Attributes
    ----------
    lag
        Mean ticks by which its neurons are later than the first of them, where each has a delay of its own.
    """

    def __init__(
        self,
        delay: Delay,
        stream: Stream,
        width: int,
        channel: Channel | None = None,
        *,
        seed: int = 0,
        entity: str = "",
        kind: str = "",
    ) -> None:
        self._stream = stream
        self._delay = delay
        self.largest = delay.largest
        self._constant: int | None = None
        self._by_neuron: list[tuple[int, NDArray[np.bool_]]] | None = None
        draw = getattr(delay, "draw", "channel")
        if delay.fixed or draw == "channel":
            self._constant = int(sampled(delay, stream.at(), 1)[0])
        elif draw == "neuron":
            each = sampled(delay, stream.at(), width)
            self._by_neuron = [(int(ticks), each == ticks) for ticks in np.unique(each)]
        self.lag = 0.0
        if self._by_neuron is not None:
            self.lag = lag([ticks for ticks, _ in self._by_neuron], [int(n.sum()) for _, n in self._by_neuron])
        self.transit: Transit | None = None
        self.piecemeal = False
        self._copies: ReceivingEnd | None = None
        if channel is not None and not channel.ideal():
            self.transit = Transit(channel, seed, entity, kind)
            doubled = not channel.duplication.ideal()
            if doubled:
                self._copies = ReceivingEnd(delay, Stream(seed, "delay of duplicates", entity, kind), width)
            self.piecemeal = not channel.send_on_delta.ideal() or (doubled and self._by_neuron is not None)

    @property
    def uncertain(self) -> bool:
        """Whether a message may be lost or duplicated."""
        return self.transit is not None and self.transit.uncertain

    def constant(self, *, ideal: bool) -> int | None:
        """Delay of every message, if each arrives once, whole, and after the same time; else None."""
        return self._constant if ideal or not self.uncertain else None

    def last(self, neurons: NDArray[np.bool_] | None, copy: int) -> bool:
        """Whether a message, or its duplicate, has arrived as a whole once these neurons have."""
        end = self if copy == 0 or self._copies is None else self._copies
        return neurons is None or end._by_neuron is None or neurons is end._by_neuron[-1][1]

    def delay(self, tick: int, moment: Moment) -> int:
        """Delay of the last neuron of the message that was sent at `tick`."""
        if self._constant is not None:
            return self._constant
        if self._by_neuron is not None:
            return self._by_neuron[-1][0]
        if isinstance(self._delay, OwnDelay):
            # A law of a user's own draws for 32 ticks at a time.
            generator = self._stream.at(tick - tick % 32, moment.phase, moment.lane, moment.relaxation)
            return int(sampled(self._delay, generator, 32)[tick % 32])
        generator = self._stream.at(tick, moment.phase, moment.lane, moment.relaxation)
        return int(sampled(self._delay, generator, 1)[0])

    def arrivals(self, tick: int, moment: Moment) -> Iterator[Arrival]:
        """When the message that was sent at `tick` arrives if it does: once, or part by part."""
        if self._by_neuron is None:
            yield tick + self.delay(tick, moment), None
        else:
            for ticks, neurons in self._by_neuron:
                yield tick + ticks, neurons

    def fate(self, tick: int, moment: Moment, *, ideal: bool = False) -> Fate:
        """What becomes of the message that was sent at `tick`."""
        if ideal or self.transit is None or not self.transit.uncertain:
            return Fate(tuple((arrival, neurons, 0) for arrival, neurons in self.arrivals(tick, moment)))
        came: list[tuple[int, NDArray[np.bool_] | None, int]] = []
        gone: list[int] = []
        for copy, (end, lost) in enumerate(
            zip((self, self._copies or self), self.transit.lost(tick, moment), strict=False)
        ):
            if lost:
                gone.append(tick + end.delay(tick, moment))
            else:
                came += [(arrival, neurons, copy) for arrival, neurons in end.arrivals(tick, moment)]
        return Fate(tuple(came), tuple(gone))
