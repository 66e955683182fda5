"""A host: some blocks of a network, with all their lanes. All hosts of a network execute as one program.

A plain class without Ray, so that tests run several hosts in one process. A block actor is a thin wrapper around one
host. A host's blocks write their messages to a segment, which other hosts read (`dyadnet_actors.hosts.shared_memory`).
The host itself sends nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from dyadnet.checkpoint import blocks as checkpoint
from dyadnet.checkpoint.manifest import File, Manifest
from dyadnet.config import RunConfig
from dyadnet.config.dynamics import FreeRunning
from dyadnet.config.faults import Fault
from dyadnet.data import Dataset, Split
from dyadnet.dynamics.outcome import SENT, Share
from dyadnet.dynamics.request import Pace, Phase, PhaseOutcome, Relaxation
from dyadnet.dynamics.spectral_radius import Operator
from dyadnet.dynamics.stopping import PhaseSequence
from dyadnet.dynamics.virtual_time import settling
from dyadnet.engines.group import Group
from dyadnet.files.store import Store
from dyadnet.learning.update import Update
from dyadnet.network.description import layered
from dyadnet.network.topology import Topology
from dyadnet.program import tables as c
from dyadnet.program.advance import NOBODY, advance
from dyadnet.program.lane import Lane
from dyadnet.program.sync.crossing import Home
from dyadnet.program.sync.words import MOST, ROOM, wait
from dyadnet_actors.hosts.carrier import Carrier, Send
from dyadnet_actors.hosts.fault_injector import Effects, FaultInjector, Process
from dyadnet_actors.hosts.free_carrier import FreeCarrier
from dyadnet_actors.hosts.free_running import LOOK, FreeRun
from dyadnet_actors.hosts.shared_memory import SegmentLayout, Segments
from dyadnet_actors.hosts.usage_meter import Ages, UsageMeter
from dyadnet_actors.hosts.vectors import Paths, Vectors
from dyadnet_actors.protocol.failures import HostStoppedError, TransportError
from dyadnet_actors.protocol.heartbeat import Pulse
from dyadnet_actors.protocol.host_status import ExpectedMessage, HostStatus, LaneStatus
from dyadnet_actors.protocol.pace import Delays

Array = NDArray[Any]


class Relaxed(NamedTuple):
    """The results of a host after a relaxation.

    Attributes
    ----------
    share
        Reports of its blocks.
    phases
        Outcomes of each lane's phases; in real time, the first host gives those of the network, and the others their
        own.
    delays, script
        Delays measured in real time, and the record for a replay, if the run is traced.
    """

    share: Share
    phases: list[tuple[PhaseOutcome, ...]]
    delays: Delays | None = None
    script: bytes | None = None


class Host:
    """Runs blocks of one network.

    One thread calls its methods, one after the other; any thread may call `standing`, `pulse` and `stop`.

    Parameters
    ----------
    config
        The run.
    home
        Which blocks live here, and where the others live.
    dataset
        Samples for blocks with an input projection and for the output block; None if none of these is here.
    effects
        Effects of injected faults on this process.

    Attributes
    ----------
    segments
        Memory that hosts read of each other; call `join` once the segments of all other hosts are attached.
    """

    def __init__(self, config: RunConfig, home: Home, dataset: Dataset | None, effects: Effects | None = None) -> None:
        self.config = config
        self.home = home
        self._blas = threadpool_limits(limits=1, user_api="blas")
        self.group = Group(config, dataset, lambda work, items: [work(item) for item in items], 1, home)
        self.blocks = self.group.blocks
        self.segments = Segments(SegmentLayout(self.group.arena.geometry, home))
        self.ledger = UsageMeter(home)
        slow = [factor for name, factor in config.cluster.slow.items() if name in self.blocks]
        self._slowness = max(slow, default=1.0)
        self._sabotage = FaultInjector(home, effects or Process(), self._slow_down, self.segments.cut)
        self._stopped = threading.Event()
        self._failure: Exception | None = None
        layout = self.group.layout
        rows = {channel: row for row, channel in enumerate(layout.channels)}
        self._sent = [rows[channel] for channel in layout.sent]
        self._received = [rows[channel] for channel in layout.received]
        self._crosses = [home.homes[target] != home.index for _, target, _ in layout.sent]
        self._paths = Paths(self.group)
        self._activity = "idle"
        self._moved_at = time.monotonic()
        self._round = self._relaxation = self._looks = 0
        self._waiting = False
        self.carrier: Carrier | None = None
        self._free = isinstance(config.dynamics.mode, FreeRunning)
        self._run: FreeRun | None = None
        self._lanes: list[Lane] = []
        self._courses: list[PhaseSequence] = []
        self._table = np.zeros((0, c.ADVANCE_WIDTH), dtype=np.int64)
        self._waited = np.zeros(1, dtype=np.int64)
        self._words, self._room = np.zeros((2, MOST), dtype=np.int64), np.zeros(ROOM, dtype=np.int64)

    def join(self) -> None:
        """Lay out the lanes, once the segments of all other hosts are attached."""
        self.group.join(self.segments)
        if self._free:
            self.ledger.ages = Ages(self.group.lane(0))

    def carrier_to(self, others: Sequence[int], send: Send) -> Carrier:
        """Return a carrier of this host's messages to hosts that do not share its memory; see `carry`."""
        return (FreeCarrier if self._free else Carrier)(self.group, self.segments, others, send)

    def carry(self, carrier: Carrier) -> None:
        """Use this carrier from now on to reach hosts that do not share memory with this one."""
        self.carrier = carrier
        self.ledger.collect = lambda: self.ledger.carried(carrier.traffic, carrier.refused)
        carrier.start()

    def _flush(self) -> None:
        """Send what the last round left, before it is overwritten."""
        if self.carrier is not None:
            self.carrier.flush()

    @property
    def stopped(self) -> bool:
        """Whether the host was told to stop."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """Interrupt what this host is doing, which then raises `HostStoppedError`."""
        self._stopped.set()

    def fail(self, why: str) -> None:
        """Interrupt what this host is doing, which then raises a `TransportError` with this reason."""
        self._failure = self._failure or TransportError(why)
        self._stopped.set()

    # Settling and learning

    def relax(
        self,
        number: int,
        relaxation: Relaxation,
        update: Update | None = None,
        faults: Sequence[Fault] = (),
        pace: Pace | None = None,
    ) -> Relaxed:
        """Settle one minibatch, as far as this host's blocks go.

        Parameters
        ----------
        number
            Number of the round.
        update
            Update from the previous relaxation, to be learnt first.
        faults
            Faults to inject meanwhile.
        pace
            Pace in real time; None in virtual time.

        Raises
        ------
        DivergedError
            If a lane runs away or circles; all hosts raise the same error.
            HostStoppedError
                If the host was told to stop.
        """
        if update is not None:
            self.learn(update)
        self._sabotage.arm(faults)
        self._round, self._relaxation = number, relaxation.number
        self._enter(f"relaxation {relaxation.number}")
        began = time.perf_counter()
        self._waited[0] = 0
        held = 0.0
        try:
            self._flush()
            self.group.open(relaxation, number)
            held = self._settle(relaxation, faults) if pace is None else self._run_freely(relaxation, pace, faults)
            if relaxation.exact:
                self.group.keep_exact(relaxation.phases[-1].beta, len(relaxation.rows))
            found, counts = self.group.reported()
        finally:
            waited = 1e-9 * float(self._waited[0])
            self.ledger.spend(waiting=waited, held=held, computing=time.perf_counter() - began - waited - held)
            self._enter("idle")
        run = self._run
        phases = [tuple(course.outcomes) for course in self._courses] if run is None else [tuple(run.outcomes)]
        sent, received = counts[self._sent, : len(SENT)], counts[self._received, len(SENT) :]
        if self.carrier is None:
            # Neighbours read from shared memory, and no carrier counts the traffic.
            crossing = sent[self._crosses]
            self.ledger.traffic.update(
                letters=sum(lane.tick for lane in self._lanes),
                messages=int(crossing[:, SENT.index("messages")].sum()),
                bytes=int(crossing[:, SENT.index("values")].sum()) * self.group.dtype.itemsize,
            )
        delays, script = (None, None) if run is None else (run.delays, run.script)
        return Relaxed(Share(found, sent, received, self.ledger.total()), phases, delays, script)

    def _settle(self, relaxation: Relaxation, faults: Sequence[Fault]) -> float:
        """Advance all lanes until each has completed its phases; return the seconds for which they were held back."""
        group, dynamics = self.group, self.config.dynamics
        lanes = [group.lane(index) for index in group.active]
        self._courses = [settling(relaxation.phases, dynamics, group.timing) for _ in lanes]
        table = np.zeros((len(lanes), c.ADVANCE_WIDTH), dtype=np.int64)
        table[:, c.ADVANCE_STAGE] = c.ADVANCE_BEGINNING
        self._lanes, self._table = lanes, table
        held = 0.0
        pause = self._next_pause(0, faults)
        paused: set[int] = set()
        began = time.perf_counter(), int(self._waited[0])
        while True:
            for row, lane in zip(table, lanes, strict=True):
                row[:3] = lane.views[:3]
            like = lanes[0].views[3]
            self._waiting = True
            k, reason = advance(table, like, pause, LOOK, self._waited, self._words, self._room)
            self._waiting = False
            self._looks += 1
            self._look()
            if k == NOBODY:
                continue
            self._moved_at = time.monotonic()
            lane, course, stage = lanes[k], self._courses[k], table[k]
            if stage[c.ADVANCE_STAGE] == c.ADVANCE_BEGINNING:
                if reason == c.DONE:
                    group.enter(lane, course)
                    stage[c.ADVANCE_STAGE] = c.ADVANCE_RUNNING
                else:
                    lane.serve_first(reason)
            elif reason == c.OVER:
                group.end(lane, course)
                if course.done:
                    stage[c.ADVANCE_STAGE] = c.ADVANCE_IDLE
                else:
                    group.enter(lane, course)
            elif reason == c.DONE:
                paused.add(k)
                stage[c.ADVANCE_STAGE] = c.ADVANCE_IDLE
            else:
                lane.serve(reason)
            going = {k for k, course in enumerate(self._courses) if not course.done}
            if not going:
                return held
            if going <= paused:
                # All remaining lanes have reached the pause.
                held += self._pause(began, pause)
                began = time.perf_counter(), int(self._waited[0])
                pause = self._next_pause(pause + 1, faults)
                paused.clear()
                for k in going:
                    table[k, c.ADVANCE_STAGE] = c.ADVANCE_RUNNING

    def _run_freely(self, relaxation: Relaxation, pace: Pace, faults: Sequence[Fault]) -> float:
        """Update in real time until all phases are over; return the seconds for which the host was held back."""
        lane = self.group.lane(0)
        self._lanes = [lane]
        run = self._run = FreeRun(self.config, lane, relaxation.phases, pace, self._waited, self._look_around)
        run.begin()
        held, pause = 0.0, self._next_pause(0, faults)
        began = time.perf_counter(), int(self._waited[0])
        while not run.advance(pause):
            held += self._pause(began, pause)
            began = time.perf_counter(), int(self._waited[0])
            pause = self._next_pause(pause + 1, faults)
        if self.ledger.ages is not None:
            self.ledger.ages.updates += lane.tick
        return held

    def _look_around(self) -> None:
        self._looks += 1
        self._moved_at = time.monotonic()
        self._look()

    def _pause(self, began: tuple[float, int], tick: int) -> float:
        """Hold a straggler back in proportion to its computing time, then inject the faults of the next tick.

        Parameters
        ----------
        began
            When the computing began, and nanoseconds of waiting by then.
        tick
            The tick that was reached.
        """
        now = time.perf_counter()
        if self._slowness > 1.0:
            computed = now - began[0] - 1e-9 * float(self._waited[0] - began[1])
            time.sleep((self._slowness - 1.0) * max(computed, 0.0))
        held = time.perf_counter() - now
        self._sabotage.reach(tick + 1)
        return held

    def _next_pause(self, tick: int, faults: Sequence[Fault]) -> int:
        """Return the next tick after which Python takes over: before a fault, or each tick if the host is held back."""
        if self._slowness > 1.0:
            return tick
        return min((fault.tick - 1 for fault in faults if fault.tick > tick), default=c.FAR)

    def learn(self, update: Update) -> None:
        """Make every block of this host take a Hebbian step."""
        self._enter("learning")
        began = time.perf_counter()
        self.group.learn(update)
        spent = time.perf_counter() - began
        held = (self._slowness - 1.0) * spent
        time.sleep(held)
        self.ledger.spend(learning=spent, held=held)
        self._enter("idle")

    # Objective and power iteration

    def objective(self, number: int, beta: float) -> dict[int, dict[str, float]]:
        """Return the contributions to the saddle objective, by lane and block; see `dyadnet.dynamics.objective`."""
        names = list(self.blocks)
        if self._run is not None:
            self._hear_last()
        return {
            lane: {name: self.group.lane(lane).objective(at, beta) for at, name in enumerate(names)}
            for lane in self.group.active
        }

    def _hear_last(self) -> None:
        """Wait for the last states of the other hosts in real time, and use these states from now on."""
        lane = self.group.lane(0)
        for host in self.group.arena.hosts:
            if host != self.home.index:
                self._await_word(host, (self._round << 32) + c.FINISHED)
        for number in range(len(self.blocks), len(self.group.arena.specs)):
            lane.state.blocks[number, c.S_COUNT] = lane.newest(number)

    def spectrum(self, number: int, couplings: tuple[float, ...], operator: Operator, iterations: int) -> float:
        """Compute ρ by a power iteration; all hosts compute the same value."""
        began = time.perf_counter()
        self._round = number
        self._enter("power iteration")
        self._flush()
        exchange = Vectors(self.group, self.segments, self._paths, self.carrier, number, self._await_word)
        radius = self.group.spectral_radius(couplings, operator, iterations, exchange)
        self._enter("idle")
        self.ledger.spend(radius=time.perf_counter() - began)
        return radius

    def _await_word(self, host: int, least: int) -> None:
        """Wait until a host's word of the first lane, as this host hears it, is at least `least`."""
        while self.segments.come(host, 0) < least:
            if wait(self.segments.word(host, 0), least, LOOK, self._room) and self.segments.come(host, 0) < least:
                # A fault has cut the link.
                time.sleep(1e-9 * LOOK)
            self._looks += 1
            self._look()
        self._moved_at = time.monotonic()

    # State of the blocks

    def norms(self) -> dict[str, float]:
        """Return the norm of each block's weights."""
        return {name: block.norm() for name, block in self.blocks.items()}

    def digests(self) -> dict[str, bytes]:
        """Return the hash of each block's parameters."""
        return {name: block.digest() for name, block in self.blocks.items()}

    def parameters(self) -> dict[str, dict[str, Array]]:
        """Return every block's own arrays."""
        return {name: block.parameters() for name, block in self.blocks.items()}

    def load(self, parameters: Mapping[str, Mapping[str, Array]]) -> None:
        """Set the parameters of every block."""
        for name, block in self.blocks.items():
            block.load(parameters[name])

    def find(self, store: Store, nonce: str) -> None:
        """Read one file; see `dyadnet.engines.protocol.Engine.find`."""
        checkpoint.find(store, nonce, f"actor {self.home.label(self.home.index)}")

    def save(self, store: Store, folder: str) -> dict[str, File]:
        """Write the checkpoint file of every block of this host."""
        group = self.group
        return {
            name: checkpoint.save(store, folder, block, group.response(name), group.all_lanes(name))
            for name, block in self.blocks.items()
        }

    def restore(self, store: Store, manifest: Manifest) -> None:
        """Restore every block of this host from a checkpoint."""
        group = self.group
        for name, block in self.blocks.items():
            checkpoint.restore(store, manifest, block, group.response(name), group.all_lanes(name))
        self.take_probes()

    def take_probes(self) -> dict[str, dict[str, Any]]:
        """Return what the probes recorded since the last call."""
        return {name: probe.take() for name, probe in self.group.probes.items()}

    def machinery(self) -> dict[str, Any]:
        """Return what was spent since the last call; see `UsageMeter.take`."""
        return self.ledger.take()

    # Questions from other threads

    def pulse(self) -> Pulse:
        """Return a sign of life, also while the host computes: the progress that it told and that it sees of others."""
        own, lanes = self.home.index, range(self.config.dynamics.lanes)
        come = {host: sum(self.segments.come(host, lane) for lane in lanes) for host in range(self.home.hosts)}
        mine = come.pop(own)
        return Pulse(dict.fromkeys(come, mine), come, self._looks, waiting=True)

    def standing(self) -> HostStatus:
        """Return what this host is doing or waiting for, also while it computes."""
        activity, still = self._activity, time.monotonic() - self._moved_at
        lanes: tuple[LaneStatus, ...] = ()
        if self._free and activity.startswith("relaxation"):
            # A free-running host waits for nobody.
            run = self._run
            return HostStatus(activity if run is None else f"{activity}, {run}", self._round, still, busy=True)
        if activity.startswith("relaxation"):
            table, courses = self._table, self._courses
            lanes = tuple(
                self._lane_standing(lane, int(table[k, c.ADVANCE_STAGE]), done=courses[k].done)
                for k, lane in enumerate(self._lanes)
            )
        return HostStatus(activity, self._round, still, lanes)

    def _lane_standing(self, lane: Lane, stage: int, *, done: bool) -> LaneStatus:
        index = int(lane.state.reg[c.REG_LANE])
        beginning = stage == c.ADVANCE_BEGINNING
        wants, unborn = lane.wants(lambda host: self.segments.come(host, index), beginning=beginning)
        tick = lane.begun
        if done:
            return LaneStatus(index, tick, "done")
        if lane.checking and self._waiting:
            return LaneStatus(index, tick, "checking")
        found = tuple(ExpectedMessage(*want) for want in wants)
        return LaneStatus(index, tick, "waiting" if found and self._waiting else "computing", found, unborn)

    def close(self) -> None:
        """Release what is shared."""
        if self.carrier is not None:
            self.carrier.close()
        self.segments.close()

    def _look(self) -> None:
        if self._stopped.is_set():
            raise self._failure or HostStoppedError("stopped")

    def _slow_down(self, factor: float) -> None:
        self._slowness = factor

    def _enter(self, activity: str) -> None:
        self._activity = activity
        self._moved_at = time.monotonic()


