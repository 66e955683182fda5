"""Faults on purpose hit the host they are meant for, at their tick, and nobody else."""

from __future__ import annotations

import pytest

from dyadnet.config import RunConfig
from dyadnet.config.faults import Faults
from dyadnet.data import load
from dyadnet.engines.local import LocalEngine
from dyadnet.training.coordinator import Coordinator
from dyadnet_actors.coordination.engine import ActorEngine
from dyadnet_actors.hosts.fault_injector import FaultInjector
from dyadnet_actors.hosts.host import Host
from tests.actors.coordination.test_lockstep import Notes, record, settings_of
from tests.actors.threads import ThreadWorkers


class StruckError(Exception):
    """Stands for the end of a process."""


class Strikes:
    """Implements `dyadnet_actors.hosts.fault_injector.Effects` for a thread."""

    def kill(self) -> None:
        """See `Effects`."""
        raise StruckError("killed")

    def hang(self) -> None:
        """See `Effects`."""
        raise StruckError("hung")


def workers(config: RunConfig) -> ThreadWorkers:
    """Hosts on threads, whose faults end no process."""
    found = ThreadWorkers(config, load("digits").limited(60, 20))
    for host in found.hosts:
        host._sabotage._effects = Strikes()
    return found


def settings(*faults: str) -> RunConfig:
    """Three hosts of a chain."""
    return RunConfig.read(settings_of(faults=list(faults), dynamics__fixed=True, probe={}))


def lane(host: Host) -> int:
    """The tick that a host's first lane has come to."""
    return host._lanes[0].tick


@pytest.mark.parametrize("kind", ["kill", "hang"])
@pytest.mark.parametrize("tick", [1, 5, 8])
def test_it_happens_before_its_tick_of_its_minibatch(kind: str, tick: int) -> None:
    config = settings(f"{kind}:block=h2,minibatch=2,tick={tick}")
    hosts = workers(config)
    recorded: list[str] = []
    engine = ActorEngine(config, hosts, Faults(config.faults, record=recorded.append))
    coordinator = Coordinator(config, load("digits").limited(60, 20).sizes, engine, Notes())
    with pytest.raises(StruckError):
        coordinator.run()
    assert coordinator.updates == 1
    assert recorded == [str(config.faults[0])]
    assert lane(hosts.hosts[1]) == tick - 1
    engine.close()


def test_a_straggler_changes_no_bit() -> None:
    config = settings("slow:block=h1,factor=3,minibatch=2,tick=2")
    data = load("digits").limited(60, 20)
    local = RunConfig.read(settings_of(dynamics__fixed=True, probe={}))
    hosts = workers(config)
    assert record(config, data, ActorEngine(config, hosts, Faults(config.faults))) == record(
        local, data, LocalEngine(local, data)
    )
    assert [host._slowness for host in hosts.hosts] == [3.0, 1.0, 1.0]


def test_a_fault_whose_tick_never_comes_is_told_of() -> None:
    config = settings("kill:block=h2,minibatch=2,tick=400")
    hosts = workers(config)
    told: list[str] = []
    engine = ActorEngine(config, hosts, Faults(config.faults), told.append)
    record(config, load("digits").limited(60, 20), engine)
    assert told == ["fault kill:block=h2,minibatch=2,tick=400 could not happen: the minibatch was settled at tick 24"]


def test_only_hosts_of_the_blocks_are_hit() -> None:
    config = settings("cut:link=h1:h2,minibatch=1,tick=3")
    cut: dict[int, list[int]] = {}
    for host in workers(config).hosts:
        cut[host.home.index] = []
        sabotage = FaultInjector(host.home, Strikes(), lambda factor: None, cut[host.home.index].append)
        sabotage.arm(config.faults)
        sabotage.reach(2)
        assert cut[host.home.index] == []
        sabotage.reach(3)
        sabotage.reach(4)
    assert cut == {0: [1], 1: [0], 2: []}
