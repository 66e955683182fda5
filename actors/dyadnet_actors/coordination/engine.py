"""The coordinator's side of the actors: asks hosts to settle, and merges their answers.

A plain class without Ray: `Workers` hides how the hosts are reached.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from dyadnet.checkpoint.manifest import File, Manifest
from dyadnet.config import RunConfig
from dyadnet.config.dynamics import FreeRunning
from dyadnet.config.faults import Fault, Faults
from dyadnet.dynamics.outcome import Joiner, Outcome
from dyadnet.dynamics.request import Relaxation, lane_slices
from dyadnet.dynamics.spectral_radius import Operator
from dyadnet.dynamics.step_size import REAL_AGE
from dyadnet.dynamics.virtual_time import Timing, timing
from dyadnet.engines.protocol import PerformanceRecord
from dyadnet.files.store import Store
from dyadnet.learning.update import Update
from dyadnet.network.topology import Topology
from dyadnet.numerics.sums import added
from dyadnet.program.sync.crossing import by_host
from dyadnet.runs.trace import recorded
from dyadnet_actors.coordination.unresponsive import Inquiry, ResponseMonitor
from dyadnet_actors.protocol.failures import StalledError
from dyadnet_actors.protocol.pace import Pacer
from dyadnet_actors.protocol.stall_diagnosis import Diagnosis

POLL = 0.5
"""Seconds of silence after which to check that every actor is alive."""


class Answers(Protocol):
    """The answers of all hosts to one question."""

    def check(self) -> None:
        """Raise an error if any host raised one or died."""

    def result(self, timeout: float) -> list[Any]:
        """Return the answers in host order.

        Raises
        ------
        TimeoutError
            If an answer is missing after `timeout` seconds.
        """


class Workers(Protocol):
    """The hosts of one network, as the coordinator sees them."""

    @property
    def labels(self) -> list[str]:
        """A name for each host that a user recognises."""

    @property
    def homes(self) -> Mapping[str, int]:
        """Host of every block, by index."""

    def ask(self, method: str, *arguments: Any) -> Answers:
        """Call a method on every host; each host runs its calls in order."""

    def come(self) -> list[int]:
        """Return the progress of each host as numbers that never decrease; empty if it is not known."""

    @property
    def round(self) -> int:
        """Last round of the hosts' previous life."""

    def look(self) -> None:
        """Raise an error if a host is dead, hung or cut off from another. This is fast; call it often."""

    def inquire(self) -> Inquiry:
        """Ask every host what it is doing or waiting for, without waiting for the answers."""

    def close(self) -> None:
        """End all hosts."""


def _span(timing: Timing) -> float:
    """Return the part of δ over which prospective neurons take a difference; 0 if neurons are not prospective."""
    return timing.span / REAL_AGE


