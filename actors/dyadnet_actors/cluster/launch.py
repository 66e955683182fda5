"""The driver's side of the engine ``ray``; entry point of the group ``dyadnet.engines``."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from dyadnet.checkpoint.finding import look
from dyadnet.config import RunConfig
from dyadnet.config.faults import check_homes
from dyadnet.config.recovery import Failure, GaveUpError, Recovery, failures
from dyadnet.data import Dataset
from dyadnet.engines.first_use import announce_compilation
from dyadnet.errors import DyadnetError
from dyadnet.process.commands import command
from dyadnet.process.signals import interruptible
from dyadnet.runs.folder import RunFolder
from dyadnet.runs.loading import check_fit, shape_for
from dyadnet.runs.summary import Summary
from dyadnet.runs.watcher import ProgressCallback
from dyadnet.training.opening import checkpoints_in
from dyadnet.training.stop import Stop, heeding
from dyadnet_actors.cluster.connection import NAMESPACE, connected, lost_with_the_job
from dyadnet_actors.cluster.detach import leave
from dyadnet_actors.cluster.discovery import COORDINATOR
from dyadnet_actors.cluster.watchdog import Watchdog
from dyadnet_actors.coordination.callbacks import answered
from dyadnet_actors.coordination.event_queue import Item, relay
from dyadnet_actors.protocol.failures import CoordinatorLostError, cause_of, check_made

START = 120.0
"""Seconds within which a coordinator must be up."""
LISTEN = 0.5
"""Seconds to wait for news before checking whether the run is over."""


def launch(config: RunConfig, dataset: Dataset, folder: RunFolder, watcher: ProgressCallback) -> Summary:
    """Train with the blocks in Ray actors.

    Raises
    ------
    ConfigError
        If there is no such cluster, or if it has no room.
    RayLostError
        If Ray itself dies or hangs; the message says how to go on.
    DyadnetError
        If a relaxation diverges, or an actor dies or hangs.
    """
    check_fit(config, dataset.sizes)
    if lost_with_the_job(folder.path):
        watcher.warning(
            f"{folder.path} is in the job's copy of its folder, which Ray removes after the job; name another by --out"
        )
    advice = partial(_way_on, config, folder)
    with connected(config.cluster, config.recovery.heartbeat, advice) as watchdog, interruptible():
        from dyadnet_actors.cluster.placement import homes

        check_homes(config.faults, homes(config))
        if config.cluster.detach:
            leave(config, folder, shape_for(config, dataset), _name(), watchdog)
        return _drive(config, dataset, folder, watcher, watchdog)


def _way_on(config: RunConfig, folder: RunFolder) -> str:
    """Return what a user can do once Ray is lost."""
    if not folder.begun:
        return "nothing was trained, and nothing is left of it; give the same command again"
    if checkpoints_in(config, folder.path):
        return f"go on from its last checkpoint with: {command('resume', str(folder.path))}"
    why = "no checkpoint was written yet" if config.checkpoint.enabled else "checkpoints are off"
    return f"{why}, so it cannot be resumed; what was saved is in {folder.path}"


def _drive(
    config: RunConfig, dataset: Dataset, folder: RunFolder, watcher: ProgressCallback, watchdog: Watchdog
) -> Summary:
    """Follow the coordinator, and its successors if it dies, until one reports how the run has ended."""
    import ray

    from dyadnet_actors.hosts.host import prepare

    stored = ray.put(dataset)
    announce_compilation(config, watcher)
    prepare(config)
    stop = Stop()
    with heeding(stop) if _keeps(folder) else contextlib.nullcontext():
        return _attempts(config, dataset, stored, folder, watcher, stop, watchdog)


def _attempts(
    config: RunConfig,
    dataset: Dataset,
    stored: Any,
    folder: RunFolder,
    watcher: ProgressCallback,
    stop: Stop,
    watchdog: Watchdog,
) -> Summary:
    name = _name()
    reached = Reached()
    while True:
        coordinator = _coordinator(name, config, dataset, stored, folder)
        try:
            return _followed(coordinator, config.recovery.heartbeat, folder, watcher, reached, stop, watchdog)
        except CoordinatorLostError as problem:
            # Ray itself may be lost, and the coordinator with it.
            watchdog.confirm()
            lost = problem
        finally:
            if watchdog.well():
                _end(coordinator, name)
        failure = Failure("coordinator", ("the coordinator",), str(lost), reached.minibatch + 1)
        why = Recovery(config.recovery, failures(folder.events())).refuse(failure)
        if why is not None:
            raise lost if why == str(lost) else GaveUpError(why)
        folder.event(failure.plain())
        _rewind(folder)
        watcher.warning(f"{lost}; another one goes on")


def _name() -> str:
    return f"{COORDINATOR}{uuid.uuid4().hex[:12]}"


def _coordinator(name: str, config: RunConfig, dataset: Dataset, stored: Any, folder: RunFolder) -> Any:
    import ray

    from dyadnet_actors.cluster.actors import CoordinatorActor, Driven

    hooked = None if folder.hooks is None else folder.hooks.wanted
    remote = ray.remote(concurrency_groups={"control": 4})(CoordinatorActor)
    return remote.options(
        name=name, namespace=NAMESPACE, num_cpus=0, resources={"node:__internal_head__": 0.001}, max_restarts=0
    ).remote(
        config,
        shape_for(config, dataset),
        folder.name,
        Driven(stored, folder.events(), folder.beginning, hooked),
    )


def _keeps(folder: RunFolder) -> bool:
    return folder.beginning is not None and folder.beginning.store is not None


def _rewind(folder: RunFolder) -> None:
    """Rewind the run to its newest checkpoint, or to its beginning if it has none."""
    beginning = folder.beginning
    if beginning is None or beginning.store is None:
        folder.rewind({})
        return
    found = look(beginning.store, folder.lengths())
    folder.beginning = replace(beginning, start=found.newest, kept=found.kept, unusable=found.unusable)
    folder.rewind({} if found.newest is None else found.newest.lengths)


def _followed(
    coordinator: Any,
    patience: float,
    folder: RunFolder,
    watcher: ProgressCallback,
    reached: Reached,
    stop: Stop,
    watchdog: Watchdog,
) -> Summary:
    """Relay a coordinator's news until its run is over; return the summary.

    Raises
    ------
    CoordinatorLostError
        If the coordinator dies, or does not answer for `patience` seconds.
    RayLostError
        If Ray itself dies or hangs.
    """
    import ray
    from ray.exceptions import GetTimeoutError, RayError, RayTaskError

    def hook(number: int, method: str, arguments: tuple[Any, ...]) -> None:
        coordinator.answer.remote(number, answered(folder.hooks, method, arguments))

    try:
        run = coordinator.run.remote()
        known = halted = False
        while not ray.wait([run], timeout=0)[0]:
            watchdog.check()
            if stop.requested and not halted:
                halted = True
                coordinator.halt.remote()
            # A process takes seconds to start; this is no standstill.
            wait = LISTEN + patience if known else START
            items = watchdog.get(coordinator.news.remote(LISTEN), wait)
            reached.note(items)
            relay(items, folder, watcher, hook)
            known = True
        wait = patience
        while items := watchdog.get(coordinator.news.remote(0), wait):
            relay(items, folder, watcher, hook)
        summary: Summary = ray.get(run)
        return summary
    except RayTaskError as problem:
        if isinstance(problem.cause, DyadnetError):
            raise problem.cause from None
        raise DyadnetError(f"the coordinator failed: {cause_of(problem)}") from problem
    except GetTimeoutError:
        raise CoordinatorLostError(f"the coordinator hangs: no sign of life for {wait:.0f} s") from None
    except RayError as problem:
        check_made(problem, "the coordinator")
        # Not RayActorError alone: a machine that is out of memory, or lost, raises other errors.
        raise CoordinatorLostError(f"the coordinator died: {cause_of(problem)}") from None


class Reached:
    """Tracks the progress of a run from its news."""

    def __init__(self) -> None:
        self.minibatch = 0
        self._of_epoch = 0

    def note(self, items: Iterable[Item]) -> None:
        """Update the progress from news."""
        for name, arguments in items:
            if name == "started":
                self._of_epoch = arguments[1]
            elif name == "minibatch":
                epoch, index = arguments[:2]
                self.minibatch = epoch * self._of_epoch + index + 1


def _end(coordinator: Any, name: str) -> None:
    import ray

    from dyadnet_actors.cluster.placement import release

    with contextlib.suppress(Exception):
        ray.get(coordinator.stop.remote(), timeout=5)
    with contextlib.suppress(Exception):
        ray.kill(coordinator)
    with contextlib.suppress(Exception):
        # A coordinator that died could not release its reservation.
        release(name)
