"""The slow reference: every block by itself, message after message, in Python.

It is the specification that the compiled core is tested against, and it repeats runs in real time. Until actors run
programs their blocks are these, too, so that both engines give the same bits.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from dyadnet import assembly, objective
from dyadnet.assembly import samples
from dyadnet.block import Block
from dyadnet.checkpoint.blocks import find, restore, save
from dyadnet.checkpoint.manifest import File, Manifest
from dyadnet.checkpoint.store import Store
from dyadnet.config import RunConfig
from dyadnet.data import Dataset, Split
from dyadnet.description import layered
from dyadnet.dyads import Dyads
from dyadnet.engine.protocol import Machinery
from dyadnet.errors import DivergedError
from dyadnet.loading import check_fit
from dyadnet.random import Moment
from dyadnet.relaxation import Phase, PhaseOutcome, Relaxation, lane_slices
from dyadnet.reporting import block_report, columns
from dyadnet.reports import Joiner, Layout, Outcome, Share, Spent
from dyadnet.spectrum import Response, spectral_radius
from dyadnet.timing import Timing, settling, timing
from dyadnet.topology import Topology
from dyadnet.update import Update

Item = TypeVar("Item")
Result = TypeVar("Result")


Course = Callable[[Mapping[str, Dyads], Relaxation], tuple[PhaseOutcome, ...]]
"""Takes the neurons of one lane from their first states to the end of a relaxation; how each phase ended."""
ACTIVITIES = {"relax": "computing", "learn": "learning", "radius": "radius"}
"""What an actor would call what this process spends its time on."""


class ReferenceEngine:
    """Implements `dyadnet.engine.protocol.Engine` in this process, one message after the other.

    Parameters
    ----------
    config
        The run.
    dataset
        Where blocks with an input projection and the output block find their rows.
    threads
        Threads of our own; as many as cores of ours unless given. Never changes a bit.
    course
        What each lane goes through; the ticks of virtual time unless given.
    """

    def __init__(
        self, config: RunConfig, dataset: Dataset, threads: int | None = None, course: Course | None = None
    ) -> None:
        self.config = config
        self.topology = Topology(config.network)
        self.timing: Timing = timing(config, self.topology)
        self.blocks = assembly.blocks(config, self.topology, self.topology.blocks)
        self.dyads: dict[str, list[Dyads]] = {
            name: assembly.dyads(config, self.topology, self.timing, block) for name, block in self.blocks.items()
        }
        self._dataset = dataset
        self._course = course or self._ticks
        self._dtype = np.dtype(config.dynamics.dtype)
        self._responses = [Response(block, config.seed) for block in self.blocks.values()]
        self._active: list[int] = []
        self._probed: dict[str, Any] = {name: lanes[0].probe for name, lanes in self.dyads.items()}
        self._blas = threadpool_limits(limits=1, user_api="blas")
        self._pool = ThreadPoolExecutor(threads or 1, thread_name_prefix="dyadnet")
        self._seconds: dict[str, float] = {}
        self._totals: dict[str, float] = {}
        self._messages = self._bytes = 0
        self._layout = Layout(self.topology)
        self._joiner = Joiner(self.topology, [list(self.blocks)])

    def relax(self, relaxation: Relaxation) -> Outcome:
        """Settle one minibatch, each lane on a thread; see `Engine.relax`."""
        started = time.perf_counter()
        for block in self.blocks.values():
            block.couple(relaxation.couplings, ideal=relaxation.ideal)
        for name, lanes in self.dyads.items():
            lanes[0].probe = self._probed[name] if relaxation.probed else None
        slices = lane_slices(relaxation.rows, self.config.dynamics.lanes)
        self._active = list(slices)
        phases = self._map(lambda lane: self._settle(lane, relaxation, slices[lane]), self._active)
        if relaxation.exact:
            beta, count = relaxation.phases[-1].beta, len(relaxation.rows)
            for block in self.blocks.values():
                block.gradients(self.lanes(block.name), beta, count)
                block.keep()
        active = {name: self.lanes(name) for name in self.blocks}
        found = columns(self._layout, self._map(block_report, active.values()), active)
        self._spend("relax", started)
        spent = Spent("process", seconds={ACTIVITIES[name]: seconds for name, seconds in self._totals.items()})
        reports = self._joiner.joined([Share(*found, spent)])
        self._messages += reports.total("messages")
        self._bytes += reports.total("values") * self._dtype.itemsize
        return Outcome(tuple(phases), reports)

    def learn(self, update: Update) -> None:
        """Every block takes a Hebbian step, each on a thread; see `Engine.learn`."""
        started = time.perf_counter()
        self._map(lambda block: block.learn(self.lanes(block.name), update), self.blocks.values())
        self._spend("learn", started)

    def spectral_radius(self, couplings: tuple[float, ...], symmetric: bool, iterations: int) -> float:
        """ρ by a power iteration over the blocks; see `Engine.spectral_radius`."""
        started = time.perf_counter()
        for block in self.blocks.values():
            block.couple(couplings)
        radius = spectral_radius(self._responses, symmetric, iterations)
        self._spend("radius", started)
        return radius

    def objective(self, beta: float) -> float:
        """The saddle objective, mean over samples; see `Engine.objective`."""
        total = 0.0
        samples = 0
        for lane in self._active:
            dyads = {name: lanes[lane] for name, lanes in self.dyads.items()}
            before = {name: dyad.snapshot() for name, dyad in dyads.items()}
            for dyad in dyads.values():
                for message in dyad.announce():
                    dyads[message.target].mail.hold(message)
            total += sum(objective.contribution(dyad, beta) for dyad in dyads.values())
            samples += next(iter(dyads.values())).A.shape[0]
            for name, dyad in dyads.items():
                dyad.restore(before[name])
        return total / samples

    def lanes(self, name: str) -> list[Dyads]:
        """A block's neurons in every lane of the latest relaxation."""
        return [self.dyads[name][lane] for lane in self._active]

    def gradients(self, beta: float, samples: int) -> dict[str, dict[str, NDArray[Any]]]:
        """The Hebbian gradient of the latest relaxation, by block and parameter; written again by the next call."""
        return {name: block.gradients(self.lanes(name), beta, samples) for name, block in self.blocks.items()}

    def norms(self) -> dict[str, float]:
        """Norm of each block's weights; see `Engine.norms`."""
        return {name: block.norm() for name, block in self.blocks.items()}

    def weights_sha256(self) -> str:
        """Hash of all weights; see `Engine.weights_sha256`."""
        return hashlib.sha256(b"".join(block.digest() for block in self.blocks.values())).hexdigest()

    def parameters(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Every block's own arrays; see `Engine.parameters`."""
        return {name: block.parameters() for name, block in self.blocks.items()}

    def load(self, parameters: Mapping[str, Mapping[str, NDArray[Any]]]) -> None:
        """Give every block its parameters; see `Engine.load`."""
        for name, block in self.blocks.items():
            block.load(parameters[name])

    def show(self, dataset: Dataset) -> None:
        """Take the rows of later relaxations from another data set of the same sizes of a sample.

        Raises
        ------
        ConfigError
            If its features or classes do not fit the network.
        """
        check_fit(self.config, dataset.shape)
        self._dataset = dataset

    def find(self, store: Store, nonce: str) -> None:
        """Read one file; see `Engine.find`."""
        find(store, nonce, "the process")

    def save(self, store: Store, folder: str) -> dict[str, File]:
        """Write every block's file, each on a thread; see `Engine.save`."""
        files = self._map(lambda kept: save(store, folder, *kept), self._kept())
        return dict(zip(self.blocks, files, strict=True))

    def restore(self, store: Store, checkpoint: Manifest) -> None:
        """Put every block back; see `Engine.restore`."""
        for kept in self._kept():
            restore(store, checkpoint, *kept)
        self.take_probes()

    def _kept(self) -> list[tuple[Block, Response, list[Dyads]]]:
        return [(response.block, response, self.dyads[response.block.name]) for response in self._responses]

    def take_probes(self) -> dict[str, dict[str, Any]]:
        """What the probes recorded; see `Engine.take_probes`."""
        return {name: probe.take() for name, probe in self._probed.items() if probe is not None}

    def machinery(self) -> Machinery:
        """Seconds and traffic since this was last called; messages are handed over in memory, without copies."""
        spent = Machinery(self._seconds, self._messages, self._bytes)
        self._seconds, self._messages, self._bytes = {}, 0, 0
        return spent

    def close(self) -> None:
        """End the threads and give BLAS its own back."""
        self._pool.shutdown()
        self._blas.restore_original_limits()

    def _settle(self, lane: int, relaxation: Relaxation, rows: np.ndarray[Any, Any]) -> tuple[PhaseOutcome, ...]:
        """Run one lane's phases."""
        dyads = {name: lanes[lane] for name, lanes in self.dyads.items()}
        self._begin(dyads, Moment(relaxation.number, 0, lane), relaxation, rows)
        return self._course(dyads, relaxation)

    def _ticks(self, dyads: Mapping[str, Dyads], relaxation: Relaxation) -> tuple[PhaseOutcome, ...]:
        """The tick loop, which only this engine has."""
        course = settling(relaxation.phases, self.config.dynamics, self.timing)
        tick = 0
        while not course.done:
            if tick + 1 == course.rule.first_tick:
                for dyad in dyads.values():
                    dyad.enter(
                        course.index, course.phase.beta, course.rule.first_tick, course.average_from, course.phase.side
                    )
            check = course.next_check
            while tick < check:
                tick += 1
                for dyad in dyads.values():
                    for message in dyad.fire(tick):
                        dyads[message.target].receive(message)
            verdict = course.judge([dyad.progress() for dyad in dyads.values()])
            if verdict.kind == "diverged":
                raise DivergedError(verdict.block, tick, verdict.why)
        for dyad in dyads.values():
            dyad.deliver(tick)
        return tuple(course.outcomes)

    def _begin(
        self, dyads: Mapping[str, Dyads], moment: Moment, relaxation: Relaxation, rows: np.ndarray[Any, Any]
    ) -> None:
        for dyad in dyads.values():
            for message in dyad.begin(
                moment, len(rows), relaxation.step, *samples(dyad, relaxation, rows, self._dataset), relaxation.gamma
            ):
                dyads[message.target].receive(message)

    def _map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        items = list(items)
        if len(items) == 1:
            return [work(items[0])]
        return list(self._pool.map(work, items))

    def _spend(self, activity: str, started: float) -> None:
        seconds = time.perf_counter() - started
        for sums in (self._seconds, self._totals):
            sums[activity] = sums.get(activity, 0.0) + seconds


def prepare(config: RunConfig) -> None:
    """Load, or compile, what blocks of a run are going to call, so that no relaxation stands still for it."""
    values = {
        "network": layered(1, [1], 2, lam=0.0),
        "dynamics": {"dtype": config.dynamics.dtype},
        "learning": {"optimiser": config.learning.optimiser.model_dump(), "minibatch": 2},
    }
    split = Split(np.zeros((2, 1)), np.arange(2))
    engine = ReferenceEngine(RunConfig.read(values), Dataset("two", split, split, 1.0, 2))
    couplings = (-1.0,)
    phase = Phase("dyadic", 0.1, 2, fixed=True)
    engine.relax(Relaxation(1, "train", np.arange(2), (phase,), couplings, 0.5))
    engine.learn(Update(0.1, 2, 0.0, 1))
    engine.spectral_radius(couplings, True, 1)
    engine.close()
