"""What a host spends: since it was last asked, for the machinery's record, and since it began, for metrics."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from actors.echo import Line
from actors.inbox import Inbox
from actors.post import REASONS, Home, Post
from dyadnet.reports import Spent

ACTIVITIES = ("computing", "waiting", "sending", "learning", "radius", "held")


class Ledger:
    """Adds up; used by the one thread that runs a host.

    Parameters
    ----------
    home
        Which host this is.
    post, inbox
        Count what leaves and what is refused.
    lines
        Of each neighbouring host, by index; measured in free-running mode only.
    free
        Whether this is that mode.

    Attributes
    ----------
    seconds
        By activity, since `take`; sending is counted by the post.
    updates
        Of the block that updated most, since `take`.
    """

    def __init__(self, home: Home, post: Post, inbox: Inbox, lines: Mapping[int, Line], *, free: bool) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.updates = 0
        self._home = home
        self._post = post
        self._inbox = inbox
        self._lines = lines
        self._free = free
        self._earlier: Counter[str] = Counter()
        self._refused_earlier: Counter[str] = Counter()
        self._seconds_earlier: defaultdict[str, float] = defaultdict(float)

    def take(self) -> dict[str, Any]:
        """What was spent since this was last called.

        Returns
        -------
        dict
            Seconds by activity, letters and bytes sent, messages dropped by reason; in free-running mode updates a
            second, and of each edge into this host the ages of what was read, as histograms (`actors.echo`).
        """
        post = self._post
        seconds, dropped = self._seconds(), self._refused()
        spent: dict[str, Any] = {
            **seconds,
            **{name: post.traffic[name] for name in ("letters", "messages", "bytes")},
            "dropped": sum(dropped.values()),
        }
        spent |= {f"dropped, {reason}": count for reason, count in dropped.items() if count}
        if self._free:
            relaxing = spent["computing"] + spent["waiting"] + spent["sending"] + spent["held"]
            spent["updates_per_second"] = self.updates / relaxing if relaxing else 0.0
            spent["edges"] = {self._home.label(host): line.take() for host, line in self._lines.items()}
        for name, value in seconds.items():
            self._seconds_earlier[name] += value
        self._earlier.update(post.traffic)
        self._refused_earlier.update(dropped)
        self.updates = 0
        self.seconds.clear()
        post.sending = 0.0
        post.traffic.clear()
        post.dropped.clear()
        self._inbox.late = self._inbox.refused = 0
        self._inbox.source.refused.clear()
        return spent

    def total(self) -> Spent:
        """What was spent since this host began."""
        seconds = {name: value + self._seconds_earlier[name] for name, value in self._seconds().items()}
        traffic = self._earlier + self._post.traffic
        refused = self._refused_earlier + self._refused()
        ages = {self._home.label(host): line.ages() for host, line in self._lines.items()} if self._free else {}
        return Spent(
            self._home.label(self._home.index),
            self._home.incarnation,
            seconds,
            traffic["letters"],
            traffic["bytes"],
            {reason: refused[reason] for reason in REASONS},
            ages,
        )

    def _seconds(self) -> dict[str, float]:
        booked = {name: self.seconds[name] for name in ACTIVITIES}
        return booked | {"sending": self._post.sending}

    def _refused(self) -> Counter[str]:
        """Messages that were not taken, by reason."""
        refused = self._post.dropped + self._inbox.source.refused
        refused["late"] += self._inbox.late
        refused["malformed"] += self._inbox.refused
        return refused
