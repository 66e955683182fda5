"""Hosts on threads of one process: everything of the actors but Ray."""

from __future__ import annotations

import queue
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from actors import wire
from actors.engine import ActorEngine
from actors.host import Host
from actors.inbox import Decision, Envelope, Inbox
from actors.judges import LockstepJudge
from actors.placement import homes
from actors.post import Home
from actors.standing import Told
from actors.transport import Report, Transport
from dyadnet.config import RunConfig
from dyadnet.data import Dataset


class ThreadTransport:
    """Letters go from inbox to inbox, packed as on any wire."""

    def __init__(self, inboxes: Mapping[int, Inbox], report: Callable[[Report], None]) -> None:
        self._inboxes = inboxes
        self._report = report

    def send(self, host: int, envelope: Envelope) -> int:
        """See `actors.transport.Transport`."""
        blob = wire.seal(envelope)
        self._inboxes[host].put(wire.unseal(blob))
        return len(blob)

    def report(self, report: Report) -> None:
        """See `Transport`."""
        self._report(report)

    def flush(self) -> None:
        """See `Transport`."""

    def convene(self, judge: LockstepJudge | None) -> None:
        """See `Transport`: the coordinator judges."""

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """See `Transport`."""
        return np.empty(shape, dtype)


class FutureAnswers:
    """See `actors.engine.Answers`."""

    def __init__(self, futures: list[Future[Any]]) -> None:
        self._futures = futures

    def check(self) -> None:
        """See `Answers`."""
        for future in self._futures:
            if future.done():
                future.result()

    def result(self, timeout: float) -> list[Any]:
        """See `Answers`."""
        return [future.result(timeout) for future in self._futures]


class Answered:
    """See `actors.lookout.Inquiry`."""

    def __init__(self, told: list[Told]) -> None:
        self._told = told

    def complete(self, timeout: float = 0.0) -> bool:
        """See `Inquiry`."""
        return True

    def answers(self) -> list[Told]:
        """See `Inquiry`."""
        return self._told


class ThreadWorkers:
    """See `actors.engine.Workers`."""

    def __init__(
        self,
        config: RunConfig,
        dataset: Dataset,
        incarnation: int = 0,
        wrap: Callable[[ThreadTransport], Transport] = lambda transport: transport,
    ) -> None:
        self.homes = where = homes(config)
        count = max(where.values()) + 1
        self.labels = [f"host {index}" for index in range(count)]
        self.inboxes = {index: Inbox() for index in range(count)}
        self._reports: queue.SimpleQueue[Report] = queue.SimpleQueue()
        transport = wrap(ThreadTransport(self.inboxes, self._reports.put))
        self.hosts = [
            Host(config, Home(index, where, incarnation), dataset, transport, self.inboxes[index])
            for index in range(count)
        ]
        self.round = 0
        self.costs: dict[str, float] = {}
        self._threads = [ThreadPoolExecutor(1) for _ in self.hosts]

    def ask(self, method: str, *arguments: Any) -> FutureAnswers:
        """See `Workers`."""
        pairs = zip(self._threads, self.hosts, strict=True)
        return FutureAnswers([thread.submit(getattr(host, method), *arguments) for thread, host in pairs])

    def decide(self, decision: Decision) -> None:
        """See `Workers`."""
        for inbox in self.inboxes.values():
            inbox.put(decision)

    def report(self, timeout: float) -> Report:
        """See `Workers`."""
        return self._reports.get(timeout=timeout)

    def look(self) -> None:
        """See `Workers`."""

    def inquire(self) -> Answered:
        """See `Workers`."""
        return Answered([host.standing() for host in self.hosts])

    def close(self) -> None:
        """See `Workers`."""
        for inbox in self.inboxes.values():
            inbox.close()
        for thread in self._threads:
            thread.shutdown()


def threaded(config: RunConfig, dataset: Dataset) -> ActorEngine:
    """An engine over hosts on threads, as many as ``cluster.actors`` says."""
    return ActorEngine(config, ThreadWorkers(config, dataset))
