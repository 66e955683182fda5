"""A run that continues after failures: carries out what `dyadnet.config.recovery` decides."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dyadnet.checkpoint.resume_point import ResumePoint
from dyadnet.config import RunConfig
from dyadnet.config.faults import Faults
from dyadnet.config.recovery import Failure, GaveUpError, Recovery, failures
from dyadnet.data import DataShape
from dyadnet.errors import ConfigError
from dyadnet.runs import record_lines
from dyadnet.runs.folder import Recorder
from dyadnet.runs.hooks import Hooks
from dyadnet.runs.summary import Summary
from dyadnet.runs.watcher import ProgressCallback
from dyadnet.telemetry.snapshot import Snapshot
from dyadnet.training.checkpoint_writer import CheckpointWriter
from dyadnet.training.coordinator import Coordinator, Outset
from dyadnet.training.stop import Stop
from dyadnet_actors.cluster.workers import RayWorkers
from dyadnet_actors.coordination.engine import ActorEngine
from dyadnet_actors.protocol.failures import FailedError
from dyadnet_actors.protocol.stall_diagnosis import Diagnosis


@dataclass(frozen=True, slots=True)
class Past:
    """The state from which a run continues.

    Attributes
    ----------
    events
        Earlier events of the run.
    beginning
        Where checkpoints go and where the run starts; None if there are no checkpoints, so that a failure restarts the
        run.
    hooks
        Calls the run's callbacks; None if there are none.
    """

    events: Sequence[Mapping[str, Any]] = ()
    beginning: ResumePoint | None = None
    hooks: Hooks | None = None


class RecoveringRun:
    """Trains; after a failure, begins a new life of all actors and resumes from the last checkpoint.

    Parameters
    ----------
    config, shape
        The run, and the sizes of its data.
    workers
        Its actors, not started yet.
    recorder, watcher
        Receivers of the record and of the progress.
    snapshot
        Receives the metrics.
    past
        State from which the run continues.
    stop
        Tells whether the run is to end at the next opportunity.
    """

    def __init__(
        self,
        config: RunConfig,
        shape: DataShape,
        workers: RayWorkers,
        recorder: Recorder,
        watcher: ProgressCallback,
        snapshot: Snapshot,
        past: Past | None = None,
        stop: Stop | None = None,
    ) -> None:
        self._config = config
        self._shape = shape
        self._workers = workers
        self._recorder = recorder
        self._watcher = watcher
        self._snapshot = snapshot
        past = past or Past()
        fired = [event["fault"] for event in past.events if event["kind"] == "fault"]
        self._recovery = Recovery(config.recovery, failures(past.events))
        for failure in failures(past.events):
            snapshot.failed(failure)
        self._faults = Faults(config.faults, fired, self._fires)
        self._keeper: CheckpointWriter | None = None
        beginning = past.beginning
        self._outset = Outset(None if beginning is None else beginning.initial, past.hooks)
        if beginning is not None and beginning.store is not None:
            self._keeper = CheckpointWriter(
                config, beginning, recorder, watcher, snapshot, stop, lambda: self._faults.fired
            )
        self._stopped = False

    def run(self) -> Summary:
        """Train to the end.

        Raises
        ------
        FailedError
            If the run may not recover from a failure.
        GaveUpError
            If there were too many failures, or if there is no room to restart the actors.
        """
        try:
            self._placed(self._workers.start(self._watcher.warning))
        except FailedError as problem:
            start = None if self._keeper is None else self._keeper.newest
            self._go_on(problem, 1 if start is None else start.position.updates + 1, self._workers.round, None)
        while True:
            engine = ActorEngine(
                self._config, self._workers, self._faults, self._watcher.warning, self._stalls, self._recorder.trace
            )
            coordinator = Coordinator(
                self._config,
                self._shape,
                engine,
                self._recorder,
                self._watcher,
                self._snapshot,
                self._keeper,
                self._outset,
            )
            try:
                return coordinator.run()
            except FailedError as problem:
                self._go_on(problem, coordinator.updates + 1, engine.round, engine.lookout.unresolved)

    def stop(self) -> None:
        """End all actors; `run` then raises an error."""
        self._stopped = True
        self._workers.close()

    def _go_on(self, problem: FailedError, minibatch: int, number: int, stall: Diagnosis | None) -> None:
        """Begin a new life of all actors, or raise the reason why not.

        Parameters
        ----------
        stall
            Diagnosis of the standstill by which the failure was first noticed, if any.
        """
        noticed = time.monotonic()
        while not self._stopped:
            casualties = self._workers.casualties(problem)
            who = [self._workers.labels[host] for host in sorted(casualties.hosts)]
            failure = Failure("node" if casualties.nodes else problem.what, tuple(who), str(problem), minibatch)
            why = self._recovery.refuse(failure)
            if why == str(problem):
                raise problem
            if why is not None:
                raise GaveUpError(why)
            self._recorder.event(failure.plain())
            self._snapshot.failed(failure)
            anew = f"{' and '.join(who)} {'starts' if len(who) == 1 else 'start'} anew"
            self._watcher.warning(f"{problem}; {anew}, and the run goes on from {self._last()}")
            try:
                places = self._workers.revive(casualties, self._recovery.incarnation, number)
            except FailedError as again:
                problem = again
                continue
            except ConfigError as no_room:
                raise GaveUpError(f"{problem}; what is left of the cluster is not enough: {no_room}") from None
            newest = None if self._keeper is None else self._keeper.newest
            self._recorder.rewind({} if newest is None else newest.lengths)
            if stall is not None:
                # The rewind has removed the stall from the record, and the repetition will not contain it.
                self._recorder.machinery(record_lines.stall(stall.plain()))
            self._placed(places)
            seconds = time.monotonic() - noticed
            self._recorder.machinery({**record_lines.recovery(self._recovery.incarnation, seconds)})
            return
        raise problem

    def _stalls(self, found: Diagnosis) -> None:
        """Record and report why nothing moves."""
        self._recorder.machinery(record_lines.stall(found.plain()))
        self._watcher.warning(f"nothing has moved for {found.still:.1f} s: {found.text}")

    def _last(self) -> str:
        newest = None if self._keeper is None else self._keeper.newest
        return "its beginning" if newest is None else f"its checkpoint of minibatch {newest.position.updates}"

    def _placed(self, actors: Mapping[str, Mapping[str, Any]]) -> None:
        """Record where the actors run."""
        line = record_lines.placement(actors, self._workers.costs)
        self._recorder.machinery(line)
        self._snapshot.machinery(line)

    def _fires(self, fault: str) -> None:
        """Record a fault just before it happens, since it may end this process."""
        self._recorder.event({"kind": "fault", "fault": fault})
        self._recorder.settle()
