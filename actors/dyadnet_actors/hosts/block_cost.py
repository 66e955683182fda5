"""Measures what a block costs on the run's own machine: the real block with real shapes, some firings and an update.

Blocks that have the same work to do cost the same and are measured once. The result only decides which blocks share an
actor, and no bit of a run depends on that.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from dyadnet.config import ProbeSpec, RecordSpec, RunConfig
from dyadnet.config.dynamics import Lockstep
from dyadnet.data import Dataset, Split
from dyadnet.dynamics.request import Phase, Relaxation
from dyadnet.learning.update import Update
from dyadnet.network.topology import Topology
from dyadnet.program import tables as c
from dyadnet.program.sync.crossing import Home
from dyadnet_actors.hosts.host import Host

SWEEPS = 10
"""Sweeps of the timed relaxation, about as many as a relaxation of a run has; one update follows."""
TIMES = 2
"""Number of timed relaxations. The fastest counts, since other work on the machine only slows them down."""
BETA, STEP = 0.1, 0.1


def seconds(host: Host) -> float:
    """Return the time."""
    return time.perf_counter()


def measured(config: RunConfig, meter: Callable[[Host], float] = seconds) -> dict[str, float]:
    """Measure the seconds that each block takes for a relaxation of one lane and the update after it.

    Parameters
    ----------
    meter
        Returns the time in seconds, or anything else that grows with the work that a host has done.
    """
    topology = Topology(config.network)
    known: dict[Any, float] = {}
    costs: dict[str, float] = {}
    for name in topology.blocks:
        work = signature(config, topology, name)
        if work not in known:
            known[work] = _probed(config, topology, name, meter)
        costs[name] = known[work]
    return costs


def signature(config: RunConfig, topology: Topology, name: str) -> Any:
    """Return a value that is equal for blocks with the same work: sizes, couplings, clock and imperfections."""
    spec = topology.blocks[name]
    imperfections, dynamics = config.imperfections, config.dynamics

    def link(projection: Any, size: int) -> Any:
        return size, projection.coupling, str(imperfections.channel_of(projection.name))

    source = topology.input_projection(name)
    return (
        spec.size,
        spec.population.activation,
        tuple(link(found.projection, found.pre.size) for found in topology.afferent(name)),
        tuple(link(found.projection, found.post.size) for found in topology.efferent(name)),
        None if source is None else config.network.inputs,
        spec.population.name == config.network.output,
        str(dynamics.clocks.get(spec.population.name, dynamics.clock)),
        str(imperfections.device_of(name)),
    )


def _probed(config: RunConfig, topology: Topology, name: str, meter: Callable[[Host], float]) -> float:
    """Time one block as a host of its own, whose neighbours always have new messages."""
    others = [other for other in topology.blocks if other != name]
    homes = dict.fromkeys(topology.blocks, 0) | dict.fromkeys(others, 1)
    host = Host(_small(config), Home(0, homes), _samples(config, topology))
    if others:
        host.segments.mirror(1)
    host.group.leave_own_metrics()
    host.join()
    if others:
        _tell(host)
    couplings = tuple(projection.coupling for projection in config.network.recurrent)
    rows, phase = np.arange(_rows(config)), Phase("dyadic", BETA, SWEEPS, fixed=True)
    taken = []
    for number in range(1, 2 + TIMES):
        relaxation = Relaxation(number, "train", rows, (phase,), couplings, STEP)
        began = meter(host)
        host.relax(number, relaxation)
        host.learn(Update(BETA, len(rows), 0.0, number))
        taken.append(meter(host) - began)
    segments = host.segments
    host.close()
    del host
    segments.unmap()
    # The first run includes one-time set-up.
    return min(taken[1:])


def _small(config: RunConfig) -> RunConfig:
    """Return the run's configuration with one lane, in virtual time, without probes and records."""
    rows = _rows(config)
    dynamics = config.dynamics.model_copy(update={"mode": Lockstep(), "lanes": 1})
    learning = config.learning.model_copy(update={"minibatch": rows, "evaluation_batch": rows})
    return config.model_copy(
        update={"dynamics": dynamics, "learning": learning, "probe": ProbeSpec(), "record": RecordSpec()}
    )


def _rows(config: RunConfig) -> int:
    """Return the number of samples of a lane."""
    return -(-config.learning.minibatch // config.dynamics.lanes)


def _samples(config: RunConfig, topology: Topology) -> Dataset:
    """Return as many samples as a lane has, of arbitrary content."""
    rows, outputs = _rows(config), topology.network.by_name[config.network.output].size
    split = Split(_numbers(rows, config.network.inputs), np.arange(rows) % outputs)
    return Dataset("costs", split, split, 1.0, outputs)


def _tell(host: Host) -> None:
    """Pretend that the other host has completed all ticks, with states and feedback that differ between ticks."""
    arena = host.group.arena
    lane = host.group.lane(0)
    numbers, start = lane.memory.X, arena.shared_start(1)
    end = start + host.segments.layout.regions[1].size
    numbers[start:end] = _numbers(1, end - start)[0]
    for row in arena.actual.blocks[len(host.blocks) : len(arena.specs)]:
        slots = range(int(row[c.B_DEPTH]))
        for slot in slots:
            meta = lane.state.meta[int(row[c.B_META]) + slot]
            meta[:] = 0
            meta[[c.M_MEAN_SINCE, c.M_DIFFERENCE_SINCE, c.M_DYADIC]] = slot + 1, slot + 1, 1
    host.segments.tell(1, 0, 2**61)
    # Pretend also that it has received everything that this host sends.
    host.segments.carried(0, 2**61)


def _numbers(rows: int, columns: int) -> np.ndarray[Any, Any]:
    return np.random.Generator(np.random.Philox(0)).random((rows, columns), dtype=np.float32)
