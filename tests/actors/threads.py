"""Hosts on threads of one process: everything of the actors but Ray."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from dyadnet.config import RunConfig
from dyadnet.data import Dataset
from dyadnet.program.sync.crossing import Home
from dyadnet_actors.cluster.placement import homes
from dyadnet_actors.coordination.engine import ActorEngine
from dyadnet_actors.hosts.host import Host, prepare
from dyadnet_actors.hosts.shared_memory import join
from dyadnet_actors.protocol.host_status import Told

Spoil = Callable[[bytes], list[bytes]]
"""What comes in place of a packet."""


class FutureAnswers:
    """See `dyadnet_actors.coordination.engine.Answers`."""

    def __init__(self, futures: list[Future[Any]]) -> None:
        self._futures = futures

    def check(self) -> None:
        """See `Answers`."""
        for future in self._futures:
            if future.done():
                future.result()

    def result(self, timeout: float) -> list[Any]:
        """See `Answers`."""
        self.check()
        return [future.result(timeout) for future in self._futures]


class Answered:
    """See `dyadnet_actors.coordination.unresponsive.Inquiry`."""

    def __init__(self, told: list[Told]) -> None:
        self._told = told

    def complete(self, timeout: float = 0.0) -> bool:
        """See `Inquiry`."""
        return True

    def answers(self) -> list[Told]:
        """See `Inquiry`."""
        return self._told


class ThreadWorkers:
    """See `dyadnet_actors.coordination.engine.Workers`.

    Parameters
    ----------
    carried
        Whether hosts share no memory, so that carriers take what they send.
    spoil
        What becomes of a packet on its way then.
    """

    def __init__(
        self,
        config: RunConfig,
        dataset: Dataset,
        incarnation: int = 0,
        *,
        carried: bool = False,
        spoil: Spoil = lambda packet: [packet],
    ) -> None:
        self.homes = where = homes(config)
        count = max(where.values()) + 1
        self.labels = [f"host {index}" for index in range(count)]
        placed = [Home(index, where, incarnation) for index in range(count)]
        # What takes a minute to compile is no standstill.
        prepare(config)
        self.hosts = [Host(config, home, dataset) for home in placed]
        self._join(carried, spoil)
        self.round = 0
        self.costs: dict[str, float] = {}
        self._threads = [ThreadPoolExecutor(1) for _ in self.hosts]

    def _join(self, carried: bool, spoil: Spoil) -> None:
        hosts = self.hosts
        if not carried:
            join([host.segments for host in hosts])
        for host in hosts:
            others = [other.home.index for other in hosts if other is not host]
            if carried:
                for other in others:
                    host.segments.mirror(other)
            host.join()

        def sender(origin: int) -> Callable[[int, bytes], int]:
            def send(target: int, packet: bytes) -> int:
                carrier = hosts[target].carrier
                assert carrier is not None
                for one in spoil(packet):
                    carrier.take(origin, one)
                return len(packet)

            return send

        if carried and len(hosts) > 1:
            carriers = []
            for host in hosts:
                others = [other.home.index for other in hosts if other is not host]
                carriers.append(host.carrier_to(others, sender(host.home.index)))
            for host, carrier in zip(hosts, carriers, strict=True):
                host.carry(carrier)

    def ask(self, method: str, *arguments: Any) -> FutureAnswers:
        """See `Workers`."""
        pairs = zip(self._threads, self.hosts, strict=True)
        return FutureAnswers([thread.submit(getattr(host, method), *arguments) for thread, host in pairs])

    def come(self) -> list[int]:
        """See `Workers`."""
        return []

    def look(self) -> None:
        """See `Workers`."""

    def inquire(self) -> Answered:
        """See `Workers`."""
        return Answered([host.standing() for host in self.hosts])

    def stop(self) -> None:
        """End what every host is doing."""
        for host in self.hosts:
            host.stop()

    def close(self) -> None:
        """See `Workers`."""
        self.stop()
        for thread in self._threads:
            thread.shutdown()
        for host in self.hosts:
            host.close()
            host.segments.unmap()


def threaded(config: RunConfig, dataset: Dataset, *, carried: bool = False) -> ActorEngine:
    """An engine over hosts on threads, as many as ``cluster.actors`` says."""
    return ActorEngine(config, ThreadWorkers(config, dataset, carried=carried))
