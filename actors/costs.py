"""What a block costs, measured where the run is: the real block on real shapes, for some firings and one update.

Blocks that have the same work to do cost the same and are measured once. What comes out only says which blocks share an
actor, and no bit depends on that.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from dyadnet import assembly
from dyadnet.clocks import Moment, Periodic
from dyadnet.config import RunConfig
from dyadnet.dyads import Dyads
from dyadnet.messages import Kind, Message
from dyadnet.relaxation import Update
from dyadnet.timing import Timing, timing
from dyadnet.topology import Topology

SWEEPS = 10
"""A relaxation has about so many, and ends in one update."""
FIRINGS = 5
"""That are timed twice over, of which the quickest counts: others on the machine only make them slower."""
BUDGET = 0.3
"""Seconds after which a block has fired often enough."""
WINDOW = 120
"""Ticks over which its clock is looked at."""
BETA, STEP = 0.1, 0.1


def measured(config: RunConfig, clock: Callable[[], float] = time.perf_counter) -> dict[str, float]:
    """Seconds that each block takes for a relaxation of one lane, and the update after it.

    Parameters
    ----------
    clock
        Tells the time.
    """
    topology = Topology(config.network)
    found = timing(config, topology)
    known: dict[Any, float] = {}
    costs: dict[str, float] = {}
    with threadpool_limits(limits=1, user_api="blas"):
        for name in topology.blocks:
            work = signature(config, topology, name)
            if work not in known:
                known[work] = _probed(config, topology, found, name, clock)
            costs[name] = known[work]
    return costs


def signature(config: RunConfig, topology: Topology, name: str) -> Any:
    """Equal for blocks that have the same work to do: sizes, couplings, clock and imperfections."""
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


def _probed(config: RunConfig, topology: Topology, found: Timing, name: str, clock: Callable[[], float]) -> float:
    (block,) = assembly.blocks(config, topology, [name]).values()
    always = replace(found, clocks=found.clocks | {name: Periodic()})
    dyads = assembly.dyads(config, topology, always, block)[0]
    dyads.probe = None
    rows = -(-config.learning.minibatch // config.dynamics.lanes)
    inputs = _numbers(rows, config.network.inputs, block.dtype) if block.input_weights is not None else None
    targets = _numbers(rows, block.spec.size, block.dtype) if block.is_output else None
    beginnings, firings, learnings = [], [], []
    for number in (1, 2):
        # What is compiled or made at a first time is there at the second.
        _hear(dyads, rows, number, 0)
        beginnings.append(_seconds(clock, partial(dyads.begin, Moment(number), rows, STEP, inputs, targets)))
        dyads.enter(0, BETA, 1)
        started = clock()
        for tick in range(1, FIRINGS + 1):
            _hear(dyads, rows, number, tick)
            firings.append(_seconds(clock, partial(dyads.fire, tick)))
            if clock() - started > BUDGET:
                break
        learnings.append(_seconds(clock, partial(block.learn, [dyads], Update(BETA, rows, 0.0, 1))))
    return min(beginnings) + SWEEPS * _rate(found, name) * min(firings) + min(learnings)


def _seconds(clock: Callable[[], float], work: Callable[[], Any]) -> float:
    began = clock()
    work()
    return clock() - began


def _rate(found: Timing, name: str) -> float:
    """Firings of a block in a sweep."""
    moment = Moment(1)
    return found.sweep * sum(found.clocks[name].fires(tick, moment) for tick in range(1, WINDOW + 1)) / WINDOW


def _hear(dyads: Dyads, rows: int, number: int, tick: int) -> None:
    """Give a block news of every neighbour, means and differences as far as these are ever sent."""
    block = dyads.block
    for synapses in block.synapses:
        _hold(
            dyads, synapses.source, "state", rows, synapses.link.pre.size, (number, tick), True, synapses.coupling != 0
        )
    for axon in block.axons:
        _hold(dyads, axon.target, "feedback", rows, block.spec.size, (number, tick), axon.coupling != 0, True)


def _hold(
    dyads: Dyads, source: str, kind: Kind, rows: int, size: int, at: tuple[int, int], mean: bool, difference: bool
) -> None:
    streams = mean + difference
    relaxation, tick = at
    payload = _numbers(streams * rows, size, dyads.block.dtype, tick).reshape(streams, rows, size)
    message = Message(source, dyads.name, kind, tick, tick, relaxation, 0, 0, payload, mean, difference, tick, tick)
    dyads.mail.hold(message)


def _numbers(rows: int, columns: int, dtype: np.dtype[Any], seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.Generator(np.random.Philox(seed)).random((rows, columns), dtype=np.float32).astype(dtype)
