"""Diagnoses why a run in lockstep stands still: who waits for whose message of which tick, and for what reason.

The diagnosis is a pure function of what every actor reports. Each lane of an actor moves as one, so waits lead from
actor to actor. They end at an actor that waits for nobody because it computes, has died, does not answer, or has not
begun. Or they end at a message that was sent and never came.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from dyadnet_actors.protocol.host_status import ExpectedMessage, HostStatus, LaneStatus, NoAnswer, Told

Cause = Literal["dead", "silent", "lost", "idle", "computing", "verdict", "circle"]
CAUSES: tuple[Cause, ...] = ("dead", "silent", "lost", "idle", "computing", "verdict", "circle")
"""What waits can end at, the most telling cause first. If a block waits for several messages, the most telling chain is
followed."""
AT_MOST = 4
"""Maximum number of waits shown of one chain; a longer chain shows its first and its last ones."""


@dataclass(frozen=True, slots=True)
class Wait:
    """A wait of one block, or of one actor at a check tick, for another.

    Attributes
    ----------
    who, source
        The two blocks; two actors if the wait is for a verdict, which needs the report of every actor.
    kind
        ``state``, ``feedback`` or ``report``.
    tick
        Tick at which the message is sent.
    """

    who: str
    source: str
    kind: str
    tick: int

    def __str__(self) -> str:
        """Describe the wait in words."""
        return f"{self.who} waits for {self.kind} of {self.source} of tick {self.tick}"


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain of waits, from its first waiting block or actor to the actor at its end.

    Attributes
    ----------
    lane
        Lane in which they wait; None if nobody waits.
    end
        The actor at the end.
    cause
        What is wrong with that actor.
    doing
        The cause in words, with the actor's name.
    """

    lane: int | None
    waits: tuple[Wait, ...]
    end: str
    cause: Cause
    doing: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why nothing moves.

    Attributes
    ----------
    still
        Seconds for which nothing has moved.
    chains
        One chain for each actor that nobody waits for, and for each actor that waits for nobody.
    """

    still: float
    chains: tuple[Chain, ...]

    @property
    def ends(self) -> list[str]:
        """Actors at the ends of the chains, the most telling first."""
        return list(dict.fromkeys(chain.end for chain in self.chains))

    @property
    def text(self) -> str:
        """The diagnosis in words: the waits that lead to each end, and the end."""
        told = []
        for doing in dict.fromkeys(chain.doing for chain in self.chains):
            leading = [chain for chain in self.chains if chain.doing == doing]
            waits = dict.fromkeys(part for chain in leading for part in _shortened(chain))
            told.append("; ".join([*waits, doing]))
        return ". ".join(told)

    def plain(self) -> dict[str, Any]:
        """Return the diagnosis as plain values."""
        return {"still": self.still, "ends": self.ends, "text": self.text, "chains": [asdict(c) for c in self.chains]}


def diagnose(homes: Mapping[str, int], labels: Sequence[str], told: Sequence[Told]) -> Diagnosis:
    """Derive who waits for whom.

    Parameters
    ----------
    homes
        Actor of every block, by index.
    labels
        Labels of the actors.
    told
        What each actor reports about itself.
    """
    tracer = _Tracer(homes, labels, told)
    found: list[Chain] = []
    for host, one in enumerate(told):
        if isinstance(one, NoAnswer) or one.computing:
            found.append(tracer.end(host))
        else:
            found += [tracer.chain(host, lane.lane) for lane in one.lanes if lane.doing in ("waiting", "checking")]
    chains = sorted(_longest(found), key=lambda chain: CAUSES.index(chain.cause))
    still = [one.still if isinstance(one, HostStatus) else one.seconds for one in told]
    return Diagnosis(min(still, default=0.0), tuple(chains))


class StallTimer:
    """Tells when a standstill has lasted long enough to be examined; knows the time only from its caller.

    A run that then goes on by itself was slow and did not stand still: from then on, its patience is doubled.

    Parameters
    ----------
    patience
        Seconds of standstill after which to examine it.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._since = 0.0
        self._next = patience
        self._looked = False

    def moved(self, now: float) -> None:
        """Note that something has happened."""
        if self._looked:
            self._patience *= 2.0
        self._since, self._next, self._looked = now, now + self._patience, False

    def due(self, now: float) -> bool:
        """Return whether to examine the standstill now; it is due again only once it is twice as old."""
        if now < self._next:
            return False
        self._next = now + (now - self._since)
        self._looked = True
        return True

    def still(self, now: float) -> float:
        """Return the seconds since something happened."""
        return now - self._since