class ActorEngine:
    """Implements `dyadnet.engines.protocol.Engine` over hosts.

    Parameters
    ----------
    config
        The run.
    workers
        Its hosts.
    faults
        Faults to inject; none by default.
    warn
        Called with a warning about a fault that could not happen.
    stalled
        Called with a diagnosis if nothing moves.
    trace
        Receives every relaxation in the format of a trace, if the run is traced.

    Attributes
    ----------
    lookout
        Monitors the hosts.
    """

    def __init__(
        self,
        config: RunConfig,
        workers: Workers,
        faults: Faults | None = None,
        warn: Callable[[str], None] = lambda text: None,
        stalled: Callable[[Diagnosis], None] = lambda diagnosis: None,
        trace: Callable[[bytes], None] = lambda record: None,
    ) -> None:
        self._trace = trace
        self.config = config
        self.topology = Topology(config.network)
        self.timing = timing(config, self.topology)
        self._workers = workers
        self._patience = config.cluster.timeout
        self._faults = faults or Faults(())
        self._warn = warn
        self._round = workers.round
        self._lanes: dict[int, int] = {}
        self._update: Update | None = None
        mode = config.dynamics.mode
        self._pacer = Pacer(mode, _span(self.timing)) if isinstance(mode, FreeRunning) else None
        # Free-running hosts wait for nobody.
        patience = config.recovery.stalled if self._pacer is None else float("inf")
        self.lookout = ResponseMonitor(workers, patience, stalled)
        self._seconds: dict[str, float] = {}
        self._messages = self._values = 0
        self._joiner = Joiner(self.topology, by_host(workers.homes), config.imperfections.counters)

    @property
    def round(self) -> int:
        """Number of the last round that was begun."""
        return self._round

    def relax(self, relaxation: Relaxation) -> Outcome:
        """Settle one minibatch; see `Engine.relax`."""
        started = time.perf_counter()
        slices = lane_slices(relaxation.rows, self.config.dynamics.lanes)
        self._lanes = {lane: len(rows) for lane, rows in slices.items()}
        number = self._open()
        update, self._update = self._update, None
        faults = self._faults.due(relaxation.minibatch)
        pace = None if self._pacer is None else self._pacer.pace(relaxation.step, len(relaxation.rows))
        told = self._result(self._workers.ask("relax", number, relaxation, update, faults, pace))
        if self._pacer is not None:
            self._pacer.note([found.delays for found in told])
        outcomes = tuple(told[0].phases)
        self._spend("relax", started)
        scripts = [found.script for found in told if found.script is not None]
        if scripts:
            self._trace(recorded(relaxation.number, relaxation.minibatch, outcomes[0], scripts))
        reports = self._joiner.joined([found.share for found in told])
        self._messages += reports.total("messages")
        self._values += reports.total("values")
        outcome = Outcome(outcomes, reports)
        self._missed(faults, outcome)
        return outcome

    def learn(self, update: Update) -> None:
        """Make every block take a Hebbian step; see `Engine.learn`.

        The update travels with the next request, whatever its kind.
        """
        self._update = update

    def spectral_radius(self, couplings: tuple[float, ...], operator: Operator, iterations: int) -> float:
        """Compute ρ by a power iteration over the blocks; see `Engine.spectral_radius`."""
        started = time.perf_counter()
        # All hosts have computed the same value.
        found = float(self._result(self._ask("spectrum", self._open(), couplings, operator, iterations))[0])
        self._spend("radius", started)
        return found

    def objective(self, beta: float) -> float:
        """Compute the saddle objective, mean over samples; see `Engine.objective`."""
        parts = self._result(self._ask("objective", self._open(), beta))
        total = 0.0
        for lane in self._lanes:
            contributions = {name: value for part in parts for name, value in part[lane].items()}
            total += added(contributions[name] for name in self.topology.blocks)
        return total / sum(self._lanes.values())

    def norms(self) -> dict[str, float]:
        """Norm of each block's weights; see `Engine.norms`."""
        return self._by_block("norms")

    def weights_sha256(self) -> str:
        """Hash of all weights; see `Engine.weights_sha256`."""
        return hashlib.sha256(b"".join(self._by_block("digests").values())).hexdigest()

    def parameters(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Every block's parameters; see `Engine.parameters`."""
        return self._by_block("parameters")

    def load(self, parameters: Mapping[str, Mapping[str, NDArray[Any]]]) -> None:
        """Give every block its parameters; see `Engine.load`."""
        self._result(self._ask("load", parameters))

    def find(self, store: Store, nonce: str) -> None:
        """Make every host read one file; see `Engine.find`."""
        self._result(self._ask("find", store, nonce))

    def save(self, store: Store, folder: str) -> dict[str, File]:
        """Make every host write its blocks' files; see `Engine.save`."""
        return self._by_block("save", store, folder)

    def restore(self, store: Store, checkpoint: Manifest) -> None:
        """Make every host restore its blocks; see `Engine.restore`."""
        self._update = None
        self._result(self._ask("restore", store, checkpoint))

    def take_probes(self) -> dict[str, dict[str, Any]]:
        """Return what the probes recorded; see `Engine.take_probes`."""
        found = self._result(self._ask("take_probes"))
        merged = {name: series for part in found for name, series in part.items()}
        return {name: merged[name] for name in self.topology.blocks if name in merged}

    def machinery(self) -> PerformanceRecord:
        """Return seconds and traffic since the last call; traffic on the wire is listed with its sending actor."""
        parts = self._result(self._ask("machinery"))
        values = self._values * (4 if self.config.dynamics.dtype == "float32" else 8)
        actors = dict(zip(self._workers.labels, parts, strict=True))
        pace = {}
        if self._pacer is not None:
            pacer = self._pacer
            seconds = {"delay": pacer.delay, "longest": pacer.longest, "time_constant": pacer.last.time_constant}
            pace = {f"{name}_ms": 1e3 * value for name, value in seconds.items()}
        spent = PerformanceRecord(self._seconds, self._messages, values, actors, pace)
        self._seconds, self._messages, self._values = {}, 0, 0
        return spent

    def close(self) -> None:
        """End all hosts."""
        self._workers.close()

    def _open(self) -> int:
        self._round += 1
        return self._round

    def _missed(self, faults: Sequence[Fault], outcome: Outcome) -> None:
        """Warn of faults whose tick never came."""
        for fault in faults:
            ticks = sum(phase.ticks for phase in outcome.lanes[0])
            if self._pacer is not None:
                ticks = min(outcome.reports.of(name).updates for name in fault.blocks)
            if fault.tick > ticks:
                self._warn(f"fault {fault} could not happen: the minibatch was settled at tick {ticks}")

    def _result(self, answers: Answers) -> list[Any]:
        deadline = time.monotonic() + self._patience
        self.lookout.moved()
        come = self._workers.come()
        while True:
            try:
                return answers.result(POLL)
            except TimeoutError:
                if (now := self._workers.come()) != come:
                    come, deadline = now, time.monotonic() + self._patience
                    self.lookout.moved()
                self.lookout.look()
                if time.monotonic() > deadline:
                    deadline = self._stalled()

    def _ask(self, method: str, *arguments: Any) -> Answers:
        update, self._update = self._update, None
        if update is not None:
            self._result(self._workers.ask("learn", update))
        return self._workers.ask(method, *arguments)

    def _stalled(self) -> float:
        """Return a new deadline if the hosts are busy with long work; else raise `StalledError`."""
        found = self.lookout.last()
        if found.still < self._patience / 2:
            return time.monotonic() + self._patience
        raise StalledError(f"nothing has happened for {self._patience:g} s (cluster.timeout); {found.text}")

    def _by_block(self, method: str, *arguments: Any) -> dict[str, Any]:
        found = {name: value for part in self._result(self._ask(method, *arguments)) for name, value in part.items()}
        return {name: found[name] for name in self.topology.blocks}

    def _spend(self, activity: str, started: float) -> None:
        self._seconds[activity] = self._seconds.get(activity, 0.0) + time.perf_counter() - started
