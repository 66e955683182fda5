"""The engine ``ray``: what the driver does. Entry point of the group ``dyadnet.engines``."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from actors.attach import leave
from actors.cluster import NAMESPACE, connected, interruptible
from actors.failures import CoordinatorLostError
from actors.news import Item, relay
from actors.runs import COORDINATOR
from dyadnet.checkpoint.finding import look
from dyadnet.checkpoint.stop import Stop, heeding
from dyadnet.config import RunConfig
from dyadnet.coordinator import Summary, check_fit
from dyadnet.data import Dataset
from dyadnet.errors import DyadnetError
from dyadnet.faults import check_homes
from dyadnet.record import RunFolder
from dyadnet.recovery import Failure, GaveUpError, Recovery, failures
from dyadnet.watcher import Watcher

START = 120.0
"""Seconds within which a coordinator must have come up."""
LISTEN = 0.5
"""Seconds to wait for news before looking whether the run is over."""


def launch(config: RunConfig, dataset: Dataset, folder: RunFolder, watcher: Watcher) -> Summary:
    """Train with every block in a Ray actor.

    Raises
    ------
    ConfigError
        If there is no such cluster, or no room on it.
    DyadnetError
        If a relaxation diverges, or an actor dies or hangs.
    """
    check_fit(config, dataset.shape)
    with connected(config.cluster), interruptible():
        from actors.placement import homes

        check_homes(config.faults, homes(config))
        if config.cluster.detach:
            leave(config, folder, dataset.shape, _name())
        return _drive(config, dataset, folder, watcher)


def _drive(config: RunConfig, dataset: Dataset, folder: RunFolder, watcher: Watcher) -> Summary:
    """Follow coordinators, one after the other if they die, until one tells how the run has ended."""
    import ray

    stored = ray.put(dataset)
    reached = Reached()
    stop = Stop()
    with heeding(stop) if _keeps(folder) else contextlib.nullcontext():
        return _attempts(config, dataset, stored, folder, watcher, reached, stop)


def _attempts(
    config: RunConfig,
    dataset: Dataset,
    stored: Any,
    folder: RunFolder,
    watcher: Watcher,
    reached: Reached,
    stop: Stop,
) -> Summary:
    name = _name()
    while True:
        coordinator = _coordinator(name, config, dataset, stored, folder)
        try:
            return _followed(coordinator, config.recovery.heartbeat, folder, watcher, reached, stop)
        except CoordinatorLostError as problem:
            lost = problem
        finally:
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

    from actors.shells import CoordinatorActor

    remote = ray.remote(concurrency_groups={"mail": 1, "control": 4})(CoordinatorActor)
    return remote.options(
        name=name, namespace=NAMESPACE, num_cpus=0, resources={"node:__internal_head__": 0.001}, max_restarts=0
    ).remote(config, dataset.shape, [stored], folder.name, folder.events(), folder.beginning)


def _keeps(folder: RunFolder) -> bool:
    return folder.beginning is not None and folder.beginning.store is not None


def _rewind(folder: RunFolder) -> None:
    """Take the run back to its newest checkpoint, or to its beginning if it has none."""
    beginning = folder.beginning
    if beginning is None or beginning.store is None:
        folder.rewind({})
        return
    found = look(beginning.store, folder.lengths())
    folder.beginning = replace(beginning, start=found.newest, kept=found.kept, unusable=found.unusable)
    folder.rewind({} if found.newest is None else found.newest.lengths)


def _followed(
    coordinator: Any, patience: float, folder: RunFolder, watcher: Watcher, reached: Reached, stop: Stop
) -> Summary:
    """Relay what a coordinator tells until its run is over.

    Raises
    ------
    CoordinatorLostError
        If it dies, or does not answer for so many seconds.
    """
    import ray
    from ray.exceptions import GetTimeoutError, RayActorError, RayTaskError

    try:
        run = coordinator.run.remote()
        began = time.monotonic()
        known = halted = False
        while not ray.wait([run], timeout=0)[0]:
            if stop.requested and not halted:
                halted = True
                coordinator.halt.remote()
            # It takes seconds for a process to begin, and those are no standstill.
            wait = LISTEN + patience if known else START
            items = ray.get(coordinator.news.remote(LISTEN), timeout=wait)
            reached.note(items)
            relay(items, folder, watcher)
            known = True
        while items := ray.get(coordinator.news.remote(0), timeout=patience):
            relay(items, folder, watcher)
        summary: Summary = ray.get(run)
        return summary
    except RayTaskError as problem:
        if isinstance(problem.cause, DyadnetError):
            raise problem.cause from None
        raise
    except RayActorError as problem:
        raise CoordinatorLostError(f"the coordinator died: {' '.join(str(problem).split())[:300]}") from None
    except GetTimeoutError:
        took = time.monotonic() - began
        raise CoordinatorLostError(f"the coordinator hangs: no sign of life for {min(took, wait):.0f} s") from None


class Reached:
    """How far a run has come, by what is told of it."""

    def __init__(self) -> None:
        self.minibatch = 0
        self._of_epoch = 0

    def note(self, items: Iterable[Item]) -> None:
        """Something was told."""
        for name, arguments in items:
            if name == "started":
                self._of_epoch = arguments[1]
            elif name == "minibatch":
                epoch, index = arguments[:2]
                self.minibatch = epoch * self._of_epoch + index + 1


def _end(coordinator: Any, name: str) -> None:
    import ray

    from actors.placement import release

    with contextlib.suppress(Exception):
        ray.get(coordinator.stop.remote(), timeout=5)
    with contextlib.suppress(Exception):
        ray.kill(coordinator)
    with contextlib.suppress(Exception):
        # One that died could not do so itself.
        release(name)
