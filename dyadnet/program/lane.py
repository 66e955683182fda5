"""One lane of a process with any number of blocks: its arena, its state, and the steps of one relaxation."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.dynamics.messages import Kind
from dyadnet.dynamics.objective import value
from dyadnet.dynamics.request import Pace, Phase
from dyadnet.dynamics.stopping import StopRule, Verdict, circling
from dyadnet.imperfections.own import StreamName
from dyadnet.learning.block import Block
from dyadnet.network.activations import Activation
from dyadnet.network.losses import Loss
from dyadnet.numerics.elementwise import PIECEWISE
from dyadnet.numerics.rng import Moment
from dyadnet.program import called, calls
from dyadnet.program import tables as c
from dyadnet.program.allocation import allocated_memory, allocated_state, grown
from dyadnet.program.arena import Arena
from dyadnet.program.beginning import begin
from dyadnet.program.executor import run
from dyadnet.program.sync.crossing import SegmentMemory as Segments
from dyadnet.program.sync.words import CROWD, FEW, LOOKS, own, tell
from dyadnet.program.tables import Tables
from dyadnet.program.team import Team
from dyadnet.program.views import View

Array = NDArray[Any]

Wanted = tuple[str, str, Kind, int]

STREAMS: tuple[StreamName, ...] = ("mean", "difference")


class Lane:
    """The neurons of all blocks of a process, for one lane.

    Parameters
    ----------
    arena
        The layout of the memory.
    parameters
        All parameters; the same as feedback reads them; the same transposed.
    index
        Number of the lane.
    tolerance
        Tolerances of the stop rule: of means, and of differences.
    initial
        State before the first tick; see `dyadnet.config.dynamics.Dynamics`.
    loss
        Loss of the output.
    before
        The lane that this one replaces.
    segments
        Memory that this process shares with others; None if there is none.
    owners
        The thread of each block, if several execute this lane's events; see `dyadnet.program.team.divide`.

    Attributes
    ----------
    rows
        Samples of the present relaxation.
    counted
        Counts of user-defined imperfections in this relaxation: shape (channels, counters).
    seen
        Called with the lane and a block after each firing of a block for which `probing` is set.
    """

    def __init__(
        self,
        arena: Arena,
        parameters: tuple[Array, Array, Array],
        index: int,
        tolerance: tuple[float, float],
        initial: str,
        loss: Loss,
        before: Lane | None = None,
        segments: Segments | None = None,
        owners: NDArray[np.int64] | None = None,
    ) -> None:
        self.arena = arena
        self.blocks = arena.blocks
        self._initial = initial
        self._loss = loss
        dtype = parameters[0].dtype
        links = len(arena.links)
        nothing = np.zeros(0, dtype=dtype)
        threads = 1 if owners is None else int(owners.max()) + 1
        # Memory that no relaxation touches stays unallocated.
        if segments is None:
            memory = np.empty((arena.numbers + (threads - 1) * arena.message) * dtype.itemsize, dtype=np.uint8)
            # The words by which this process would report to others.
            self._told = np.zeros(1 + 2 * c.J_WIDTH, dtype=np.int64)
            words, boards = np.array([[own(self._told)], [own(self._told) + 8]])
            shared = words, boards, words, words
        else:
            memory = segments.arena(index, arena.hosts, (arena.numbers - arena.shared) * dtype.itemsize)
            shared = segments.words(index), segments.boards(index), segments.limits(), segments.writing(index)
        self.memory = actual = allocated_memory(arena, parameters, memory)
        self._memories = View.of(actual), View.of(actual._replace(V=actual.W))
        self._tables = View.of(arena.actual), View.of(arena.ideal)
        self.state = allocated_state(arena, memory, shared, owners)
        reg, real = self.state.reg, self.state.real
        reg[c.REG_LANE], reg[c.REG_SCRATCH], reg[c.REG_HOST] = index, arena.scratch, arena.home.index
        reg[c.REG_REAL], reg[c.REG_TEAM] = arena.geometry.free, threads
        reg[c.REG_LOOKS] = FEW if arena.home.hosts > CROWD * (os.cpu_count() or 1) else LOOKS
        real[c.F_TOLERANCE], real[c.F_TOLERANCE_DIFFERENCE] = tolerance
        real[c.F_EPSILON] = float(np.finfo(dtype).eps)
        self.counted = np.zeros((2 * links, len(arena.counters)), dtype=np.int64)
        self._counter = {counter.name: column for column, counter in enumerate(arena.counters)}
        self.rows = 0
        self.ideal = False
        self.inputs = nothing.reshape(0, 0)
        self.targets = nothing.reshape(0, 0)
        self.seen: Callable[[Lane, int], None] | None = None
        self.turned: dict[str, float] = {}
        self._spread: tuple[int, float, bool] | None = None
        self._like = nothing
        self._seconds = 0.0
        self._team = Team(actual, self.state, arena.numbers, arena.message) if threads > 1 else None
        self._look()
        if before is not None:
            self._carry_over(before)

    @property
    def tables(self) -> Tables:
        """The tables of the present relaxation."""
        return self.arena.ideal if self.ideal else self.arena.actual

    @property
    def views(self) -> tuple[int, int, int, Array]:
        """Arguments of compiled functions: the addresses of this lane's views, and an array of its numbers' type."""
        return self._addresses[self.ideal] + (self._like,)

    @property
    def tick(self) -> int:
        """The tick at which the lane has stopped, or which it has reached."""
        return int(self.state.reg[c.REG_TICK])

    @property
    def continues(self) -> bool:
        """Whether a relaxation begins with the A of the previous one."""
        return self._initial == "previous"

    def close(self) -> None:
        """End the threads that help this one."""
        if self._team is not None:
            self._team.close()

    # Steps of a relaxation

    def begin(
        self,
        number: int,
        step: float,
        rows: int,
        inputs: Array,
        targets: Array,
        *,
        ideal: bool,
        round_: int = 0,
        gamma: float = 0.0,
    ) -> None:
        """Prepare a relaxation; `first` then sets the initial states.

        Parameters
        ----------
        number
            Number of the relaxation.
        step
            η of every neuron.
        inputs, targets
            x of shape (rows, features); y of shape (rows, classes).
        round_
            Number of the round: all hosts count their joint relaxations by it.
        gamma
            γ of prospective neurons.
        """
        reg, same = self.state.reg, rows == self.rows
        self.rows, self.ideal, self.inputs, self.targets = rows, ideal, inputs, targets
        self.turned = {}
        self._memories[ideal].put("inputs", inputs.reshape(-1))
        self._memories[ideal].put("targets", targets.reshape(-1))
        if self._team is not None:
            self._team.gather(rows, self._seconds, *self._addresses[ideal][:2])
        self._seconds = 0.0
        calls.reset(self._state.address)
        self.counted[:] = 0
        reg[c.REG_ROWS], reg[c.REG_RELAXATION] = rows, number
        reg[c.REG_ROUND] = round_
        reg[c.REG_FEEDFORWARD], reg[c.REG_CARRY_ON] = self._initial == "feedforward", self.continues and same
        self.state.real[c.F_BETA], self.state.real[c.F_STEP] = 0.0, step
        self.state.real[c.F_GAMMA] = gamma
        self._spread_out(step)
        if self.arena.home.hosts > 1:
            tell(int(self.state.words[self.arena.home.index]), round_ << 32)

    def measure(self, pace: Pace, budget: float, updates: int | None, *, settle: bool) -> None:
        """Set the time scales and limits of a relaxation in real time; call it after `begin`.

        Parameters
        ----------
        budget, updates
            Seconds and updates after which a phase ends.
        settle
            Whether a phase also ends once all blocks are quiet.
        """
        real = self.state.real
        real[c.F_TIME], real[c.F_SPAN] = round(1e9 * pace.time_constant), 1e9 * pace.span
        real[c.F_RATIO] = pace.time_constant / pace.delay if pace.delay else 0.0
        real[c.F_CHOSEN] = real[c.F_DELAY] = 1e9 * pace.delay
        real[c.F_WINDOW] = 1e9 * pace.window if settle else -1.0
        real[c.F_BUDGET], real[c.F_UPDATES] = 1e9 * budget, np.inf if updates is None else updates

    def start(self, now: int) -> None:
        """Start real time, with the first phase, at a nanosecond of this machine's clock."""
        self.state.reg[c.REG_NOW] = now

    def enter_freely(self, index: int, phase: Phase) -> None:
        """Start a phase in real time; the states and the messages under way stay."""
        reg, now = self.state.reg, self.state.reg[c.REG_NOW]
        reg[c.REG_PHASE], reg[c.REG_AVERAGE], reg[c.REG_MAY_AVERAGE] = index, -1, phase.average > 0
        reg[c.REG_BEGAN] = reg[c.REG_OVER_AT] = now
        reg[c.REG_BEFORE], reg[c.REG_VERDICT] = reg[c.REG_TICK], c.CONTINUE
        self.state.blocks[:, c.S_AVERAGED] = 0
        self.state.real[c.F_BETA] = phase.beta

    def record(self, rows: int) -> None:
        """Record from now on what happens in real time, in a buffer of `rows` rows; 0 records nothing."""
        if len(self.state.trace) != rows:
            self.state = self.state._replace(trace=np.zeros((rows, c.TR_WIDTH), dtype=np.int64))
            self._look()

    def newest(self, number: int) -> int:
        """Return the number of a block's newest update in real time that this process can read."""
        return int(calls.newest(self._addresses[self.ideal][0], self._state.address, number))

    @property
    def rows_of_trace(self) -> int:
        """The largest number of rows that one update records."""
        return int(calls.rows_of_trace(self._tables[0].address))

    def recorded(self) -> Array:
        """Return the rows that were recorded since the last call: shape (rows, `TR_WIDTH`)."""
        reg = self.state.reg
        found = self.state.trace[: reg[c.REG_TRACED]].copy()
        reg[c.REG_TRACED] = 0
        return found

    def first(self) -> bool:
        """Set the initial states, as far as those of other hosts allow; return whether all are set."""
        while (reason := begin(*self.views)) not in (c.DONE, c.BLOCKED):
            self.serve_first(reason)
        return bool(reason == c.DONE)

    def serve_first(self, reason: int) -> None:
        """Do the work for which `begin` has returned."""
        block = int(self.state.reg[c.REG_BLOCK])
        if reason == c.MULTIPLY:
            called.multiply_first(self, block)
        elif reason == c.ACTIVATE:
            self._activate(block, first=True)
        else:
            called.feed_back(self, block, first=True)

    def enter(
        self, index: int, phase: Phase, rule: StopRule, average_from: int | None, sides: Mapping[str, int]
    ) -> None:
        """Start a phase; the states and the messages under way stay.

        Parameters
        ----------
        rule
            The stop rule of the phase.
        average_from
            Tick from which (m, d) are averaged for learning; None: learning uses the values at the stop tick.
        sides
            σ of each population, for compartments that take turns.
        """
        reg = self.state.reg
        if reg[c.REG_SIDE]:
            calls.keep_turn(*self.views, rule.first_tick - 1)
            for number, spec in enumerate(self.arena.specs):
                self.state.blocks[number, c.S_SIDE] = sides[spec.population.name]
            for number, block in enumerate(self.blocks):
                self.turned[block.name] = self.saturated(number)
        reg[c.REG_SIDE], reg[c.REG_PHASE] = phase.side, index
        reg[c.REG_AVERAGE] = -1 if average_from is None else average_from
        self.state.blocks[:, c.S_AVERAGED] = 0
        # Draws depend on the phase, too.
        reg[c.REG_AHEAD] = reg[c.REG_TICK]
        self.state.real[c.F_BETA], self.state.real[c.F_SMALLEST] = phase.beta, np.inf
        reg[c.REG_CHECK], reg[c.REG_FIRST], reg[c.REG_SMALLEST_AT] = rule.next_check, rule.first_tick, rule.tick
        reg[c.REG_SWEEP], reg[c.REG_WINDOW], reg[c.REG_EVERY] = rule.sweep, rule.window, rule.every
        reg[c.REG_CAP], reg[c.REG_FIXED] = phase.cap, phase.fixed
        reg[c.REG_PATIENCE] = -1 if rule.patience is None else rule.patience

    def run(self, until: int = c.FAR) -> int:
        """Advance to a tick, or to the end of the phase.

        Returns
        -------
        int
            `OVER`, `DONE` or `BLOCKED`; see `dyadnet.program.executor.run`.
        """
        while True:
            began = time.perf_counter()
            reason = run(*self.views, until)
            self._seconds += time.perf_counter() - began
            if reason in (c.OVER, c.DONE, c.BLOCKED):
                return int(reason)
            self.serve(reason)

    def serve(self, reason: int) -> None:
        """Do the work for which compiled code has returned."""
        block = int(self.state.reg[c.REG_BLOCK])
        if reason == c.GROW:
            self._grow()
        elif reason == c.MULTIPLY:
            called.multiply(self, block)
        elif reason == c.DISTURB:
            self._disturb(block)
        elif reason == c.FORESEE:
            self._foresee()
        elif reason == c.ACTIVATE:
            self._activate(block)
        elif reason == c.FEED_BACK:
            called.feed_back(self, block)
        elif reason == c.NUDGE:
            self._nudge(block)
        elif self.seen is not None:
            self.seen(self, block)

    @property
    def begun(self) -> int:
        """The last tick that all blocks have begun; any thread may read it."""
        reg, events = self.state.reg, self.state.events
        for event in events[int(reg[c.REG_PC]) : int(reg[c.REG_EVENTS])].tolist():
            if event[c.E_OP] in (c.FIRE, c.TICK):
                return int(event[c.E_SENT]) - 1
        return int(reg[c.REG_TICK])

    @property
    def checking(self) -> bool:
        """Whether the lane is at a check tick without a verdict; any thread may read it."""
        reg = self.state.reg
        return bool(reg[c.REG_PC] == reg[c.REG_EVENTS] and reg[c.REG_TICK] == reg[c.REG_CHECK])

    def wants(self, come: Callable[[int], int], *, beginning: bool) -> tuple[list[Wanted], tuple[str, ...]]:
        """Return the messages that the lane lacks from other hosts; any thread may call it.

        Parameters
        ----------
        come
            Returns the word of a host.
        beginning
            Whether initial states are being set.

        Returns
        -------
        tuple
            For each missing message: block here, block there, kind of message and tick of sending (0: the initial
            state). Then the blocks here whose initial state has not been sent.
        """
        reg, t = self.state.reg, self.tables
        names, own = [spec.name for spec in self.arena.specs], len(self.blocks)
        born = int(reg[c.REG_ROUND]) << 32
        found: list[Wanted] = []

        def want(channel: int, sent: int) -> None:
            row = t.channels[channel]
            source, least = int(row[c.C_SOURCE]), born + int(t.own[2]) + 1 + max(sent, 0)
            if source >= own and come(int(t.blocks[source, c.B_HOST])) < least:
                kind: Kind = "feedback" if channel & 1 else "state"
                found.append((names[int(row[c.C_TARGET])], names[source], kind, max(sent, 0)))

        if beginning:
            block = min(int(reg[c.REG_BLOCK]), own - 1)
            for channel in range(len(t.channels)):
                if t.channels[channel, c.C_TARGET] == block:
                    want(channel, 0)
            return found, tuple(names[int(reg[c.REG_BLOCK]) : own])
        at = int(reg[c.REG_PC])
        if at < reg[c.REG_EVENTS]:
            event = self.state.events[at].tolist()
            if event[c.E_OP] == c.FIRE and event[c.E_WHO] < own:
                row = t.blocks[event[c.E_WHO]]
                links = range(int(row[c.B_LINKS]), int(row[c.B_LINKS_END]))
                axons = t.axons[int(row[c.B_AXONS]) : int(row[c.B_AXONS_END])].tolist()
                for channel in [*(2 * link for link in links), *(2 * link + 1 for link in axons)]:
                    if t.channels[channel, c.C_HELD] < 0:
                        want(channel, event[c.E_SENT] - int(t.channels[channel, c.C_DELAY]))
            elif event[c.E_OP] in (c.HOLD, c.MERGE, c.PATCH):
                want(event[c.E_WHO], event[c.E_SENT])
        return found, ()

    @property
    def verdict(self) -> Verdict:
        """The verdict on the phase."""
        reg, real = self.state.reg, self.state.real
        kind, worst, names = int(reg[c.REG_VERDICT]), int(reg[c.REG_WORST]), list(self.arena.home.homes)
        # Another process may have named the worst block.
        block = names[worst] if 0 <= worst < len(names) else ""
        if kind in (c.SETTLED, c.CAPPED):
            return Verdict("settled" if kind == c.SETTLED else "capped")
        if kind == c.INFINITE:
            return Verdict("diverged", block, "A or D is no longer finite")
        smallest, now = real[c.F_SMALLEST], real[c.F_WORST]
        return Verdict("diverged", block, circling(smallest, int(reg[c.REG_PATIENCE]), now))

    def summary(self) -> Array:
        """Return the report of `dyadnet.program.learning.report`: shape (blocks, 4)."""
        found = np.zeros((len(self.blocks), 4))
        calls.report(*self.views, self.tick, found)
        called_ = self.tables.blocks[: len(self.blocks), c.B_ACTIVATION] != PIECEWISE
        for number in np.flatnonzero(called_ | bool(self.turned)).tolist():
            found[number, 0] = self.saturated(number)
            if self.turned:
                found[number, 0] = 0.5 * (self.turned[self.blocks[number].name] + found[number, 0])
        return found

    def objective(self, number: int, beta: float) -> float:
        """Return a block's part of the saddle objective; see `dyadnet.dynamics.objective`."""
        block = self.blocks[number]
        shape = self.rows, block.spec.size
        drive = np.empty(shape)
        links = range(*self.tables.blocks[number, [c.B_LINKS, c.B_LINKS_END]])
        widest = max((self.arena.links[link].pre.size for link in links), default=0)
        calls.wide_drive(
            *self.views,
            number,
            drive.reshape(-1),
            np.empty(drive.size),
            np.empty(self.rows * widest),
            np.empty(widest * block.spec.size),
            np.empty(drive.size),
            np.empty(self.arena.products),
        )
        drive += called.widely(self, number)
        A, D = (self.array(number, column).astype(np.float64) for column in (c.B_A, c.B_D))
        targets = self.targets if block.is_output else None
        device = block.ideal_device if self.ideal else block.actual
        return value(block.activation, device, self._loss, A, D, drive, targets, beta)

    # Views of the state

    def array(self, number: int, column: int) -> Array:
        """Return a view of A or D of a block, shape (rows, n)."""
        n, at = int(self.tables.blocks[number, c.B_SIZE]), int(self.tables.blocks[number, column])
        return self.memory.X[at : at + self.rows * n].reshape(self.rows, n)

    def dyadic(self, number: int) -> bool:
        """Whether a block has differences, because the effect of a nudge has reached it."""
        return bool(self.state.blocks[number, c.S_DYADIC])

    def streams(self, number: int) -> Array:
        """Return a view of the present (m, d), or (m,), of a block: shape (1 or 2, rows, n)."""
        row = self.tables.blocks[number]
        slot = int(self.state.blocks[number, c.S_COUNT]) & (int(row[c.B_DEPTH]) - 1)
        return self._streams(number, int(row[c.B_RING]) + slot * int(row[c.B_RING_SLOT]), 1 + self.dyadic(number))

    def readout(self, number: int) -> Array:
        """Return a view of the (m, d) that readout and learning use: shape (2, rows, n)."""
        return self._streams(number, calls.readout(*self.views, number), 2)

    def saturated(self, number: int) -> float:
        """Return the number of compartments at either bound, each counted as one half."""
        block = self.blocks[number]
        device, f = block.ideal_device if self.ideal else block.actual, block.activation
        A = device.seen(self.array(number, c.B_A))
        if not self.dyadic(number):
            return float(np.count_nonzero(f.saturated(A)))
        D = device.scaled(self.array(number, c.B_D))
        return 0.5 * float(np.count_nonzero(f.saturated(A + D)) + np.count_nonzero(f.saturated(A - D)))

    def place(self, A: Mapping[str, Array]) -> None:
        """Set the neurons to a given state without differences, as if all blocks had long held it."""
        for number, block in enumerate(self.blocks):
            row = self.tables.blocks[number]
            self.array(number, c.B_A)[...] = A[block.name]
            m = self._streams(number, int(row[c.B_RING]), 1)[0]
            block.activation.means(block.actual.seen(self.array(number, c.B_A)), m)
        self.state.links[:] = 0
        self.state.links[:, [c.K_MEAN, c.K_DIFFERENCE]] = -1
        for number in range(len(self.blocks)):
            called.feed_back(self, number, first=True)
        calls.announce(*self.views)

    def _streams(self, number: int, at: int, streams: int) -> Array:
        n = int(self.tables.blocks[number, c.B_SIZE])
        return self.memory.X[at : at + streams * self.rows * n].reshape(streams, self.rows, n)

    # Functions that compiled code calls in Python

    def _foresee(self) -> None:
        """Draw user-defined clocks and delays for the next ticks."""
        reg = self.state.reg
        first = (int(reg[c.REG_TICK]) + 1) // c.AHEAD * c.AHEAD
        moment = Moment(int(reg[c.REG_RELAXATION]), int(reg[c.REG_PHASE]), int(reg[c.REG_LANE]))
        for column, law in enumerate(self.arena.ahead):
            self.state.ahead[:, column] = law.ahead(first, c.AHEAD, moment)
        reg[c.REG_AHEAD] = first + c.AHEAD - 1

    def _disturb(self, channel: int) -> None:
        """Apply user-defined imperfections to a message that has arrived."""
        event, row = self.state.events[int(self.state.reg[c.REG_PC])].tolist(), self.tables.channels[channel]
        at = int(row[c.C_HELD] if event[c.E_OP] == c.HOLD else self.state.reg[c.REG_SCRATCH])
        lane, relaxation = int(self.state.reg[c.REG_LANE]), int(self.state.reg[c.REG_RELAXATION])
        shape = self.rows, int(row[c.C_SIZE])
        size = self.rows * shape[1]
        end = int(row[c.C_COPY_GROUPS_END] if event[c.E_COPY] else row[c.C_GROUPS_END])
        # A message that arrives in groups of neurons is changed as a whole each time, in the same way, and counted
        # once.
        whole = event[c.E_GROUP] in (c.NONE, end - 1)
        for made in self.arena.effects[channel]:
            stream = made.draws_of_copies if event[c.E_COPY] else made.draws
            draw = stream.at(event[c.E_SENT], event[c.E_PHASE], lane, relaxation)
            for index, name in enumerate(STREAMS):
                if self.state.reg[c.REG_STREAMS] >> index & 1:
                    values = self.memory.X[at + index * size : at + (index + 1) * size].reshape(shape)
                    values[...], counted = made.effect.applied(values, draw, name)
                    self.counted[channel, self._counter[made.effect.counter.name]] += counted * whole

    def _activate(self, number: int, *, first: bool = False) -> None:
        block, row = self.blocks[number], self.tables.blocks[number]
        device = block.ideal_device if self.ideal else block.actual
        count = int(self.state.blocks[number, c.S_COUNT]) + (not first)
        at = int(row[c.B_RING]) + (count & (int(row[c.B_DEPTH]) - 1)) * int(row[c.B_RING_SLOT])
        A = device.seen(self.array(number, c.B_A))
        f: Activation = block.activation
        if first or not self.dyadic(number):
            f.means(A, self._streams(number, at, 1)[0])
        else:
            m, d = self._streams(number, at, 2)
            f.compartments(A, device.scaled(self.array(number, c.B_D)), m, d)

    def _nudge(self, number: int) -> None:
        state = self.streams(number)
        d = state[1] if len(state) == 2 else np.zeros_like(state[0])
        nudge = self._streams(number, int(self.tables.blocks[number, c.B_NUDGE]), 2)
        nudge[0], nudge[1] = self._loss.nudge(state[0], d, self.targets)

    # Memory

    def _grow(self) -> None:
        """Make more room for events and for messages under way."""
        self.state = grown(self.state)
        self._look()

    def _look(self) -> None:
        """Refresh the addresses of all views."""
        self._state = View.of(self.state)
        if self._team is not None:
            self._team.look(self.state, self._state.address)
        self._addresses = [
            (self._tables[ideal].address, self._memories[ideal].address, self._state.address) for ideal in (False, True)
        ]

    def _carry_over(self, before: Lane) -> None:
        """Copy A of the last relaxation, at which the next one begins."""
        self.rows = before.rows
        for number in range(len(self.blocks)):
            self.array(number, c.B_A)[...] = before.array(number, c.B_A)

    def _spread_out(self, step: float) -> None:
        """Write the constants that differ between neurons, once for each row, if they are not there already."""
        key = (self.rows, step, self.ideal)
        if key == self._spread:
            return
        self._spread = key
        for number, block in enumerate(self.blocks):
            self._spread_block(self.tables.blocks[number], block, step)

    def _spread_block(self, row: Array, block: Block, step: float) -> None:
        n = block.spec.size
        device = block.ideal_device if self.ideal else block.actual
        X = self.memory.X
        if row[c.B_ETA] >= 0:
            rates = X[row[c.B_RATES] : row[c.B_RATES] + n]
            # In real time the step differs from update to update.
            device.speeds(rates) if self.arena.geometry.free else device.steps(step, rates)
            self._repeat(int(row[c.B_ETA]), rates)
        if row[c.B_GAIN] >= 0:
            self._repeat(int(row[c.B_GAIN]), device.gain)
        if row[c.B_THRESHOLD] >= 0:
            self._repeat(int(row[c.B_THRESHOLD]), device.threshold)

    def _repeat(self, at: int, values: NDArray[Any] | None) -> None:
        assert values is not None
        self.memory.X[at : at + self.rows * len(values)].reshape(self.rows, -1)[...] = values
