"""A pool of long-lived worker actors that take a study's trials one by one."""

from __future__ import annotations

import contextlib
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError, RayTaskError

from dyadnet.config import RunConfig
from dyadnet.data import Dataset
from dyadnet.errors import ConfigError, DyadnetError
from dyadnet.study.definition import Keep
from dyadnet.study.ongoing import reached
from dyadnet.study.plan import Trial
from dyadnet.study.trial import Result, run_trial
from dyadnet_actors.cluster.watchdog import Watchdog
from dyadnet_actors.protocol.failures import cause_of

START = 120.0
"""Seconds within which a worker must have come up."""
ATTEMPTS = 2
"""Workers that may die of one trial, at the same point, before it counts as failed."""


class TrialActor:
    """Runs trials in a process of its own, as long as the study lasts: loading and compiling is paid for once."""

    def ready(self) -> bool:
        """Whether it is there."""
        return True

    def run(self, config: RunConfig, dataset: Dataset, keep: tuple[Keep, ...], place: Path | None) -> Result:
        """One trial, on one thread; in its folder, if this machine sees it too."""
        here = place if place is not None and place.is_dir() else None
        return run_trial(config, dataset, keep, here)


class Pool:
    """So many workers, and what each is doing.

    Parameters
    ----------
    size
        Trials that run at a time, one on a core each.
    watchdog
        Knows whether Ray is lost.
    actor
        The class of a worker.

    Raises
    ------
    DyadnetError
        If the workers do not come up.
    """

    def __init__(self, size: int, watchdog: Watchdog, actor: type = TrialActor) -> None:
        self._watchdog = watchdog
        self._actor = ray.remote(num_cpus=1, max_restarts=0)(actor)
        self._idle: list[Any] = [self._actor.remote() for _ in range(size)]
        self._running: dict[Any, tuple[Any, Trial, Path | None]] = {}
        self._await(self._idle)

    def run(
        self,
        trials: Sequence[Trial],
        datasets: Mapping[str, Dataset],
        ended: Callable[[Trial, Result], None],
        place: Callable[[Trial], Path | None] = lambda trial: None,
        going: Callable[[Mapping[int, Path | None]], None] = lambda under_way: None,
    ) -> None:
        """Run trials in their order, and tell of each that ends.

        Parameters
        ----------
        datasets
            By `data_key` of the trials' configurations.
        place
            Where a trial is to keep what it goes on from.
        going
            Is told about once a second which trials are under way, by number, and where each keeps that.

        Raises
        ------
        RayLostError
            If Ray dies or hangs.
        """
        stored = {key: ray.put(dataset) for key, dataset in datasets.items()}
        waiting = deque(trials)
        deaths: Counter[tuple[int, int]] = Counter()
        while waiting or self._running:
            while waiting and self._idle:
                trial = waiting.popleft()
                worker = self._idle.pop()
                folder = place(trial)
                reference = worker.run.remote(trial.config, stored[data_key(trial.config)], trial.keep, folder)
                self._running[reference] = (worker, trial, folder)
            ready, _ = ray.wait(list(self._running), num_returns=1, timeout=1.0)
            self._watchdog.check()
            going({trial.number: folder for _, trial, folder in self._running.values()})
            for reference in ready:
                worker, trial, folder = self._running.pop(reference)
                result, death = self._result(reference)
                point = (trial.number, reached(folder))
                if result is None:
                    # It may be Ray that is lost, and the worker with it.
                    self._watchdog.confirm()
                    deaths[point] += 1
                    worker = self._actor.remote()
                    self._await([worker])
                self._idle.append(worker)
                if result is None and deaths[point] < ATTEMPTS:
                    waiting.appendleft(trial)
                    continue
                ended(trial, result or Result("failed", f"its process died ({ATTEMPTS} times): {death}", {}))

    def close(self) -> None:
        """End all workers, whatever they are doing; those of a Ray that is lost end with it."""
        known = [*self._idle, *(worker for worker, _, _ in self._running.values())] if self._watchdog.well() else []
        for worker in known:
            with contextlib.suppress(Exception):
                ray.kill(worker)
        self._idle, self._running = [], {}

    @staticmethod
    def _result(reference: Any) -> tuple[Result | None, str]:
        """How a trial ended; None if its worker died, and of what."""
        try:
            return ray.get(reference), ""
        except RayTaskError as problem:
            return Result("failed", cause_of(problem), {}), ""
        except RayError as problem:
            return None, cause_of(problem)

    @staticmethod
    def _await(workers: list[Any]) -> None:
        try:
            ray.get([worker.ready.remote() for worker in workers], timeout=START)
        except GetTimeoutError:
            raise DyadnetError(f"the workers did not come up within {START:g} s; is the cluster busy?") from None
        except RayError as problem:
            raise DyadnetError(f"a worker did not come up: {cause_of(problem)}") from None


def data_key(config: RunConfig) -> str:
    """What two runs on the same samples share."""
    return config.data.model_dump_json(exclude={"validation"})


def concurrency(wanted: int | None, trials: int) -> int:
    """How many trials run at a time on the cluster that is connected: one a core unless fewer are wanted.

    Raises
    ------
    ConfigError
        If more are wanted than there are cores.
    """
    cores = int(ray.cluster_resources().get("CPU", 1))
    if wanted is not None and wanted > cores:
        raise ConfigError("--max-concurrent", wanted, f"at most one a core, {cores} here")
    return max(1, min(wanted or cores, trials))
