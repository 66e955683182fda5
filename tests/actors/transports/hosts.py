"""Hosts on threads of one process that talk by the fast transport, as if on one machine or on many."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dyadnet.config import RunConfig
from dyadnet.data import Dataset
from dyadnet.program.sync.crossing import Home
from dyadnet_actors.cluster.life import Life
from dyadnet_actors.cluster.placement import homes
from dyadnet_actors.coordination.engine import ActorEngine
from dyadnet_actors.transports import setup
from dyadnet_actors.transports.identity import Card
from tests.actors.threads import Answered, FutureAnswers


class Shell:
    """What `dyadnet_actors.cluster.actors.BlockActor` is, without Ray."""

    def __init__(self, config: RunConfig, home: Home, dataset: Dataset) -> None:
        self.life = Life(config, home, dataset)
        self.host = self.life.host
        self.greet, self.know, self.ask, self.stop = self.life.greet, self.life.know, self.life.ask, self.life.stop
        self.serve, self.close = self.life.serve, self.life.close

    def introduce(self, others: bool) -> Card:
        """See `BlockActor`."""
        return self.life.introduce("127.0.0.1" if others else None)


class FastWorkers:
    """See `dyadnet_actors.coordination.engine.Workers`."""

    def __init__(self, config: RunConfig, dataset: Dataset, incarnation: int = 0) -> None:
        self.round = 0
        self.homes = where = homes(config)
        count = max(where.values()) + 1
        self.labels = [f"host {index}" for index in range(count)]
        self.shells = [Shell(config, Home(index, where, incarnation), dataset) for index in range(count)]
        self._threads = [ThreadPoolExecutor(1) for _ in self.shells]
        self.desk = setup.desk(config, where)
        setup.acquaint(self.desk, self._call, "127.0.0.1", config)

    def _call(self, method: str, *arguments: Any) -> list[Any]:
        return FutureAnswers(self._submit(lambda shell: getattr(shell, method)(*arguments))).result(60)

    def _submit(self, work: Callable[[Shell], Any]) -> list[Future[Any]]:
        return [thread.submit(work, shell) for thread, shell in zip(self._threads, self.shells, strict=True)]

    def ask(self, method: str, *arguments: Any) -> FutureAnswers:
        """See `Workers`."""
        return FutureAnswers(self._submit(lambda shell: shell.ask(method, *arguments)))

    def come(self) -> list[int]:
        """See `Workers`."""
        return []

    def look(self) -> None:
        """See `Workers`."""

    def inquire(self) -> Answered:
        """See `Workers`."""
        return Answered([host.standing() for host in [shell.host for shell in self.shells]])

    def close(self) -> None:
        """See `Workers`."""
        for shell in self.shells:
            shell.stop()
        for thread in self._threads:
            thread.shutdown()
        for shell in self.shells:
            shell.close()
        self.desk.close()


def open_descriptors() -> int:
    """How many this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))


@contextlib.contextmanager
def machines(*, apart: bool) -> Iterator[None]:
    """Endpoints that are made meanwhile share a machine, or take each other to be on different ones."""
    with pytest.MonkeyPatch.context() as patch:
        if apart:
            names = map(str, itertools.count())
            patch.setattr("dyadnet_actors.transports.identity.machine", lambda: next(names))
        yield


def fast_engine(config: RunConfig, dataset: Dataset, *, apart: bool = False) -> ActorEngine:
    """An engine over such hosts, as many as ``cluster.actors`` says."""
    with machines(apart=apart):
        return ActorEngine(config, FastWorkers(config, dataset))
