"""The scheduler alone: the events that it writes down, against a plain simulation of the rules of time."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count, cycle
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from dyadnet.dynamics.outcome import RECEIVED, SENT, Layout
from dyadnet.dynamics.request import Phase, Relaxation
from dyadnet.dynamics.stopping import StopRule
from dyadnet.engines.local import LocalEngine
from dyadnet.network.description import Network, layered
from dyadnet.network.topology import Topology
from dyadnet.numerics.rng import Stream
from dyadnet.program import drives, scheduler
from dyadnet.program import tables as c
from dyadnet.program.lane import Lane
from dyadnet.program.views import state, tables
from tests import support

Settings = dict[str, Any]
Neurons = tuple[int, ...] | None
Event = tuple[int, int, int, int, int, int, Neurons]
"""An event, with the neurons of its group (None: all) in place of the group's number."""
Counts = Counter[tuple[int, str]]
"""By channel and what is counted."""

linked = njit(nogil=True, error_model="numpy", _nrt=False)
"""Without a cache, which would not notice that the scheduler has changed."""


@linked
def schedule(t, s, until):  # type: ignore[no-untyped-def]  # pragma: no cover
    """See `dyadnet.program.scheduler.schedule`."""
    return scheduler.schedule(tables(t), state(s), until, False)


@linked
def held(t, s, channel, tick):  # type: ignore[no-untyped-def]  # pragma: no cover
    """When that was sent which is held of a channel; see `dyadnet.program.drives.held`."""
    return drives.held(tables(t), state(s), channel, tick)[4]


class Graph(NamedTuple):
    """A network with its two colours, and the population and the projection that have settings of their own."""

    network: Network
    colours: dict[str, int] | None
    population: str
    projection: str


CHAIN = Graph(layered(6, [9, 8], 4), {"h1": 0, "h2": 1, "out": 0}, "h2", "h1->h2")
GRAPHS = {
    "pair": Graph(layered(6, [5], 4), {"h1": 0, "out": 1}, "out", "h1->out"),
    "chain": CHAIN,
    "split": CHAIN._replace(network=CHAIN.network.with_blocks(3)),
    "cyclic": Graph(support.cyclic(), None, "b", "b->b"),
}
CLOCKS: list[Settings] = [
    {"kind": "auto"},
    {"kind": "every-tick"},
    {"kind": "periodic", "period": 3, "phase": 1},
    {"kind": "bernoulli", "p": 0.4},
    {"kind": "bernoulli", "p": 0.4, "unit": "neuron"},
]
RED_BLACK: Settings = {"kind": "red-black", "stretch": 2}
UNIFORM: list[Settings] = [
    {"kind": "uniform", "low": 1, "high": 5, "draw": draw} for draw in ("message", "channel", "neuron")
]
LAWS: list[Settings] = [
    {"kind": "constant", "ticks": 1},
    {"kind": "constant", "ticks": 3},
    {"kind": "uniform", "low": 2, "high": 2, "draw": "neuron"},
    {"kind": "uniform", "low": 1, "high": 30},
    *UNIFORM,
    *({"kind": "geometric", "p": p, "maximum": 7} for p in (0.2, 0.5, 1.0)),
    *({"kind": "geometric", "p": 0.3, "maximum": 6, "draw": draw} for draw in ("channel", "neuron")),
]
LARGEST = ("ticks", "high", "maximum")
"""What a law calls its largest delay."""
CHANNELS: list[Settings] = [
    {},
    {"loss": 0.3},
    {"loss": 1.0},
    {"duplication": 0.5},
    {"duplication": 1.0, "loss": 0.5},
    {"send_on_delta": 0.01},
    {"send_on_delta": 0.01, "duplication": 0.5, "loss": 0.2},
    {"additive": {"mean": 0.1}},
    {"multiplicative": {"difference": 0.1}, "duplication": 0.5},
    {"quantisation": 3},
]
STRETCHES = st.lists(st.integers(1, 12), min_size=1, max_size=4)


