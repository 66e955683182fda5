"""The local engine: all blocks in one process, with lanes on the engine's own threads.

BLAS runs on one thread, because its results depend on the number of threads. The engine uses several cores by running
lanes in parallel while a minibatch settles, and the blocks of a lane if there are two cores or more for each. It
computes updates of shares of the blocks in parallel.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, TypeVar

from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from dyadnet.checkpoint.blocks import find, restore, save
from dyadnet.checkpoint.manifest import File, Manifest
from dyadnet.config import RunConfig
from dyadnet.data import Dataset
from dyadnet.dynamics.outcome import Outcome, Reports, ResourceUsage
from dyadnet.dynamics.request import PhaseOutcome, Relaxation
from dyadnet.dynamics.spectral_radius import Operator
from dyadnet.engines.block_lane import BlockLane
from dyadnet.engines.group import Group
from dyadnet.engines.power_iteration import PowerIterate
from dyadnet.engines.protocol import PerformanceRecord
from dyadnet.files.store import Store
from dyadnet.learning.block import Block
from dyadnet.learning.update import Update
from dyadnet.runs.loading import check_fit

Item = TypeVar("Item")
Result = TypeVar("Result")


ACTIVITIES = {"relax": "computing", "learn": "learning", "radius": "radius"}
"""Names of this process's activities as an actor reports them."""


