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
"""Seconds within which a worker must be up."""
ATTEMPTS = 2
"""Number of workers that may die of one trial, at the same point, before the trial counts as failed."""


class TrialActor:
    """Runs trials in a process that lasts as long as the study, so that loading and compiling happen only once."""

    def ready(self) -> bool:
        """Return True once the actor is up."""
        return True

    def run(self, config: RunConfig, dataset: Dataset, keep: tuple[Keep, ...], place: Path | None) -> Result:
        """Run one trial on one thread; in its folder, if this machine sees the folder too."""
        here = place if place is not None and place.is_dir() else None
        return run_trial(config, dataset, keep, here)


class Pool:
    """A fixed number of workers, and the trial that each is running.

    Parameters
    ----------
    size
        Number of trials that run at a time, one per core.
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
        """Run trials in their order, and report each that ends.

        Parameters
        ----------
        datasets
            Data sets by `data_key` of the trials' configurations.
        place
            Returns the folder where a trial keeps what it needs to resume, if any.
        going
            Called about once a second with the folders of the running trials, by trial number.

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
                    # Ray itself may be lost, and the worker with it.
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
        """End all workers, whatever they are doing; if Ray is lost, its workers end with it."""
        known = [*self._idle, *(worker for worker, _, _ in self._running.values())] if self._watchdog.well() else []
        for worker in known:
            with contextlib.suppress(Exception):
                ray.kill(worker)
        self._idle, self._running = [], {}

    @staticmethod
    def _result(reference: Any) -> tuple[Result | None, str]:
        """Return how a trial ended; if its worker died, None and the cause."""
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
    """Return a key that is equal for runs on the same samples."""
    return config.data.model_dump_json(exclude={"validation"})


def concurrency(wanted: int | None, trials: int) -> int:
    """Return how many trials run at a time on the connected cluster: one per core, unless fewer are wanted.

    Raises
    ------
    ConfigError
        If more are wanted than there are cores.
    """
    cores = int(ray.cluster_resources().get("CPU", 1))
    if wanted is not None and wanted > cores:
        raise ConfigError("--max-concurrent", wanted, f"at most one a core, {cores} here")
    return max(1, min(wanted or cores, trials))