class Case(NamedTuple):
    """A relaxation of two phases. Settings come in pairs: for most, and for the exception."""

    graph: str
    clocks: tuple[Settings, Settings]
    laws: tuple[Settings, Settings]
    channels: tuple[Settings, Settings]
    ticks: int = 40
    second: int = 20
    """First tick of the second phase."""
    ideal: bool = False
    lane: int = 0
    number: int = 1
    seed: int = 1

    @contextmanager
    def engine(self) -> Iterator[LocalEngine]:
        """An engine with so many lanes that this one is there."""
        network, _, population, projection = GRAPHS[self.graph]
        built = support.engine(
            network,
            seed=self.seed,
            imperfections={"channel": self.channels[0], "channels": {projection: self.channels[1]}},
            clock=self.clocks[0],
            clocks={population: self.clocks[1]},
            delay=self.laws[0],
            delays={projection: self.laws[1]},
            lanes=self.lane + 1,
        )
        try:
            yield built
        finally:
            built.close()

    def begin(self, built: LocalEngine) -> Lane:
        """The lane, at the beginning of the relaxation."""
        couplings = tuple(p.coupling for p in GRAPHS[self.graph].network.recurrent)
        built.group.begin(Relaxation(self.number, "train", np.arange(5), (), couplings, 0.3, ideal=self.ideal))
        return built.group.lane(self.lane)


def pairs(values: list[Settings]) -> st.SearchStrategy[tuple[Settings, Settings]]:
    """Settings for most, and for the exception."""
    return st.tuples(st.sampled_from(values), st.sampled_from(values))


OTHERS: dict[str, st.SearchStrategy[Any]] = {
    "laws": pairs(LAWS),
    "channels": pairs(CHANNELS),
    "ticks": st.integers(1, 40),
    "second": st.integers(2, 40),
    "ideal": st.booleans(),
    "lane": st.integers(0, 2),
    "number": st.integers(1, 2**40),
    "seed": st.integers(0, 2**32),
}
COLOURED = st.sampled_from([name for name, graph in GRAPHS.items() if graph.colours])
CASES = st.builds(Case, COLOURED, pairs([*CLOCKS, RED_BLACK]), **OTHERS)
CASES |= st.builds(Case, st.just("cyclic"), pairs(CLOCKS), **OTHERS)


@dataclass
class Wire:
    """One channel; `direct` if every message arrives once, whole, undisturbed and after the same time."""

    number: int
    source: int
    width: int
    entity: str
    kind: str
    law: Settings
    channel: Settings
    piecemeal: bool = False
    direct: bool = False

    def __post_init__(self) -> None:
        law = self.law
        if law["kind"] == "constant" or law.get("p") == 1.0 or law.get("low", 1) == law.get("high"):
            self.law = law | {"draw": "channel"}
        by_neuron = self.law.get("draw") == "neuron"
        self.piecemeal = "send_on_delta" in self.channel or (self.chance("duplication") > 0 and by_neuron)
        disturbed = {name for name, value in self.channel.items() if value} - {"quantisation"}
        self.direct = self.law.get("draw") == "channel" and not disturbed

    def chance(self, name: str) -> float:
        """Probability of being lost or duplicated."""
        return float(self.channel.get(name, 0.0))


