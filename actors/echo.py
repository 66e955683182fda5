"""How old messages are, between hosts whose clocks do not agree.

Every free-running letter carries four stamps, of which only differences on one clock are ever taken: when it was
sent, how many updates its sender had made, when the newest letter from the other side had been sent, and how long
ago that one came in. Whoever gets it knows the round trip, and takes half of it for the way here.
"""

from __future__ import annotations

from dyadnet.histograms import AGES, Histogram

Stamps = tuple[float, ...]
"""(sent, updates, sent time of the newest letter heard, seconds since it came)."""


class Line:
    """What a host knows of one neighbour in free-running mode: when it last wrote, how fast it updates.

    Attributes
    ----------
    may_send
        Whether another letter may go out: the one before was answered, so no more than one is pending.
    read_from
        When that came in which is read, if it is not the newest letter: channels delay messages further.
    reads, superseded
        Letters that were read, and letters that a newer one had overtaken by then.
    """

    def __init__(self) -> None:
        self.histograms = {name: Histogram() for name in AGES}
        self.reads = self.superseded = 0
        self._all = Histogram()
        self._sum = 0.0
        self.begin()

    def begin(self) -> None:
        """A relaxation begins: nothing has been heard, and one letter may go out."""
        self.may_send = True
        self._heard: tuple[float, float, float] | None = None
        self.read_from: float | None = None
        self._transit = 0.0
        self._rate = 0.0

    def stamps(self, now: float, updates: int) -> Stamps:
        """Of a letter that goes out now."""
        if self._heard is None:
            return (now, float(updates), -1.0, 0.0)
        sent, _, arrived = self._heard
        return (now, float(updates), sent, now - arrived)

    def hear(self, stamps: Stamps, arrived: float) -> None:
        """Note a letter that came in."""
        sent, updates, echoed, kept = stamps
        if echoed >= 0:
            self._transit = max(0.0, (arrived - echoed - kept) / 2)
        if self._heard is not None and sent > self._heard[0]:
            self._rate = (updates - self._heard[1]) / (sent - self._heard[0])
        self._heard = (sent, updates, arrived)
        self.may_send = True
        self.reads += 1

    def age(self, now: float) -> float | None:
        """Seconds since what is read was sent; None if nothing has come."""
        if self._heard is None:
            return None
        arrived = self._heard[2] if self.read_from is None else self.read_from
        return now - arrived + self._transit

    def read(self, now: float) -> float | None:
        """Count the age of what an update reads now, in milliseconds and in the sender's updates; see `age`."""
        age = self.age(now)
        if age is None:
            return None
        self.histograms["age_ms"].add(1e3 * age)
        self._all.add(1e3 * age)
        self._sum += age
        self.histograms["age_updates"].add(age * self._rate)
        return age

    def ages(self) -> tuple[list[int], float]:
        """Histogram of every age that was read so far, in milliseconds, and their sum in seconds."""
        return list(self._all.counts), self._sum

    def take(self) -> dict[str, object]:
        """Histograms and counts since this was last called."""
        taken: dict[str, object] = {name: histogram.counts for name, histogram in self.histograms.items()}
        taken |= {"letters": self.reads, "dropped_stale": self.superseded}
        self.histograms = {name: Histogram() for name in AGES}
        self.reads = self.superseded = 0
        return taken
