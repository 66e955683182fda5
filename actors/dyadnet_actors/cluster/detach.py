"""Leaves a run to its cluster, and comes back to it."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dyadnet.data import is_own
from dyadnet.data.places import ENVIRONMENT
from dyadnet.errors import DyadnetError, LeftError, UsageError
from dyadnet.process.commands import command

if TYPE_CHECKING:
    from dyadnet.config import RunConfig
    from dyadnet.data import DataShape
    from dyadnet.runs.folder import RunFolder
    from dyadnet.runs.watcher import ProgressCallback
    from dyadnet_actors.cluster.detached import Ending
    from dyadnet_actors.cluster.discovery import ClusterRun
    from dyadnet_actors.cluster.watchdog import Watchdog

LISTEN = 0.5
"""Seconds to wait for news before checking whether the run is over."""
PATIENCE = 60.0
"""Seconds for which a coordinator that is being restarted need not answer."""


def leave(config: RunConfig, folder: RunFolder, shape: DataShape, name: str, watchdog: Watchdog) -> None:
    """Begin or resume a run that needs no driver, and leave it once it trains.

    Raises
    ------
    LeftError
        Always at the end; the message says how to come back.
    RayLostError
        If the cluster is lost meanwhile.
    DyadnetError
        If the run does not begin.
    """
    import ray

    from dyadnet_actors.cluster.actors import CoordinatorActor, Detached
    from dyadnet_actors.cluster.connection import NAMESPACE

    out = folder.path.absolute()
    config = _from_anywhere(config)
    remote = ray.remote(concurrency_groups={"control": 4})(CoordinatorActor)
    coordinator = remote.options(
        name=name,
        namespace=NAMESPACE,
        lifetime="detached",
        num_cpus=0,
        resources={"node:__internal_head__": 0.001},
        max_restarts=config.recovery.actor_failures,
    ).remote(config, shape, str(out), Detached(resumed=folder.beginning is not None))
    try:
        while watchdog.get(coordinator.introduction.remote(), math.inf) is None:
            ending = watchdog.get(coordinator.ending.remote(), math.inf)
            if ending is not None:
                coordinator.dismiss.remote()
                raise _error(ending)
            time.sleep(LISTEN / 5)
    except BaseException:
        if not watchdog.lost:
            ray.kill(coordinator)
        raise
    where = config.cluster.address
    back = command("attach", out.name, "--address", str(where))
    raise LeftError(f"the run continues on its cluster; come back with: {back}")


def come_back(run: str, address: str, watcher: ProgressCallback, *, stop: bool) -> dict[str, Any]:
    """Follow a run that was left to its cluster until it ends; return its summary.

    Parameters
    ----------
    run
        The run's folder, the folder's name, or the name of the run's coordinator.
    address
        Ray cluster: HOST:PORT, or auto for one on this machine.
    stop
        End the run after the present minibatch, with a checkpoint.

    Raises
    ------
    LeftError
        If the user leaves the run again by Ctrl-C.
    DyadnetError
        The error with which the run ended.
    """
    from dyadnet.config import ClusterSpec
    from dyadnet.process.signals import interruptible
    from dyadnet_actors.cluster.connection import connected
    from dyadnet_actors.cluster.detached import read_ending

    ending = read_ending(Path(run))
    if ending is None:
        try:
            with connected(ClusterSpec(address=address)) as watchdog, interruptible():
                ending = _followed(run, watcher, watchdog, stop=stop)
        except KeyboardInterrupt:
            back = command("attach", run, "--address", address)
            raise LeftError(f"left; the run goes on: {back}") from None
    if "summary" not in ending:
        raise _error(ending)
    return dict(ending["summary"])


def _followed(run: str, watcher: ProgressCallback, watchdog: Watchdog, *, stop: bool) -> Ending:
    """Show the progress of a run until it ends; return how it ended."""
    import ray
    from ray.exceptions import ActorUnavailableError, GetTimeoutError, RayActorError

    from dyadnet_actors.cluster.connection import NAMESPACE
    from dyadnet_actors.cluster.detached import read_ending
    from dyadnet_actors.coordination.event_queue import relay

    chosen = _chosen(Path(run).name)
    if not chosen.glance.get("detached", True):
        raise UsageError(f"run {chosen.name} has a driver, which shows it already; dyadnet top {chosen.name} does too")
    handle = ray.get_actor(chosen.coordinator, namespace=NAMESPACE)
    silent_since: float | None = None
    introduced = False
    while True:
        try:
            if stop:
                watchdog.get(handle.halt.remote(), PATIENCE)
                stop = False
            if not introduced:
                first = watchdog.get(handle.introduction.remote(), PATIENCE)
                relay([first] if first is not None else [], None, watcher)
                introduced = first is not None
            # In this order, because no news follows the end.
            ending: Ending | None = watchdog.get(handle.ending.remote(), PATIENCE)
            items = watchdog.get(handle.news.remote(0 if ending is not None else LISTEN), PATIENCE)
            relay(items, None, watcher)
            silent_since = None
        except (ActorUnavailableError, GetTimeoutError):
            silent_since = silent_since or time.monotonic()
            if time.monotonic() - silent_since > PATIENCE:
                raise DyadnetError(f"the coordinator of {chosen.name} does not answer for {PATIENCE:g} s") from None
            time.sleep(LISTEN)
            continue
        except RayActorError:
            ending = read_ending(Path(str(chosen.glance.get("out", run))))
            if ending is None:
                again = command("resume", str(chosen.glance.get("out", run)))
                legal = f"go on from its last checkpoint with: {again}"
                raise DyadnetError(f"run {chosen.name} is gone from the cluster; {legal}") from None
        if ending is not None:
            handle.dismiss.remote()
            return ending


def _chosen(name: str) -> ClusterRun:
    """Return the run with a name; wait while a run is being restarted, which does not report its name."""
    from dyadnet_actors.cluster import discovery as cluster

    deadline = time.monotonic() + PATIENCE
    while True:
        found = cluster.runs()
        try:
            return cluster.chosen(found, name)
        except UsageError:
            if all(run.glance for run in found) or time.monotonic() > deadline:
                raise
            time.sleep(LISTEN)


def _from_anywhere(config: RunConfig) -> RunConfig:
    """Return the configuration with absolute paths, which hold in every process."""
    data, checkpoint = config.data, config.checkpoint
    place = data.dir or (Path(os.environ[ENVIRONMENT]) if ENVIRONMENT in os.environ else None)
    name = str(Path(data.name).absolute()) if is_own(data.name) else data.name
    data = data.model_copy(update={"name": name, "dir": None if place is None else place.absolute()})
    if checkpoint.folder is not None and "://" not in checkpoint.folder:
        checkpoint = checkpoint.model_copy(update={"folder": str(Path(checkpoint.folder).absolute())})
    return config.model_copy(update={"data": data, "checkpoint": checkpoint})


def _error(ending: Ending) -> DyadnetError:
    """Return the error with which a run ended, as it would have been raised here."""
    problem = UsageError(ending["why"]) if ending.get("never_began") else DyadnetError(ending["why"])
    problem.exit_code = ending["exit_code"]
    return problem