@dataclass
class Plain:
    """What happens in a relaxation, tick by tick; `held` is the send tick of what each channel holds, by tick."""

    case: Case
    events: list[Event] = field(default_factory=list)
    counts: Counts = field(default_factory=Counter)

    def __post_init__(self) -> None:
        case, topology = self.case, Topology(GRAPHS[self.case.graph].network)
        self.wires: list[Wire] = []
        for link in [link for name in topology.blocks for link in topology.afferent(name)]:
            own = link.projection.name == GRAPHS[case.graph].projection
            channel = {} if case.ideal else case.channels[0] | (case.channels[1] if own else {})
            for kind, source, target in (("state", link.pre, link.post), ("feedback", link.post, link.pre)):
                at = len(self.wires), source.index, link.pre.size, f"{source.name}>{target.name}", kind
                self.wires.append(Wire(*at, case.laws[own], channel))
        named = {(wire.entity, wire.kind): wire for wire in self.wires}
        states = [(f"{link.pre.name}>{link.post.name}", "state") for link in topology.links]
        feedback = [(f"{link.post.name}>{link.pre.name}", "feedback") for link in topology.links]
        leaving = [named[key] for key in states + feedback]
        self.held = [[0] * len(self.wires)]
        self._under_way: list[tuple[int, int, Wire, Event, bool, bool]] = []
        self._serial = count()
        fired = [0] * len(topology.blocks)
        for tick in range(1, case.ticks + 1):
            self.held.append(list(self.held[-1]))
            while self._under_way and self._under_way[0][0] == tick:
                self._arrive(tick, *heapq.heappop(self._under_way)[2:])
            for b, (name, block) in enumerate(topology.blocks.items()):
                if self._fires(name, block.population.name, tick):
                    fired[b] += 1
                    self.events.append((c.FIRE, b, fired[b], tick, self._phase(tick), 0, None))
                    for wire in leaving:
                        if wire.source == b:
                            self._send(wire, fired[b], tick)
            self.events.append((c.TICK, 0, 0, tick, 0, 0, None))

    def _phase(self, tick: int) -> int:
        return int(tick >= self.case.second)

    def _draws(self, tick: int, purpose: str, entity: str, kind: str = "") -> np.random.Generator:
        """Those of a tick, or of the whole run at tick 0."""
        stream = Stream(self.case.seed, purpose, entity, kind)
        return stream.at(tick, self._phase(tick), self.case.lane, self.case.number) if tick else stream.at()

    def _fires(self, block: str, population: str, tick: int) -> bool:
        graph = GRAPHS[self.case.graph]
        clock = self.case.clocks[population == graph.population]
        period, phase = clock.get("period", 1), clock.get("phase", 0)
        if clock["kind"] == "bernoulli":
            each = clock.get("unit") == "neuron"
            return each or bool(self._draws(tick, "clock", block).random() < clock["p"])
        if clock["kind"] in ("auto", "red-black") and graph.colours is not None:
            largest = max(wire.law[name] for wire in self.wires for name in LARGEST if name in wire.law)
            stretch: int = clock.get("stretch", largest)
            period, phase = 2 * stretch, graph.colours[population] * stretch
        return bool((tick - 1) % period == phase)

    def _parts(self, wire: Wire, tick: int, copy: int) -> list[tuple[int, Neurons]]:
        """After how many ticks a message or its duplicate arrives, and which of its neurons then."""
        law, draw = wire.law, wire.law.get("draw", "message")
        if law["kind"] == "constant":
            return [(law["ticks"], None)]
        size = wire.width if draw == "neuron" else 1
        purpose = "delay of duplicates" if copy else "delay"
        draws = self._draws(tick if draw == "message" else 0, purpose, wire.entity, wire.kind)
        if law["kind"] == "uniform":
            each = draws.integers(law["low"], law["high"] + 1, size=size).tolist()
        else:
            each = np.minimum(draws.geometric(law["p"], size=size), law["maximum"]).tolist()
        if draw != "neuron":
            return [(each[0], None)]
        return [(ticks, tuple(j for j in range(size) if each[j] == ticks)) for ticks in sorted(set(each))]

    def _send(self, wire: Wire, number: int, tick: int) -> None:
        fates = [False]
        if wire.chance("loss") or wire.chance("duplication"):
            one, two, three = self._draws(tick, "loss and duplication", wire.entity, wire.kind).random(3) < [
                wire.chance(name) for name in ("loss", "duplication", "loss")
            ]
            fates = [bool(one), bool(three)] if two else [bool(one)]
        for copy, lost in enumerate(fates):
            parts = self._parts(wire, tick, copy)
            for ticks, neurons in parts[-1:] if lost else parts:
                op = c.PATCH if wire.piecemeal else c.HOLD if neurons is None else c.MERGE
                event = op, wire.number, number, tick, self._phase(tick), copy, neurons
                last = ticks == parts[-1][0]
                heapq.heappush(self._under_way, (tick + ticks, next(self._serial), wire, event, last, lost))

    def _arrive(self, tick: int, wire: Wire, event: Event, last: bool, lost: bool) -> None:
        op, channel, _, sent, _, copy, _ = event
        newest = self.held[-1]
        self.counts[channel, "dropped"] += lost
        self.counts[channel, "delayed"] += last and not lost and copy == 0 and tick > sent + 1
        self.counts[channel, "duplicated"] += last and not lost and copy == 1
        if op == c.HOLD and sent <= newest[channel]:
            self.counts[channel, "stale"] += not lost
        elif not lost:
            newest[channel] = max(newest[channel], sent)
            if not wire.direct:
                self.events.append(event)