class _Tracer:
    """Follows waits from actor to actor."""

    def __init__(self, homes: Mapping[str, int], labels: Sequence[str], told: Sequence[Told]) -> None:
        self._homes = homes
        self._labels = labels
        self._told = told
        self._known: dict[tuple[int, int], Chain] = {}

    def chain(self, host: int, lane: int, above: frozenset[int] = frozenset()) -> Chain:
        """Return the most telling chain of waits that begins at a waiting lane of an actor.

        Parameters
        ----------
        above
            Actors on the way here.
        """
        if (host, lane) in self._known:
            return self._known[host, lane]
        above |= {host}
        best: Chain | None = None
        circular = False
        for wait, further in self._steps(host, lane, above):
            circular |= further.cause == "circle"
            candidate = Chain(lane, (wait, *further.waits), further.end, further.cause, further.doing)
            if best is None or _telling(candidate) < _telling(best):
                best = candidate
        if best is None:
            label = self._labels[host]
            best = Chain(lane, (), label, "verdict", f"every actor has reported to the check of {label}, no verdict")
        if not circular:
            self._known[host, lane] = best
        return best

    def end(self, host: int) -> Chain:
        """Return the chain of an actor that waits for nobody."""
        one, label = self._told[host], self._labels[host]
        if isinstance(one, HostStatus):
            lanes = [str(lane) for lane in one.lanes if lane.doing == "computing"]
            what = ", ".join([one.activity, *lanes[:1]])
            doing = f"actor {label} computes ({what}), nothing has moved there for {one.still:.1f} s"
            return Chain(None, (), label, "computing", doing)
        cause: Cause = "dead" if one.died else "silent"
        return Chain(None, (), label, cause, f"actor {label} {'is ' if one.died else ''}{one}")

    def _steps(self, host: int, lane: int, above: frozenset[int]) -> Iterator[tuple[Wait, Chain]]:
        one = self._told[host]
        assert isinstance(one, HostStatus)
        mine = _lane(one, lane)
        assert mine is not None
        if mine.doing == "checking":
            for other, their in enumerate(self._told):
                if other != host and not _reported(their, one.round, mine):
                    wait = Wait(self._labels[host], self._labels[other], "report", mine.tick)
                    yield wait, self._from(other, lane, one.round, None, above)
        for want in mine.wants:
            other = self._homes[want.source]
            wait = Wait(want.block, want.source, want.kind, want.tick)
            yield wait, self._from(other, lane, one.round, want, above)

    def _from(self, other: int, lane: int, number: int, want: ExpectedMessage | None, above: frozenset[int]) -> Chain:
        """Return the chain that begins at an actor for which another one waits."""
        one, label = self._told[other], self._labels[other]
        if isinstance(one, NoAnswer) or one.computing:
            return self.end(other)
        if one.round < number:
            return Chain(None, (), label, "idle", f"actor {label} has not begun this round and is {one.activity}")
        its = _lane(one, lane)
        if want is not None and (one.round > number or its is None or its.has_sent(want.source, want.tick)):
            doing = f"actor {label} has sent {want.kind} of tick {want.tick} to {want.block}: under way, or lost"
            return Chain(None, (), label, "lost", doing)
        if other in above:
            return Chain(None, (), label, "circle", f"actor {label} waits in a circle")
        if its is None:
            return Chain(None, (), label, "idle", f"actor {label} is {one.activity}")
        return self.chain(other, lane, above)


def _lane(one: HostStatus, lane: int) -> LaneStatus | None:
    return next((found for found in one.lanes if found.lane == lane), None)


def _reported(their: Told, number: int, mine: LaneStatus) -> bool:
    """Return whether an actor has reported to the check at which another one waits."""
    if isinstance(their, NoAnswer) or their.round < number:
        return False
    if their.round > number:
        return True
    its = _lane(their, mine.lane)
    return its is None or its.doing == "done" or (its.doing == "checking" and its.tick >= mine.tick)


def _telling(chain: Chain) -> tuple[int, int]:
    """Return a sort key, which is smaller for a chain that explains more."""
    return CAUSES.index(chain.cause), len(chain.waits)


def _longest(chains: Iterable[Chain]) -> list[Chain]:
    """Return the chains that are not the tail of another one, each once for all lanes."""
    kept: list[Chain] = []
    for chain in sorted(chains, key=lambda chain: -len(chain.waits)):
        if not any(_ends_with(other, chain) for other in kept):
            kept.append(chain)
    return kept


def _ends_with(longer: Chain, chain: Chain) -> bool:
    if (longer.end, longer.cause) != (chain.end, chain.cause):
        return False
    if not chain.waits:
        return True
    pairs = [[(wait.who, wait.source, wait.kind) for wait in one.waits] for one in (longer, chain)]
    return pairs[0][-len(pairs[1]) :] == pairs[1]


def _shortened(chain: Chain) -> list[str]:
    """Return the waits of a chain in words, without its middle if it is long."""
    waits = [str(wait) for wait in chain.waits]
    if len(waits) <= AT_MOST:
        return waits
    return [waits[0], f"… {len(waits) - AT_MOST + 1} more …", *waits[-(AT_MOST - 2) :]]
