"""The engine ``ray``: what the driver does. Entry point of the group ``dyadnet.engines``."""

from __future__ import annotations

import contextlib
import uuid
from typing import Any

from actors.cluster import NAMESPACE, connected, interruptible
from dyadnet.config import RunConfig
from dyadnet.coordinator import Summary, check_fit
from dyadnet.data import Dataset
from dyadnet.errors import DyadnetError
from dyadnet.record import RunFolder
from dyadnet.watcher import Watcher

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
        return _drive(config, dataset, folder, watcher)


def _drive(config: RunConfig, dataset: Dataset, folder: RunFolder, watcher: Watcher) -> Summary:
    import ray
    from ray.exceptions import RayActorError, RayTaskError

    from actors.news import relay
    from actors.shells import CoordinatorActor
    from actors.workers import ActorLostError

    remote = ray.remote(concurrency_groups={"mail": 1, "control": 4})(CoordinatorActor)
    name = f"coordinator-{uuid.uuid4().hex[:12]}"
    stored = ray.put(dataset)
    coordinator = remote.options(
        name=name, namespace=NAMESPACE, num_cpus=0, resources={"node:__internal_head__": 0.001}, max_restarts=0
    ).remote(config, dataset.shape, [stored], folder.name)
    try:
        run = coordinator.run.remote()
        while not ray.wait([run], timeout=0)[0]:
            relay(ray.get(coordinator.news.remote(LISTEN)), folder, watcher)
        summary: Summary = ray.get(run)
        while items := ray.get(coordinator.news.remote(0)):
            relay(items, folder, watcher)
        return summary
    except RayTaskError as problem:
        if isinstance(problem.cause, DyadnetError):
            raise problem.cause from None
        raise
    except RayActorError as problem:
        raise ActorLostError(f"the coordinator died: {' '.join(str(problem).split())[:300]}") from None
    finally:
        _end(coordinator)


def _end(coordinator: Any) -> None:
    import ray

    with contextlib.suppress(Exception):
        ray.get(coordinator.stop.remote(), timeout=5)
    with contextlib.suppress(Exception):
        ray.kill(coordinator)