def written(lane: Lane, case: Case, stretches: Sequence[int] = (1000,)) -> tuple[list[Event], int]:
    """All events of a relaxation that begins, written down in stretches; and how often there was no room."""
    events: list[Event] = []
    grown = 0
    reg, t, lengths = lane.state.reg, lane.tables, cycle(stretches)
    while (tick := int(reg[c.REG_TICK])) < case.ticks:
        second = tick + 1 >= case.second
        last = min(tick + next(lengths), case.ticks if second else min(case.ticks, case.second - 1))
        reg[c.REG_PHASE] = second
        if schedule(lane.views[0], lane.views[2], last):
            assert tick < reg[c.REG_TICK] <= last
            for *event, group in lane.state.events[: reg[c.REG_EVENTS]].tolist():
                start, end = (0, 0) if group < 0 else t.groups[group, [c.G_START, c.G_END]]
                events.append((*event, None if group < 0 else tuple(t.members[start:end].tolist())))
        else:
            assert (reg[c.REG_TICK], reg[c.REG_EVENTS]) == (tick, 0)
            lane._grow()
            grown += 1
            assert sorted(free(lane)) == sorted(set(free(lane)))
    return events, grown


def free(lane: Lane) -> list[int]:
    """The chunks that have no messages."""
    (pool,) = lane.state.pools
    found = [int(pool[c.POOL_FREE])]
    for _ in range(pool[c.POOL_LEFT]):
        found.append(int(lane.state.chunks[found[-1], c.CHUNK_NEXT]))
    return found[:-1]


def counts(lane: Lane) -> Counts:
    """What the scheduler has counted."""
    channels = lane.tables.outgoing[:, c.OUT_CHANNEL].tolist()
    columns = lane.state.got[: len(channels), c.GOT_DELAYED : c.GOT_STALE + 1]
    return Counter({(channels[k], RECEIVED[j]): int(n) for (k, j), n in np.ndenumerate(columns) if n})


def expected(plain: Plain) -> Counts:
    """What the scheduler has to count; it says nothing of channels that are read in place."""
    return Counter({key: n for key, n in plain.counts.items() if n and not plain.wires[key[0]].direct})


@settings(max_examples=80, deadline=None)
@given(case=CASES, stretches=STRETCHES)
def test_events_and_counts_are_those_of_the_rules_of_time(case: Case, stretches: list[int]) -> None:
    plain = Plain(case)
    with case.engine() as built:
        lane = case.begin(built)
        assert written(lane, case, stretches)[0] == plain.events
        assert counts(lane) == expected(plain)


@settings(max_examples=40, deadline=None)
@given(case=CASES)
def test_channels_of_one_certain_delay_have_no_events_and_are_read_in_place(case: Case) -> None:
    plain = Plain(case)
    with case.engine() as built:
        lane = case.begin(built)
        channels, (events, _) = lane.tables.channels, written(lane, case)
    for wire in plain.wires:
        assert wire.direct == (channels[wire.number, c.C_HELD] < 0)
        if wire.direct:
            assert all(op in (c.FIRE, c.TICK) or channel != wire.number for op, channel, *_ in events)
            fired = [0, *(sent for op, b, _, sent, *_ in events if op == c.FIRE and b == wire.source)]
            for tick, newest in enumerate(plain.held):
                heard = max(0, tick - channels[wire.number, c.C_DELAY])
                assert newest[wire.number] == max(sent for sent in fired if sent <= heard)


@settings(max_examples=30, deadline=None)
@given(case=CASES)
def test_a_ring_still_has_whatever_arrives(case: Case) -> None:
    with case.engine() as built:
        lane = case.begin(built)
        t, (events, _) = lane.tables, written(lane, case)
    fired = [0] * len(t.blocks)
    for op, who, number, *_ in events:
        if op == c.FIRE:
            fired[who] = number
        elif op != c.TICK:
            source = t.channels[who, c.C_SOURCE]
            assert fired[source] - number < t.blocks[source, c.B_DEPTH]


