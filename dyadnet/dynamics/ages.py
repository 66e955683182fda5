"""Mean age of held messages, from clocks, delay laws and losses. The step is tuned to it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dyadnet.config import RunConfig
from dyadnet.dynamics import prospective
from dyadnet.network.topology import Link, Topology
from dyadnet.numerics.rng import Stream
from dyadnet.timing.clocks import Clock
from dyadnet.timing.delays import Constant, Delay, Distance, Geometric, OwnDelay, by_number, sampled

SAMPLES = 4096
"""Number of samples by which the mean age under a registered law is estimated."""


def mean_age(config: RunConfig, topology: Topology, clocks: dict[str, Clock]) -> float:
    """Return the mean age of held messages in ticks, for the pair of neighbouring blocks with the largest age.

    A signal that travels around a loop of two blocks is delayed in both directions, so the mean of both is used. If
    each channel or neuron has its own delay, it is the delay that the run draws.
    """
    largest = 1.0
    for link in topology.links:
        up = _age(config, link, link.pre.name, link.post.name, "state", clocks)
        down = _age(config, link, link.post.name, link.pre.name, "feedback", clocks)
        largest = max(largest, 0.5 * (up + down))
    return largest


def _age(config: RunConfig, link: Link, source: str, target: str, kind: str, clocks: dict[str, Clock]) -> float:
    delay = config.dynamics.delays.get(link.projection.name, config.dynamics.delay)
    channel = config.imperfections.channel_of(link.projection.name)
    clock = clocks[source]
    if not delay.fixed and getattr(delay, "draw", "channel") == "message":
        lost = channel.loss.p, channel.duplication.p
        return prospective.mean_age(distribution(delay), sends=clock.rate, loss=lost[0], duplication=lost[1])
    stream = Stream(config.seed, "delay", f"{source}>{target}", kind)
    by_neuron = getattr(delay, "draw", "channel") == "neuron"
    each = by_number(delay, link, stream) if by_neuron else sampled(delay, stream.at(), 1)
    mean = float(each.mean())
    fixed = np.zeros(round(mean))
    fixed[-1] = 1.0
    age = prospective.mean_age(fixed, sends=clock.rate, loss=channel.loss.p, duplication=channel.duplication.p)
    return age + mean - round(mean)


def distribution(delay: Delay) -> NDArray[np.float64]:
    """Return the probabilities of the delays 1, 2, …, the largest; of a registered law, from `SAMPLES` draws."""
    found = np.zeros(delay.largest)
    assert not isinstance(delay, Distance), "each number has a delay of its own"
    if isinstance(delay, Constant):
        found[-1] = 1.0
    elif isinstance(delay, Geometric):
        found[:] = (1.0 - delay.p) ** np.arange(delay.largest) * delay.p
        found[-1] += 1.0 - found.sum()
    elif isinstance(delay, OwnDelay):
        drawn = sampled(delay, np.random.default_rng(0), SAMPLES)
        found[:] = np.bincount(drawn, minlength=delay.largest + 1)[1:] / SAMPLES
    else:
        found[delay.low - 1 :] = 1.0 / (delay.high - delay.low + 1)
    return found