def prepare(config: RunConfig) -> None:
    """Load or compile everything that a host of a run calls, so that no relaxation waits for it."""
    free = isinstance(config.dynamics.mode, FreeRunning)
    # A user-defined optimiser is called, not compiled.
    optimiser = config.learning.optimiser
    _prepared(config.dynamics.dtype, "sgd" if optimiser.form is None else optimiser.kind, free=free)


@cache
def _prepared(dtype: str, optimiser: str, *, free: bool) -> None:
    mode = {"kind": "free", "settle": False, "updates": 2, "budget": 1.0} if free else "lockstep"
    values = {
        "network": layered(1, [1], 2, lam=0.0),
        "dynamics": {"dtype": dtype, "mode": mode},
        "learning": {"optimiser": {"kind": optimiser}, "minibatch": 2},
    }
    split = Split(np.zeros((2, 1)), np.arange(2))
    small = RunConfig.read(values)
    host = Host(small, Home(0, dict.fromkeys(Topology(small.network).blocks, 0)), Dataset("two", split, split, 1.0, 2))
    host.group.leave_own_metrics()
    host.join()
    couplings = (-1.0,)
    phase = Phase("dyadic", 0.1, 2, fixed=True)
    relaxation = Relaxation(1, "train", np.arange(2), (phase,), couplings, 0.5)
    host.relax(1, relaxation, pace=Pace(1.0, 1.0) if free else None)
    host.learn(Update(0.1, 2, 0.0, 1))
    host.spectrum(2, couplings, operator="symmetric", iterations=1)
    host.objective(3, 0.1)
    host.close()
