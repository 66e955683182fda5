"""All blocks of one process: their parameters in shared arrays, their lanes, and operations on all of them.

The local engine has one group with all blocks of the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.config import RunConfig
from dyadnet.data import Dataset
from dyadnet.dynamics.block_metrics import BlockState
from dyadnet.dynamics.outcome import AGREEMENT, COLUMN, COUNTED, NUMBERS, Counts, Layout, Table
from dyadnet.dynamics.request import PhaseOutcome, Relaxation, lane_slices
from dyadnet.dynamics.spectral_radius import Operator
from dyadnet.dynamics.stopping import PhaseSequence
from dyadnet.dynamics.virtual_time import Timing, settling, timing
from dyadnet.engines import assembly
from dyadnet.engines.block_lane import BlockLane
from dyadnet.engines.power_iteration import Exchange, PowerIterate, PowerIteration
from dyadnet.errors import DivergedError, DyadnetError
from dyadnet.learning.update import Update
from dyadnet.network.losses import LOSSES
from dyadnet.network.topology import Topology
from dyadnet.numerics.image_scores import image_scores
from dyadnet.numerics.scores import errors
from dyadnet.numerics.sums import added
from dyadnet.program import called, calls
from dyadnet.program import tables as c
from dyadnet.program.arena import Arena
from dyadnet.program.lane import Lane
from dyadnet.program.sync.crossing import Home, SegmentMemory
from dyadnet.program.team import divide
from dyadnet.program.views import View
from dyadnet.timing.alternating import sides

Array = NDArray[Any]
Map = Callable[[Callable[[Any], Any], Iterable[Any]], list[Any]]
"""Applies a function to items, possibly on several threads, and returns the results in order."""

WORTH_A_THREAD = 50_000
"""Number of parameters for which another thread pays off."""

STEPS: dict[str, Callable[..., None]] = {"momentum": calls.step_momentum, "adam": calls.step_adam}
"""Compiled optimiser steps, by the `form` of an `OptimiserSpec`."""
OF_OUTPUT = [COLUMN[name] for name in ("loss", "correct", "squared", "absolute", "psnr", "ssim")]


class Group:
    """All blocks of one process.

    Parameters
    ----------
    config
        The run's configuration.
    dataset
        Provides inputs and targets.
    apply
        Applies work to lanes, or to shares of the blocks.
    threads
        Number of threads that this process may use: `apply` uses them, or those of a lane's team.
    home
        Assignment of blocks to hosts; `join` must then be called before the first relaxation. Default: all blocks live
        in this process.
    repeats
        Whether the group replays a recorded run in real time.

    Attributes
    ----------
    blocks
        Blocks by name, in block order; their arrays are views into the group's.
    active
        Indices of the lanes in the latest relaxation.
    layout
        Assignment of the rows of a report to blocks and channels.
    """

    def __init__(
        self,
        config: RunConfig,
        dataset: Dataset | None,
        apply: Map,
        threads: int,
        home: Home | None = None,
        *,
        repeats: bool = False,
    ) -> None:
        self.config = config
        self._repeats = repeats
        self.topology = Topology(config.network)
        self.timing: Timing = timing(config, self.topology)
        self._joins = home is not None
        self.home = home or Home(0, dict.fromkeys(self.topology.blocks, 0))
        self.blocks = assembly.blocks(config, self.topology, self.home.blocks)
        self.dataset = dataset
        self.dtype = np.dtype(config.dynamics.dtype)
        self.active: list[int] = []
        self.probes = {name: probe for name, probe in assembly.probes(config).items() if name in self.blocks}
        self._apply, self._threads = apply, threads
        self._couplings: tuple[float, ...] | None = None
        self._loss = LOSSES[config.network.loss]
        self._lanes: list[Lane] = []
        self._segments: SegmentMemory | None = None
        self._arena = self._laid_out(self._rows())
        self._adopt_parameters()
        self._table = View.of(self._arena.actual)
        if not self._joins:
            self._make_lanes()
        self._power = PowerIteration(self._arena, config.seed, self._weights)
        self._sides: dict[str, int] = {}
        outputs = (number for number, block in enumerate(self._arena.blocks) if block.is_output)
        self._output = next(outputs, None)
        self.layout = Layout(self.topology, self.home.blocks, config.imperfections.counters)
        self._places = _places(self._arena, self.layout)

    @property
    def arena(self) -> Arena:
        """The memory layout of a lane."""
        return self._arena

    @property
    def couplings(self) -> tuple[float, ...]:
        """Current κ of each projection between populations."""
        return self._couplings or tuple(projection.coupling for projection in self.config.network.recurrent)

    @property
    def starts(self) -> Array:
        """Offset of each block's part in the vectors of the power iteration."""
        return self._power.starts

    def join(self, segments: SegmentMemory) -> None:
        """Connect to the shared memory of the other hosts."""
        self._segments = segments
        self._make_lanes()

    def close(self) -> None:
        """End the threads of all lanes."""
        for lane in self._lanes:
            lane.close()

    # Relaxing

    def relax(self, relaxation: Relaxation) -> list[tuple[PhaseOutcome, ...]]:
        """Settle one minibatch and return the outcomes of each lane's phases.

        Raises
        ------
        DivergedError
            If a phase diverges or oscillates.
        """
        self.begin(relaxation)
        return self._apply(lambda lane: self._settle(self._lanes[lane], relaxation), self.active)

    def begin(self, relaxation: Relaxation) -> None:
        """Prepare every lane for a relaxation and set its initial state, without running it."""
        self.open(relaxation)
        self._apply(lambda index: self._lanes[index].first(), self.active)

    def open(self, relaxation: Relaxation, number: int = 0) -> None:
        """Prepare every lane for a relaxation.

        Parameters
        ----------
        number
            Number of the round, if there are other hosts; it tells them that the data of the last round have been read.
        """
        self.couple(relaxation.couplings)
        slices = lane_slices(relaxation.rows, self.config.dynamics.lanes)
        most = max(len(rows) for rows in slices.values())
        self._grow(most)
        self.active = list(slices)
        if any(phase.side for phase in relaxation.phases):
            self._sides = sides(self.config.network, relaxation.couplings)
        self._apply(lambda lane: self._open(lane, relaxation, slices[lane], number), self.active)

    def _open(self, index: int, relaxation: Relaxation, rows: NDArray[np.int64], number: int) -> None:
        lane, dataset = self._lanes[index], self.dataset
        inputs = targets = np.zeros((0, 0), dtype=self.dtype)
        if dataset is not None:
            drawn = self.config.seed, relaxation.epoch
            inputs = dataset.inputs(relaxation.part, rows, self.dtype, drawn)
            targets = dataset.targets(dataset.part(relaxation.part), rows, self.dtype, drawn)
        lane.seen = self._probe if index == 0 and relaxation.probed and self.probes else None
        lane.state.reg[c.REG_PROBING] = lane.seen is not None
        lane.begin(
            relaxation.number,
            relaxation.step,
            len(rows),
            inputs,
            targets,
            ideal=relaxation.ideal,
            round_=number,
            gamma=relaxation.gamma,
        )

    def _settle(self, lane: Lane, relaxation: Relaxation) -> tuple[PhaseOutcome, ...]:
        course = settling(relaxation.phases, self.config.dynamics, self.timing)
        while not course.done:
            self.enter(lane, course)
            lane.run()
            self.end(lane, course)
        return tuple(course.outcomes)

    def enter(self, lane: Lane, course: PhaseSequence) -> None:
        """Begin the current phase of a sequence."""
        lane.enter(course.index, course.phase, course.rule, course.average_from, self._sides)

    def end(self, lane: Lane, course: PhaseSequence) -> None:
        """End the current phase of a sequence.

        Raises
        ------
        DivergedError
            If the phase has diverged or oscillates.
        """
        verdict = lane.verdict
        course.end(lane.tick, verdict.kind)
        if verdict.kind == "diverged":
            raise DivergedError(verdict.block, lane.tick, verdict.why)

    def couple(self, couplings: Sequence[float]) -> None:
        """Set κ of every projection."""
        if tuple(couplings) == self._couplings:
            return
        self._couplings = tuple(couplings)
        for block in self.blocks.values():
            block.couple(couplings)
        self._set_kappa()

    def _set_kappa(self) -> None:
        assert self._couplings is not None
        self._arena.kappa[:] = np.asarray(self._couplings)[self._arena.projections]

    def _probe(self, lane: Lane, number: int) -> None:
        block = lane.blocks[number]
        state = lane.streams(number)
        self.probes[block.name].note(
            int(lane.state.blocks[number, c.S_FIRED]),
            lane.array(number, c.B_A),
            lane.array(number, c.B_D),
            state[0],
            state[1] if len(state) == 2 else np.zeros_like(state[0]),
        )

    # Learning

    def gradients(self, beta: float, samples: int) -> NDArray[Any]:
        """Compute ∂ℓ/∂θ of all parameters, in memory order, from the latest relaxation (paper, eq. 5).

        The next call overwrites the array.
        """
        self._apply(lambda share: self._contrast(share, beta, samples), self._shares())
        return self._gradient

    def _contrast(self, share: LaneShare, beta: float, samples: int) -> None:
        factor, last = -1.0 / (beta * samples), len(self.active) - 1
        for position, index in enumerate(self.active):
            lane = self._lanes[index]
            place = lane.tick, position == 0, position == last, factor
            for number in share.called:
                called.contrast(lane, number, lane.tick, position == 0, self._gradient)
            calls.gradients(*lane.views, share.blocks, *place, self._gradient, share.scratch)

    def learn(self, update: Update) -> None:
        """Take one Hebbian step."""
        self.gradients(update.beta, update.samples)
        optimiser = self.config.learning.optimiser
        if update.measured or optimiser.form is None or any(block.needs_attention for block in self.blocks.values()):
            for block in self.blocks.values():
                block.update(update)
            return
        t, weights, gradient = self._table.address, self._weights, self._gradient
        stepped, numbers = STEPS[optimiser.form], optimiser.numbers(update.rate, update.count)
        # An optimiser without state gets the gradient in place of the velocity.
        moments = self._moments or [gradient]

        def step(share: LaneShare) -> None:
            stepped(t, share.blocks, weights, gradient, *moments, *numbers)
            calls.turn_synapses(t, share.blocks, weights, self._forward)

        self._apply(step, self._shares())
        for block in self.blocks.values():
            if self._backward is not self._weights:
                block.refresh()
            else:
                for made in block.called:
                    made.refresh()

    def keep_exact(self, beta: float, samples: int) -> None:
        """Store the gradient of the latest relaxation, to compare the next update's gradient with it."""
        self.gradients(beta, samples)
        for block in self.blocks.values():
            block.keep()

    # Reports

    def reported(self) -> tuple[Table, Counts]:
        """Return the metrics of all blocks and the counts of all channels; see `dyadnet.dynamics.outcome.Reports`."""
        lanes = [self._lanes[index] for index in self.active]
        parts = self._apply(lambda lane: lane.summary(), lanes)
        blocks, seen = len(self._arena.blocks), len(self._arena.specs)
        found = np.full((blocks, self.layout.width), np.nan)
        found[:, COLUMN["samples"]] = sum(lane.rows for lane in lanes)
        found[:, COLUMN["neurons"]] = self._arena.actual.blocks[:blocks, c.B_SIZE]
        for name, column in (("residual_mean", c.V_RESIDUAL), ("residual_difference", c.V_RELATIVE)):
            # NaN is handled as by Python's `max`, which depends on the order of lanes.
            found[:, COLUMN[name]] = _maxima([lane.state.values[:blocks, column] for lane in lanes])
        for index, name in enumerate(("saturated", "mean_square", "difference_square")):
            found[:, COLUMN[name]] = sum(part[:, index] for part in parts)
        found[:, COLUMN["age"]] = np.max([part[:, 3] for part in parts], axis=0)
        found[:, COLUMN["updates"]] = sum(lane.state.blocks[:blocks, c.S_COUNT] for lane in lanes)
        if self._output is not None:
            self._report_output(found[self._output], self._output, lanes)
        for number, block in enumerate(self._arena.blocks):
            if block.measured[0] is not None:
                found[number, [COLUMN["weight_norm"], COLUMN["update_norm"]]] = block.measured
            if block.agreement is not None:
                found[number, AGREEMENT] = block.agreement
        own = len(self._arena.counters)
        counts = np.zeros((len(self._places), len(COUNTED) + own), dtype=np.int64)
        sums = np.zeros((seen, 3), dtype=np.int64)
        for lane in lanes:
            table, _, state, _ = lane.views
            calls.count(table, state, lane.tick, self._places, counts, sums)
            if own:
                counts[self._places, len(COUNTED) :] += lane.counted
        found[:, [COLUMN["messages"], COLUMN["values"], COLUMN["stale"]]] = sums[:blocks]
        if self.layout.own:
            for number in range(blocks):
                states = [_state(lane, number) for lane in lanes]
                found[number, len(NUMBERS) :] = [metric.of(states) for metric in self.layout.own]
        return found, counts

    def leave_own_metrics(self) -> None:
        """Switch off user-defined metrics, for relaxations that belong to no run."""
        self.layout.own = ()

    def _report_output(self, row: Array, output: int, lanes: Sequence[Lane]) -> None:
        row[OF_OUTPUT] = 0.0
        image = None if self.dataset is None else self.dataset.image
        for lane in lanes:
            m = lane.readout(output)[0]
            loss = float(np.sum(self._loss.value(m, lane.targets)))
            correct = np.count_nonzero(m.argmax(axis=1) == lane.targets.argmax(axis=1))
            row[OF_OUTPUT] += loss, correct, *errors(m, lane.targets), *image_scores(m, lane.targets, image)

    # Further phases

    def spectral_radius(
        self, couplings: tuple[float, ...], operator: Operator, iterations: int, exchange: Exchange | None = None
    ) -> float:
        """Estimate ρ by a power iteration; see `dyadnet.dynamics.spectral_radius`."""
        self.couple(couplings)
        return self._power.estimate(self._table.address, self._arena.kappa, operator, iterations, exchange)

    def objective(self, beta: float) -> float:
        """Return the saddle objective of the latest relaxation, mean over samples; see `dyadnet.dynamics.objective`."""
        total, samples = 0.0, 0
        for index in self.active:
            lane = self.lane(index)
            total += added(lane.objective(number, beta) for number in range(len(lane.blocks)))
            samples += lane.rows
        return total / samples

    # Looking at it

    def lanes(self, name: str) -> list[BlockLane]:
        """Return a block's neurons in every lane of the latest relaxation."""
        return [BlockLane(self, self.blocks[name], index) for index in self.active]

    def all_lanes(self, name: str) -> list[BlockLane]:
        """Return a block's neurons in every existing lane."""
        return [BlockLane(self, self.blocks[name], index) for index in range(len(self._lanes))]

    def lane(self, index: int) -> Lane:
        """Return one lane, with all blocks."""
        return self._lanes[index]

    def response(self, name: str) -> PowerIterate:
        """Return a block's part of the power iteration's vector."""
        return PowerIterate(self._power.part(self._arena.index[name]))

    def hold_rows(self, index: int, rows: int) -> None:
        """Set the number of samples in a lane, before it is restored from a checkpoint."""
        self._grow(rows)
        self._lanes[index].rows = rows

    # Making

    def _rows(self) -> int:
        """Return the initial capacity of a lane in samples. Memory shared with other hosts cannot grow."""
        if self._joins:
            return shared_rows(self.config)
        return -(-self.config.learning.minibatch // self.config.dynamics.lanes)

    def _grow(self, rows: int) -> None:
        if rows > self._arena.rows:
            if self._segments is not None:
                most = self._arena.rows * len(self._lanes)
                raise DyadnetError(f"actors have room for minibatches of {most} samples, not of {rows} in a lane")
            self._arena = self._laid_out(rows)
            self._make_lanes()

    def _laid_out(self, rows: int) -> Arena:
        own = self.config, self.topology, self.timing, self.blocks
        arena = Arena(*own, rows, self.home, repeats=self._repeats)
        if self._couplings is not None:
            arena.kappa[:] = self._arena.kappa
        else:
            arena.kappa[:] = [link.projection.coupling for link in arena.links]
        return arena

    def _make_lanes(self) -> None:
        self._table = View.of(self._arena.actual)
        dynamics = self.config.dynamics
        tolerance = dynamics.tolerance, dynamics.tolerance_difference
        before: list[Lane | None] = [*self._lanes] or [None] * dynamics.lanes
        owners = divide(self._arena, self._threads // dynamics.lanes)
        self.close()
        self._lanes = [
            Lane(
                self._arena,
                (self._weights, self._backward, self._forward),
                index,
                tolerance,
                dynamics.initial,
                self._loss,
                before[index] if dynamics.initial == "previous" else None,
                self._segments,
                owners,
            )
            for index in range(dynamics.lanes)
        ]
        for number, block in enumerate(self._arena.blocks):
            for tables in (self._arena.actual, self._arena.ideal):
                tables.blocks[number, c.B_PROBED] = block.name in self.probes

    def _adopt_parameters(self) -> None:
        """Move the parameters of all blocks, their gradients and the optimiser's state into one array each."""
        parameters = self._arena.parameters
        self._weights = np.zeros(parameters.size, dtype=self.dtype)
        self._gradient = np.zeros(parameters.size, dtype=self.dtype)
        mismatched = any(synapses.mismatch is not None for block in self.blocks.values() for synapses in block.synapses)
        self._backward = np.zeros_like(self._weights) if mismatched else self._weights
        self._forward = np.zeros_like(self._weights)
        # An optimiser without a compiled form keeps its state in the blocks.
        compiled = self.config.learning.optimiser.form is not None
        states = [state for block in self.blocks.values() for state in block.states.values() if compiled]
        names = sorted({name for state in states for name in state})
        self._moments = [np.zeros(parameters.size, dtype=self.dtype) for _ in names]
        for block in self.blocks.values():
            block.adopt(
                parameters.offsets[block.name],
                self._weights,
                self._gradient,
                self._backward if mismatched else None,
                self._forward,
                dict(zip(names, self._moments, strict=True)),
            )

    def _shares(self) -> list[LaneShare]:
        """Return the blocks, divided so that each thread has about the same amount of work."""
        if not hasattr(self, "_shared"):
            blocks = self._arena.blocks
            work = [sum(array.size for array in block.parameters().values()) for block in blocks]
            count = max(min(self._threads, len(work), sum(work) // WORTH_A_THREAD), 1)
            loads = [0] * count
            mine: list[list[int]] = [[] for _ in range(count)]
            for number in sorted(range(len(work)), key=lambda number: -work[number]):
                least = loads.index(min(loads))
                loads[least] += work[number]
                mine[least].append(number)
            largest = max(array.size for block in blocks for array in block.parameters().values())
            self._shared = [
                LaneShare(
                    np.array(sorted(part)),
                    [number for number in sorted(part) if blocks[number].called],
                    np.zeros(largest, dtype=self.dtype),
                )
                for part in mine
            ]
        return self._shared


def shared_rows(config: RunConfig) -> int:
    """Return the largest number of samples in a lane, where blocks live in several processes."""
    return -(-max(config.learning.minibatch, config.learning.evaluation_batch) // config.dynamics.lanes)


@dataclass(frozen=True)
class LaneShare:
    """The blocks that one thread updates, those among them that have synapses in Python, and scratch for one lane."""

    blocks: NDArray[np.int64]
    called: list[int]
    scratch: Array


def _state(lane: Lane, number: int) -> BlockState:
    A, D = (lane.array(number, column).copy() for column in (c.B_A, c.B_D))
    if not lane.dyadic(number):
        D[...] = 0
    m, d = lane.readout(number).copy()
    return BlockState(lane.blocks[number].name, lane.rows, A, D, m, d)


def _places(arena: Arena, layout: Layout) -> NDArray[np.int64]:
    """Return the row of a report for each of a lane's channels."""
    rows: dict[tuple[str, str, str], int] = {channel: row for row, channel in enumerate(layout.channels)}
    found: list[int] = []
    for link in arena.links:
        pre, post = link.pre.name, link.post.name
        found += rows[pre, post, "state"], rows[post, pre, "feedback"]
    return np.array(found, dtype=np.int64)


def _maxima(columns: Sequence[Array]) -> Array:
    found = columns[0]
    for column in columns[1:]:
        found = np.where(column > found, column, found)
    return found
