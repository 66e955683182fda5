"""Measures what a host spends: since the last question, for the machinery record, and since its start, for metrics."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.dynamics.outcome import ResourceUsage
from dyadnet.program import tables as c
from dyadnet.program.lane import Lane
from dyadnet.program.sync.crossing import Home

ACTIVITIES = ("computing", "waiting", "sending", "learning", "radius", "held")
RELAXING = ("computing", "waiting", "sending", "held")
REASONS = ("malformed", "late", "twice", "of another relaxation", "of an earlier incarnation", "unauthenticated")
"""Reasons for which a message is refused."""


class Ages:
    """Ages of the messages that a host reads in real time, by the linked host that sent them.

    Parameters
    ----------
    lane
        Lane of the host.
    """

    def __init__(self, lane: Lane) -> None:
        home = lane.arena.home
        self._lane = lane
        self._labels = {host: home.label(host) for host in lane.arena.hosts if host != home.index}
        self._before = lane.state.ages.copy()
        self.updates = 0

    def take(self, seconds: float) -> dict[str, Any]:
        """Return the updates per second over `seconds`, and each edge's histograms and counts, since the last call."""
        now, before = self._lane.state.ages.copy(), self._before
        self._before = now
        since: NDArray[np.int64] = now - before
        edges = {
            label: {
                "age_ms": since[host, c.A_MS : c.A_UPDATES].tolist(),
                "age_updates": since[host, c.A_UPDATES :].tolist(),
                "letters": int(since[host, c.A_READS]),
                "dropped_stale": int(since[host, c.A_OVERTAKEN]),
            }
            for host, label in self._labels.items()
        }
        updates, self.updates = self.updates, 0
        return {"updates_per_second": updates / seconds if seconds else 0.0, "edges": edges}

    def total(self) -> dict[str, tuple[list[int], float]]:
        """Return each edge's histogram of ages in milliseconds and their sum in seconds, since the host began."""
        state = self._lane.state
        return {
            label: (state.ages[host, c.A_MS : c.A_UPDATES].tolist(), float(state.aged[host]))
            for host, label in self._labels.items()
        }


class UsageMeter:
    """Measures what a host spends.

    Parameters
    ----------
    home
        Which host this is.

    Attributes
    ----------
    refused
        Number of refused messages, by reason, since `take`.
    traffic
        Packets ("letters"), messages and bytes to other hosts, since `take`.
    ages
        Ages of messages that are read in real time; None in virtual time.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._earlier: defaultdict[str, float] = defaultdict(float)
        self.refused: Counter[str] = Counter()
        self.traffic: Counter[str] = Counter()
        self._refused_earlier: Counter[str] = Counter()
        self._traffic_earlier: Counter[str] = Counter()
        self.collect: Callable[[], None] = lambda: None
        self.ages: Ages | None = None

    def carried(self, traffic: Mapping[str, int], refused: Counter[str]) -> None:
        """Take over what a carrier has sent and refused since it began."""
        for name, value in traffic.items():
            self.traffic[name] = value - self._traffic_earlier[name]
        for name, value in refused.items():
            self.refused[name] = value - self._refused_earlier[name]

    def spend(self, **seconds: float) -> None:
        """Add seconds, by activity."""
        for name, value in seconds.items():
            self._seconds[name] += value
            self._earlier[name] += value

    def take(self) -> dict[str, Any]:
        """Return, since the last call: seconds by activity, packets and bytes sent, and messages dropped by reason."""
        self.collect()
        refused, traffic = self.refused, self.traffic
        spent: dict[str, Any] = {name: self._seconds[name] for name in ACTIVITIES}
        spent |= {name: traffic[name] for name in ("letters", "messages", "bytes")}
        spent["dropped"] = sum(refused.values())
        spent |= {f"dropped, {reason}": count for reason, count in refused.items() if count}
        if self.ages is not None:
            spent |= self.ages.take(sum(self._seconds[name] for name in RELAXING))
        self._refused_earlier.update(refused)
        self._traffic_earlier.update(traffic)
        self._seconds.clear()
        refused.clear()
        traffic.clear()
        return spent

    def total(self) -> ResourceUsage:
        """Return what was spent since this host began."""
        self.collect()
        refused, traffic = self._refused_earlier + self.refused, self._traffic_earlier + self.traffic
        return ResourceUsage(
            self._home.label(self._home.index),
            self._home.incarnation,
            {name: self._earlier[name] for name in ACTIVITIES},
            traffic["letters"],
            traffic["bytes"],
            {reason: refused[reason] for reason in REASONS},
            {} if self.ages is None else self.ages.total(),
        )
