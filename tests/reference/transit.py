"""What happens to messages on their way: loss, duplication and noise, all drawn from counters by the receiver."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.imperfections.channel import Channel
from dyadnet.numerics.rng import Stream
from tests.reference.clocks import Moment
from tests.reference.messages import Message


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one message.

    Attributes
    ----------
    arrivals
        Tick of arrival, which neurons arrive then (None: all), and 0 for the message or 1 for its duplicate.
    lost
        Ticks at which what was lost would have arrived.
    """

    arrivals: tuple[tuple[int, NDArray[np.bool_] | None, int], ...]
    lost: tuple[int, ...] = ()


class Transit:
    """One channel's way from sender to receiver.

    Draws are counted by the message's tick, which in free-running mode is the number of its sender's update.

    Parameters
    ----------
    channel
        Its imperfections.
    seed
        Of the run.
    entity, kind
        Name of the channel, and what it carries.
    """

    def __init__(self, channel: Channel, seed: int, entity: str, kind: str) -> None:
        self.uncertain = channel.uncertain
        self.noisy = not (channel.additive.ideal() and channel.multiplicative.ideal())
        self._channel = channel
        self._fates = Stream(seed, "loss and duplication", entity, kind)
        self._noise = [Stream(seed, purpose, entity, kind) for purpose in ("noise", "noise of duplicates")]

    def lost(self, tick: int, moment: Moment) -> tuple[bool, ...]:
        """Whether the message sent at `tick` is lost, and whether its duplicate is, if it has one."""
        draws = self._fates.at(tick, moment.phase, moment.lane, moment.relaxation).random(3)
        loss = self._channel.loss.p
        gone = bool(draws[0] < loss)
        if draws[1] < self._channel.duplication.p:
            return gone, bool(draws[2] < loss)
        return (gone,)

    def disturbed(self, message: Message, copy: int, since: int) -> Message:
        """What is left of a message under noise; its duplicate (copy 1) has noise of its own.

        Parameters
        ----------
        since
            A number that no stream's ``…_since`` has had, because these bits are new to the receiver.
        """
        additive, multiplicative = self._channel.additive, self._channel.multiplicative
        generator = self._noise[copy].at(message.tick, message.phase, message.lane, message.relaxation)
        payload = message.payload.copy()
        marks: dict[str, Any] = {}
        for name, index in (("mean", 0), ("difference", int(message.mean))):
            sigma, relative = getattr(additive, name), getattr(multiplicative, name)
            if not getattr(message, name) or not (sigma or relative):
                continue
            numbers, number = payload[index], payload.dtype.type
            if relative:
                draws = generator.standard_normal(numbers.shape, dtype=payload.dtype)
                numbers *= number(1.0) + number(relative) * draws
            if sigma:
                numbers += number(sigma) * generator.standard_normal(numbers.shape, dtype=payload.dtype)
            marks[f"{name}_since"] = since
        return replace(message, payload=payload, **marks)