FREE, NUDGED = Phase("free", 0.0, 10**6, fixed=True), Phase("nudged", 0.1, 10**6, fixed=True)


def endless(phase: Phase, first_tick: int) -> StopRule:
    """A rule whose first check is far away."""
    return StopRule(phase, first_tick, sweep=1, largest_delay=1, check_every=1, patience=None)


@settings(max_examples=25, deadline=None)
@given(case=CASES.map(lambda case: case._replace(lane=0)))
def test_the_executor_holds_and_counts_what_the_rules_of_time_say(case: Case) -> None:
    plain = Plain(case)
    with case.engine() as built:
        lane = case.begin(built)
        lane.enter(0, FREE, endless(FREE, 1), None, {})
        for tick, newest in enumerate(plain.held):
            if tick == case.second:
                lane.enter(1, NUDGED, endless(NUDGED, tick), None, {})
            lane.run(tick)
            assert [held(lane.views[0], lane.views[2], wire.number, tick) for wire in plain.wires] == newest
        received = built.group.reported()[1][:, len(SENT) :]
        rows = {(f"{row[0]}>{row[1]}", str(row[2])): n for n, row in enumerate(Layout(built.topology).channels)}
    for wire in plain.wires:
        found = dict(zip(RECEIVED, received[rows[wire.entity, wire.kind]].tolist(), strict=True))
        # What is stale of a message that arrives piecemeal depends on its numbers.
        names = [name for name in RECEIVED if not (wire.piecemeal and name == "stale")]
        assert [found[name] for name in names] == [plain.counts[wire.number, name] for name in names]


@settings(max_examples=40, deadline=None)
@given(case=CASES, events=st.integers(1, 40), ahead=st.integers(0, 3), stretches=STRETCHES)
def test_where_room_is_short_more_is_made_and_the_events_are_the_same(
    case: Case, events: int, ahead: int, stretches: list[int]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dyadnet.program.allocation.EVENTS", events)
        patch.setattr("dyadnet.program.allocation.AHEAD", ahead)
        with case.engine() as built:
            lane = case.begin(built)
            found, grown = written(lane, case, stretches)
            assert found == Plain(case).events
            assert grown > 0 or (events > len(lane.blocks) and (ahead > 0 or len(lane.tables.outgoing) == 0))


@settings(max_examples=20, deadline=None)
@given(case=CASES)
def test_a_relaxation_starts_with_nothing_under_way(case: Case) -> None:
    with case.engine() as built:
        for follower in (case, case._replace(number=case.number + 1, ideal=not case.ideal, ticks=30), case):
            lane = follower.begin(built)
            assert len(free(lane)) == len(lane.state.chunks)
            assert not lane.state.buckets.any()
            assert written(lane, follower)[0] == (plain := Plain(follower)).events
            assert counts(lane) == expected(plain)


def test_each_kind_of_event_and_of_count_has_been_compared() -> None:
    every_tick = {"kind": "every-tick"}, {"kind": "every-tick"}
    channels: tuple[Settings, Settings] = {"loss": 0.2, "duplication": 0.3}, {"loss": 0.0, "duplication": 0.0}
    merging = Case("chain", every_tick, (UNIFORM[0], UNIFORM[2]), channels)
    patching = Case("chain", every_tick, (UNIFORM[0], UNIFORM[2]), channels[:1] * 2)
    found: set[int] = set()
    for case in (merging, patching):
        with case.engine() as built:
            lane = case.begin(built)
            events, _ = written(lane, case)
            assert events == Plain(case).events
            assert {name for _, name in counts(lane)} == set(RECEIVED)
        found |= {event[0] for event in events}
        later = events[events.index((c.TICK, 0, 0, case.second - 1, 0, 0, None)) :]
        assert any(op == c.HOLD and phase == 0 for op, _, _, _, phase, *_ in later)
    assert found == {c.FIRE, c.HOLD, c.MERGE, c.PATCH, c.TICK}