def cores() -> int:
    """Return the number of cores that this process may use, which can be smaller than that of the machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class LocalEngine:
    """Implements `dyadnet.engines.protocol.Engine` in this process.

    Parameters
    ----------
    config
        The run's configuration.
    dataset
        Provides inputs and targets.
    threads
        Number of the engine's threads; default: the number of available cores. It does not affect the results.
    repeats
        Whether the engine replays a recorded run in real time; see `dyadnet.training.replay`.

    Attributes
    ----------
    group
        All blocks, and the operations on them.
    """

    def __init__(
        self, config: RunConfig, dataset: Dataset, threads: int | None = None, *, repeats: bool = False
    ) -> None:
        self.config = config
        self._blas = threadpool_limits(limits=1, user_api="blas")
        self._pool = ThreadPoolExecutor(threads or cores(), thread_name_prefix="dyadnet")
        self.group = Group(config, dataset, self._map, threads or cores(), repeats=repeats)
        self.topology, self.timing, self.blocks = self.group.topology, self.group.timing, self.group.blocks
        self._seconds: dict[str, float] = {}
        self._totals: dict[str, float] = {}
        self._messages = self._bytes = 0

    def relax(self, relaxation: Relaxation) -> Outcome:
        """Settle one minibatch, each lane on a thread; see `Engine.relax`."""
        started = time.perf_counter()
        phases = self.settle(relaxation)
        if relaxation.exact:
            self.group.keep_exact(relaxation.phases[-1].beta, len(relaxation.rows))
        found = self.group.reported()
        self._spend("relax", started)
        spent = ResourceUsage("process", seconds={ACTIVITIES[name]: seconds for name, seconds in self._totals.items()})
        layout = self.group.layout
        reports = Reports(layout.blocks, layout.channels, *found, (spent,), layout.counted, layout.own)
        self._messages += reports.total("messages")
        self._bytes += reports.total("values") * self.group.dtype.itemsize
        return Outcome(tuple(phases), reports)

    def settle(self, relaxation: Relaxation) -> list[tuple[PhaseOutcome, ...]]:
        """Run every lane through its phases and return their outcomes."""
        return self.group.relax(relaxation)

    def learn(self, update: Update) -> None:
        """Apply a Hebbian update to every block, with blocks divided among threads; see `Engine.learn`."""
        started = time.perf_counter()
        self.group.learn(update)
        self._spend("learn", started)

    def spectral_radius(self, couplings: tuple[float, ...], operator: Operator, iterations: int) -> float:
        """Estimate ρ by a power iteration over the blocks; see `Engine.spectral_radius`."""
        started = time.perf_counter()
        radius = self.group.spectral_radius(couplings, operator, iterations)
        self._spend("radius", started)
        return radius

    def objective(self, beta: float) -> float:
        """Return the saddle objective, mean over samples; see `Engine.objective`."""
        return self.group.objective(beta)

    def lanes(self, name: str) -> list[BlockLane]:
        """Return a block's neurons in every lane of the latest relaxation."""
        return self.group.lanes(name)

    def gradients(self, beta: float, samples: int) -> dict[str, dict[str, NDArray[Any]]]:
        """Return the Hebbian gradient of the latest relaxation, by block and parameter. The next call overwrites it."""
        self.group.gradients(beta, samples)
        return {name: block.gradient for name, block in self.blocks.items()}

    def norms(self) -> dict[str, float]:
        """Return the norm of each block's weights; see `Engine.norms`."""
        return {name: block.norm() for name, block in self.blocks.items()}

    def weights_sha256(self) -> str:
        """Return the hash of all weights; see `Engine.weights_sha256`."""
        return hashlib.sha256(b"".join(block.digest() for block in self.blocks.values())).hexdigest()

    def parameters(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Return every block's own arrays, not copies; see `Engine.parameters`."""
        return {name: block.parameters() for name, block in self.blocks.items()}

    def load(self, parameters: Mapping[str, Mapping[str, NDArray[Any]]]) -> None:
        """Set every block's parameters; see `Engine.load`."""
        for name, block in self.blocks.items():
            block.load(parameters[name])

    def show(self, dataset: Dataset) -> None:
        """Use another data set with the same sample sizes for later relaxations.

        Raises
        ------
        ConfigError
            If its features or classes do not fit the network.
        """
        check_fit(self.config, dataset.sizes)
        self.group.dataset = dataset

    def find(self, store: Store, nonce: str) -> None:
        """Check that this process sees the file `nonce`; see `Engine.find`."""
        find(store, nonce, "the process")

    def save(self, store: Store, folder: str) -> dict[str, File]:
        """Write every block's file, in parallel on threads; see `Engine.save`."""
        files = self._map(lambda kept: save(store, folder, *kept), self._kept())
        return dict(zip(self.blocks, files, strict=True))

    def restore(self, store: Store, checkpoint: Manifest) -> None:
        """Restore every block from a checkpoint; see `Engine.restore`."""
        for kept in self._kept():
            restore(store, checkpoint, *kept)
        self.take_probes()

    def _kept(self) -> list[tuple[Block, PowerIterate, list[BlockLane]]]:
        group = self.group
        return [(block, group.response(name), group.all_lanes(name)) for name, block in self.blocks.items()]

    def take_probes(self) -> dict[str, dict[str, Any]]:
        """Return the recordings of the probes and clear them; see `Engine.take_probes`."""
        return {name: probe.take() for name, probe in self.group.probes.items()}

    def machinery(self) -> PerformanceRecord:
        """Return seconds and traffic since the last call. Messages are passed in memory, without copies."""
        spent = PerformanceRecord(self._seconds, self._messages, self._bytes)
        self._seconds, self._messages, self._bytes = {}, 0, 0
        return spent

    def close(self) -> None:
        """Stop the threads and restore the thread limits of BLAS."""
        self._pool.shutdown()
        self.group.close()
        self._blas.restore_original_limits()

    def _map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        items = list(items)
        if len(items) == 1:
            return [work(items[0])]
        futures = [self._pool.submit(work, item) for item in items]
        try:
            return [future.result() for future in futures]
        finally:
            # If one fails, the others may still be at work, and what follows must not meet them.
            wait(futures)

    def _spend(self, activity: str, started: float) -> None:
        seconds = time.perf_counter() - started
        for sums in (self._seconds, self._totals):
            sums[activity] = sums.get(activity, 0.0) + seconds
