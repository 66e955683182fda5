"""Free-running mode: one relaxation of one host in real time.

The host updates its blocks whenever news has come in, or at the latest after a fraction of the time constant, on the
newest message of each neighbour; it waits for nobody. Real asynchrony must keep the damping, so an update moves by
1 − e^(−Δt/T) of the way, Δt being the time since the last one: exact for inputs that stay the same meanwhile.

A letter to a neighbour goes out once the one before has been answered by a letter of its own, so that none pile up in
front of a slow one; each of the two sides begins with one letter, and no letter is only an answer.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from actors.echo import Line
from actors.inbox import Decision, Envelope, Letter
from actors.opening import Opening
from actors.post import Home, Post
from dyadnet.cohort import Cohort
from dyadnet.dyads import Dyads
from dyadnet.dynamics import FreeRunning
from dyadnet.messages import Kind
from dyadnet.relaxation import Relaxation
from dyadnet.trace.script import Scribe
from dyadnet.underway import MILLISECOND

State = Literal["restless", "quiet", "spent", "diverged"]
Report = Callable[[int, tuple[State, dict[str, int], str]], None]
"""Takes the phase, and: state, updates in this phase by block, the block that is worst off."""

GUESS = 0.02
"""Seconds of delay that are assumed before any was measured."""
QUANTILE = 0.95
"""Of the delays, as good as the longest: one update that the machine kept waiting is no delay of the network."""
MEMORY = 3
"""Relaxations whose delays are remembered."""
AVERAGED = 0.5
"""Of what a phase has, what passes before (m, d) are averaged, if they are."""
QUIET = 2.0
"""Longest delays for which every block must stay within tolerance; a wave needs one to reach a neighbour."""


class Delays(NamedTuple):
    """What was measured of δ, the age of the oldest message that an update reads plus the time since the update before.

    Attributes
    ----------
    mean
        Over time, in seconds; no delay, and no interval, counts for more than the longest.
    longest
        The 95 % quantile over updates, in seconds.
    """

    mean: float
    longest: float

    @classmethod
    def of(cls, delays: Sequence[float], intervals: Sequence[float]) -> Delays:
        """Summary of a relaxation.

        Parameters
        ----------
        delays, intervals
            δ of each update, and the part of it that passed since the update before; in seconds.
        """
        if not delays:
            return cls(0.0, 0.0)
        longest = float(np.quantile(delays, QUANTILE))
        return cls(float(np.average(np.minimum(delays, longest), weights=np.minimum(intervals, longest))), longest)


@dataclass(frozen=True, slots=True)
class Pace:
    """What a relaxation's time is measured by, in seconds: the time constant T, and how long to be quiet."""

    time_constant: float
    window: float


class Pacer:
    """Follows the delay δ of the slowest host.

    Delays change from update to update, far faster than a network that integrates over several of them; what it feels
    is their mean. When all is quiet is another matter: there the longest counts.

    Parameters
    ----------
    mode
        Its time constant may be set by hand.
    """

    def __init__(self, mode: FreeRunning) -> None:
        self.mode = mode
        self._delays: deque[Delays] = deque(maxlen=MEMORY)
        self.last = Pace(0.0, 0.0)

    @property
    def delay(self) -> float:
        """δ in seconds."""
        return max((delays.mean for delays in self._delays), default=self._unknown)

    @property
    def longest(self) -> float:
        """The 95 % quantile of the delays, in seconds."""
        return max((delays.longest for delays in self._delays), default=self._unknown)

    def pace(self, step: float) -> Pace:
        """The pace of the next relaxation.

        Parameters
        ----------
        step
            T in units of δ, or in milliseconds if it was set by hand; see `dyadnet.timing`.
        """
        unit = self.delay if self.mode.time_constant == "auto" else 1e-3
        self.last = Pace(step * unit, QUIET * self.longest)
        return self.last

    def note(self, delays: Sequence[Delays]) -> None:
        """What the hosts measured in a relaxation."""
        worst = Delays(max(found.mean for found in delays), max(found.longest for found in delays))
        if worst.longest > 0:
            self._delays.append(worst)

    @property
    def _unknown(self) -> float:
        return GUESS + (0.0 if self.mode.delay is None else MILLISECOND * self.mode.delay.largest)


