"""Messages of a free-running host whose channels are not ideal, from when they came in until they arrive.

Every message is read, not only the newest of each neighbour, because what send-on-delta left out of one may be in the
one before. Losses, noise and delays are drawn from counters as in lockstep; only when a message comes in is real.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Mapping

from dyadnet.dyads import Dyads
from dyadnet.messages import Address, Message
from dyadnet.random import Stream
from dyadnet.realtime import RealDelay

MILLISECOND = 1e-3
_PURPOSES = ("delay", "delay of duplicates")


class Underway:
    """The receiving side of all channels into one host.

    Parameters
    ----------
    dyads
        The host's blocks.
    delay
        Law of the delay, beside what links and actors take; None: none.
    seed
        Of the run.
    """

    def __init__(self, dyads: Mapping[str, Dyads], delay: RealDelay | None, seed: int) -> None:
        self._dyads = dyads
        self._delay = delay
        self._seed = seed
        self._streams: dict[tuple[Address, int], Stream] = {}
        self._queue: list[tuple[float, int, float, Message, int]] = []
        self._count = 0
        self._made: dict[Address, float | None] = {
            (source, target, kind): None for target, dyad in dyads.items() for source, kind in dyad.mail.counts
        }

    def put(self, message: Message, made: float) -> None:
        """Take in a message that came in at a time; draw whether it arrives, how often, and when."""
        for copy in self._dyads[message.target].mail.copies(message):
            self._count += 1
            due = made + self._drawn(message, copy)
            heapq.heappush(self._queue, (due, self._count, made, message, copy))

    def deliver(self, now: float) -> None:
        """Deliver what has arrived by now."""
        while self._queue and self._queue[0][0] <= now:
            due, _, made, message, copy = heapq.heappop(self._queue)
            mail = self._dyads[message.target].mail
            if due > made and copy == 0:
                mail.counts[message.source, message.kind]["delayed"] += 1
            mail.take(message, copy=copy)
            address = (message.source, message.target, message.kind)
            self._made[address] = max(made, self._made[address] or made)

    def patience(self, now: float) -> float:
        """Seconds until the next message arrives."""
        return max(self._queue[0][0] - now, 0.0) if self._queue else float("inf")

    def oldest(self, sources: Collection[str]) -> float | None:
        """When that came in which is oldest of what was read last on each channel from some blocks.

        Infinity where there are no such channels; None before something has arrived on each.
        """
        found = [made for (source, _, _), made in self._made.items() if source in sources]
        known = [made for made in found if made is not None]
        return min(known, default=math.inf) if len(known) == len(found) else None

    def _drawn(self, message: Message, copy: int) -> float:
        if self._delay is None:
            return 0.0
        address: Address = (message.source, message.target, message.kind)
        stream = self._streams.get((address, copy))
        if stream is None:
            stream = Stream(self._seed, _PURPOSES[copy], f"{message.source}>{message.target}", message.kind)
            self._streams[address, copy] = stream
        return MILLISECOND * self._delay.sample(
            stream.at(message.tick, message.phase, message.lane, message.relaxation)
        )
