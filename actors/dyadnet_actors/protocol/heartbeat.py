"""Judges which hosts are alive, from heartbeats of our own.

Ray notices a dead process at once, a machine that was cut off late, and a stopped process never. So the coordinator
asks every silent host for a pulse. A pulse also tells how many packets the host has sent and received, which reveals
lost packets. A host receives packets when it looks for them, so a busy host may be slow to receive. A packet counts as
lost if it is overdue and its receiver has looked for it and has not found it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dyadnet_actors.protocol.failures import ActorLostError, FailedError, LinkLostError

STEP = 2.0
"""Maximum seconds that count between two checks, since the checking process may have been held up itself."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """A host's sign of life.

    Attributes
    ----------
    sent, received
        Packets to and from each other host, in this life of the host.
    looks
        How often the host has looked for packets.
    waiting
        Whether the host is waiting for a packet.
    """

    sent: Mapping[int, int] = field(default_factory=dict)
    received: Mapping[int, int] = field(default_factory=dict)
    looks: int = 0
    waiting: bool = True


@dataclass(slots=True)
class MissingMessages:
    """Packets that one host sent and another has not received.

    Attributes
    ----------
    received
        Number of packets that it has received.
    since
        Time at which the loss was first noticed.
    first, latest
        The receiver's first and latest pulse since the packets were overdue; None before.
    """

    received: int
    since: float
    first: Pulse | None = None
    latest: Pulse | None = None

    def proven(self, pulse: Pulse) -> bool:
        """Return whether one more pulse proves that the packets do not lie unread at the receiver."""
        first, latest = self.first or pulse, self.latest or pulse
        self.first, self.latest = first, pulse
        waited = latest is not pulse and latest.waiting and pulse.waiting and latest.looks == pulse.looks
        # The first of two looks may have begun before the packets were overdue.
        return waited or pulse.looks >= first.looks + 2


class HeartbeatMonitor:
    """Judges hosts by their signs of life; knows the time only from its caller.

    Parameters
    ----------
    labels
        A name for each host.
    patience
        Maximum seconds without a sign of life, and maximum seconds that a packet may take.
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
        """Advance the time; no more than `STEP` seconds count."""
        if self._seen is not None:
            self._clock += min(max(now - self._seen, 0.0), STEP)
        self._seen = now

    def silent(self, seconds: float) -> list[int]:
        """Return the hosts that have been silent for at least this long."""
        return [host for host, heard in self._heard.items() if self._clock - heard >= seconds]

    def silence(self, host: int) -> float:
        """Return the seconds since the last sign of life of a host."""
        return self._clock - self._heard[host]

    def hear(self, host: int, pulse: Pulse | None = None) -> None:
        """Note a sign of life."""
        self._heard[host] = self._clock
        if pulse is not None:
            self._pulses[host] = pulse
            self._compare()

    def judge(self) -> FailedError | None:
        """Return what is wrong, or None."""
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
        """Note since when a host has received none of the packets that are missing from another host."""
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