class FreeRun:
    """One relaxation of one host.

    Parameters
    ----------
    pace, mode
        How fast to move, and when to end.
    rows
        Of the data.
    dyads
        The host's blocks in block order.
    opening
        Sets their first states.
    lines
        What is known of every host that has a channel into this one.
    post
        Takes letters elsewhere.
    report
        Tells the coordinator.
    seed
        Of the draws of channels that are not ideal.
    scribe
        Writes down what happens, if somebody is to repeat it.
    """

    def __init__(
        self,
        relaxation: Relaxation,
        pace: Pace,
        mode: FreeRunning,
        rows: NDArray[np.int64],
        dyads: Mapping[str, Dyads],
        opening: Opening,
        home: Home,
        lines: Mapping[int, Line],
        post: Post,
        report: Report,
        seed: int = 0,
        scribe: Scribe | None = None,
    ) -> None:
        self.rows = rows
        self.done = False
        self._pace = pace
        self._mode = mode
        self._phases = relaxation.phases
        self._dyads = dict(dyads)
        self._cohort = Cohort(dyads, mode.delay, seed)
        self._scribe = scribe
        self._opening = opening
        self._lines = lines
        self._post = post
        self._report = report
        self._there: dict[int, set[str]] = {}
        for name, host in home.homes.items():
            self._there.setdefault(host, set()).add(name)
        self._here = self._there[home.index]
        self._rows_of_lane = {0: len(rows)}
        self._newest: dict[int, Envelope] = {}
        self._letters: list[Envelope] = []
        self._channels = {host: self._channels_from(host) for host in lines}
        self._delays: list[float] = []
        self._intervals: list[float] = []
        self._phase = 0
        self._running = False
        self._at = self._phase_began = self._over_at = 0.0
        self._before: dict[str, int] = {}
        self._state: State = "restless"
        self._averaging = False
        self.reach: Callable[[int], None] | None = None
        for line in lines.values():
            line.begin()

    @property
    def patience(self) -> float | None:
        """Seconds to wait for letters before the next update; None before the first states are known."""
        if not self._running:
            return None
        longest = min(max(self._pace.time_constant / 8, 1e-3), 0.05)
        underway = self._cohort.underway
        return longest if underway is None else min(longest, underway.patience(time.perf_counter()))

    @property
    def delays(self) -> Delays:
        """What was measured."""
        return Delays.of(self._delays, self._intervals)

    @property
    def timed(self) -> bool:
        """Whether it matters when a letter came in, and not only before which update it was read."""
        return self._cohort.underway is not None

    def take(self, letter: Letter) -> None:
        """Take in a letter; of several from one host the newest is read."""
        if isinstance(letter, Decision):
            if letter.check == self._phase:
                self._follow(letter.content)
        elif not letter.stamps:
            for message in self._post.opened(letter, self._rows_of_lane, self._dtype):
                self._opening.accept(message)
        elif letter.origin in self._lines and len(letter.stamps) == 4:
            self._letters.append(letter)
            if letter.origin in self._newest and self._cohort.underway is None:
                self._lines[letter.origin].superseded += 1
                for name, channel in self._channels[letter.origin]:
                    self._dyads[name].mail.counts[channel]["stale"] += 1
            self._newest[letter.origin] = letter
            self._lines[letter.origin].hear(letter.stamps, letter.arrived)
        else:
            self._post.dropped["malformed"] += 1

    def advance(self) -> None:
        """Begin what can begin; then one update of every block here, and letters to whom may have one."""
        if not self._running and not self._begun():
            return
        for envelope in self._newest.values() if self._cohort.underway is None else self._letters:
            self._read(envelope)
        self._newest.clear()
        self._letters.clear()
        now = time.perf_counter()
        interval, self._at = now - self._at, now
        age = self._age(now)
        if age is not None:
            self._delays.append(age + interval)
            self._intervals.append(interval)
        if self.reach is not None:
            self.reach(1 + self._cohort.updates)
        self._cohort.update(now, interval, self._pace.time_constant)
        if self._scribe is not None:
            self._scribe.update(now)
        for host, line in self._lines.items():
            if line.may_send:
                line.may_send = False
                messages = self._cohort.tell(self._there[host])
                self._post.send(host, messages, line.stamps(now, self._cohort.updates))
                if self._scribe is not None:
                    self._scribe.tell(host)
        self._judge(now)

    def describe(self) -> str:
        """How far it has come, in words."""
        if not self._running:
            lacking = [f"{name} waits for the first {kind} of {source}" for name, source, kind in self._opening.lacks()]
            return "; ".join(lacking[:2]) or "beginning"
        now = time.perf_counter()
        updates = self._cohort.updates
        ages = [f"{1e3 * age:.1f} ms" for line in self._lines.values() if (age := line.age(now)) is not None]
        heard = f", newest messages {', '.join(ages)} old" if ages else ""
        return f"phase {self._phases[self._phase].name}, {updates} updates, {self._state}{heard}"

    @property
    def _dtype(self) -> np.dtype[Any]:
        return next(iter(self._dyads.values())).block.dtype

    def _read(self, envelope: Envelope) -> None:
        """Read a letter; of what the post refuses nothing is read, and nothing written down."""
        tick = None
        for message in self._post.opened(envelope, self._rows_of_lane, self._dtype):
            self._cohort.read(message, envelope.arrived)
            tick = message.tick
        if self._scribe is not None and tick is not None:
            self._scribe.read(envelope.origin, tick, envelope.arrived)

    def _age(self, now: float) -> float | None:
        """Age of the oldest message that is read now; None before something has arrived on every channel."""
        underway = self._cohort.underway
        if underway is None:
            ages = [line.read(now) for line in self._lines.values()]
        else:
            self._cohort.deliver(now)
            own = underway.oldest(self._here)
            ages = [None if own is None else max(now - own, 0.0)]
            for host, line in self._lines.items():
                line.read_from = underway.oldest(self._there[host])
                ages.append(None if line.read_from is None else line.read(now))
        known = [age for age in ages if age is not None]
        return max(known, default=0.0) if len(known) == len(ages) else None

    def _channels_from(self, host: int) -> list[tuple[str, tuple[str, Kind]]]:
        """Of every channel from a host: its target here, and the target's name for it."""
        return [(target, (source, kind)) for source, target, kind in self._post.widths if source in self._there[host]]

    def _begun(self) -> bool:
        while self._opening.waiting:
            if not self._opening.advance(lambda messages: self._post.carry(messages, self._opening.accept)):
                return False
        if self._opening.lacks():
            return False
        self._running = True
        self._at = time.perf_counter()
        self._cohort.begin()
        if self._scribe is not None:
            self._scribe.begin(self._at, self._pace.time_constant)
        self._enter()
        return True

    def _enter(self) -> None:
        phase = self._phases[self._phase]
        self._phase_began = self._over_at = time.perf_counter()
        self._before = {name: dyad.course.updates for name, dyad in self._dyads.items()}
        self._state = "restless"
        self._averaging = False
        self._cohort.enter(self._phase, phase.beta)
        if self._scribe is not None:
            self._scribe.enter(self._phase)

    def _follow(self, verdict: str) -> None:
        """The coordinator has ended this phase."""
        if self._phase + 1 == len(self._phases) or verdict == "diverged":
            self.done = True
            return
        self._phase += 1
        self._enter()

    def _judge(self, now: float) -> None:
        """Tell the coordinator when the state of this host changes."""
        dyads = self._dyads.values()
        if any(dyad.course.over == dyad.course.tick for dyad in dyads):
            self._over_at = now
        updates = {name: dyad.course.updates - self._before[name] for name, dyad in self._dyads.items()}
        passed = (now - self._phase_began) / self._mode.budget
        if self._mode.updates is not None:
            passed = max(passed, min(updates.values()) / self._mode.updates)
        spent = passed >= 1
        if passed >= AVERAGED and self._phases[self._phase].average and not self._averaging:
            self._averaging = True
            self._cohort.average()
            if self._scribe is not None:
                self._scribe.average()
        state: State = "restless"
        worst = max(dyads, key=lambda dyad: dyad.course.worst)
        if not math.isfinite(worst.course.worst):
            state = "diverged"
        elif self._mode.settle and now - self._over_at >= self._pace.window:
            state = "quiet"
        elif spent:
            state = "spent"
        if state != self._state:
            self._state = state
            self._report(self._phase, (state, updates, worst.name))
