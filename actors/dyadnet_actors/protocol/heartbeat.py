"""Which hosts are alive, from heartbeats of our own.

Ray notices a dead process at once, a stopped one never, and a machine that was cut off late. So the coordinator asks
every host it has not heard of for a pulse; a pulse also tells how many letters went out and came in, by which letters
that were lost are known. Letters come in when a host looks for them, so one that is busy may be slow to; a letter is
lost if a host that has looked for it, once its time was over, has not found it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dyadnet_actors.protocol.failures import ActorLostError, FailedError, LinkLostError

STEP = 2.0
"""Most seconds that count between two looks: whoever looks may have been held up itself."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """What a host answers.

    Attributes
    ----------
    sent, received
        Letters to and from each other host, in this life of it.
    looks
        How often it has looked for letters.
    waiting
        Whether it is waiting for one.
    """

    sent: Mapping[int, int] = field(default_factory=dict)
    received: Mapping[int, int] = field(default_factory=dict)
    looks: int = 0
    waiting: bool = True


@dataclass(slots=True)
class MissingMessages:
    """Letters that one host sent and another has not received.

    Attributes
    ----------
    received
        How many it has.
    since
        When that was first noticed.
    first, latest
        Of its pulses since their time was over; None before.
    """

    received: int
    since: float
    first: Pulse | None = None
    latest: Pulse | None = None

    def proven(self, pulse: Pulse) -> bool:
        """Whether they cannot be lying there unread, by one more pulse."""
        first, latest = self.first or pulse, self.latest or pulse
        self.first, self.latest = first, pulse
        waited = latest is not pulse and latest.waiting and pulse.waiting and latest.looks == pulse.looks
        # The first of two looks may have begun before.
        return waited or pulse.looks >= first.looks + 2


class HeartbeatMonitor:
    """Judges by signs of life; knows the time only from its caller.

    Parameters
    ----------
    labels
        A name for each host.
    patience
        Seconds without a sign of life, and seconds that a letter may take.
    """

    def __init__(self, labels: Sequence[str], patience: float) -> None:
        self.labels = labels
        self._patience = patience
        self._clock = 0.0
        self._seen: float | None = None
        self._heard = dict.fromkeys(range(len(labels)), 0.0)
        self._pulses: dict[int, Pulse] = {}
        self._lacking: dict[tuple[int, int], MissingMessages] = {}

    def tick(self, now: float) -> None:
        """Time has passed, of which no more than `STEP` counts."""
        if self._seen is not None:
            self._clock += min(max(now - self._seen, 0.0), STEP)
        self._seen = now

    def silent(self, seconds: float) -> list[int]:
        """Hosts of which nothing was heard for so long."""
        return [host for host, heard in self._heard.items() if self._clock - heard >= seconds]

    def silence(self, host: int) -> float:
        """Seconds since the last sign of life of a host."""
        return self._clock - self._heard[host]

    def hear(self, host: int, pulse: Pulse | None = None) -> None:
        """A sign of life."""
        self._heard[host] = self._clock
        if pulse is not None:
            self._pulses[host] = pulse
            self._compare()

    def judge(self) -> FailedError | None:
        """What is wrong, if anything is."""
        silent = self.silent(self._patience)
        if silent:
            names = " and ".join(self.labels[host] for host in silent)
            return ActorLostError(f"actor {names} hangs: no sign of life for {self._patience:g} s", silent)
        for (source, target), lack in self._lacking.items():
            if self._clock - lack.since >= self._patience and lack.proven(self._pulses[target]):
                sent = self._pulses[source].sent[target]
                names = f"from actor {self.labels[source]} to actor {self.labels[target]}"
                told = f"{sent} were sent, {lack.received} came, none in {self._patience:g} s"
                return LinkLostError(f"letters {names} are lost: {told}", [target])
        return None

    def _compare(self) -> None:
        """Note since when a host has received nothing of what another sent it."""
        lacking: dict[tuple[int, int], MissingMessages] = {}
        for source, pulse in self._pulses.items():
            for target, sent in pulse.sent.items():
                if target not in self._pulses:
                    continue
                received = self._pulses[target].received.get(source, 0)
                if sent > received:
                    before = self._lacking.get((source, target))
                    same = before is not None and before.received == received
                    lacking[source, target] = (
                        before if before is not None and same else MissingMessages(received, self._clock)
                    )
        self._lacking = lacking
