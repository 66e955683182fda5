"""Measures the smallest time constant with which free-running actors come to rest, against their messages' delay.

A trained network settles repeatedly on the same samples, with every block as an actor in real time, each time with
another time constant T. The edge of stability lies between the largest T that never comes to rest and the smallest T
that does. In theory, it is where a mode of T·ȧ(t) = −a(t) + e·a(t−δ) stops decaying
(`dyadnet.dynamics.step_size.time_constant`). Here, e are the eigenvalues of F·W at the equilibria, as in
`dyadnet.analysis.delays`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import ray

from dyadnet.analysis import stability
from dyadnet.analysis.assembled import assemble
from dyadnet.analysis.delays import AT_REST
from dyadnet.analysis.trained import Trained, ideal, inputs_of, network_at
from dyadnet.config import ClusterSpec, RunConfig
from dyadnet.data import Dataset, Split
from dyadnet.dynamics.step_size import time_constant
from dyadnet.runs.weights import Parameters
from dyadnet_actors.cluster.watchdog import Watchdog
from dyadnet_actors.limits.actor import LimitsActor

PATIENCE = 300.0
"""Time for the network to come to rest, in multiples of the delay: near the edge, this takes long."""
LEAST = 2.0
"""Minimum time for the network to come to rest, in seconds."""


@dataclass(frozen=True)
class Edge:
    """The edge of stability at one delay; times in milliseconds.

    Attributes
    ----------
    asked
        Delay that the channels were given, in addition to that of links and actors.
    delay
        Measured δ at the edge: the age of what an update reads plus half of the interval between updates.
    radius
        Largest |e| of F·W at the equilibria.
    theory
        Smallest stable T at this δ, in theory.
    unstable, stable
        Largest T found that does not come to rest, and smallest that does.
    """

    asked: float
    delay: float
    radius: float
    theory: float
    unstable: float
    stable: float


@dataclass(frozen=True)
class RealTimeExperiment:
    """A trained network, and how to settle it.

    Attributes
    ----------
    config, parameters, couplings
        The network, its weights and its κ, negative or positive, but all equal.
    dataset
        Data set whose test part holds the samples on which the network settles.
    cluster
        Cluster and placement of the actors.
    """

    config: RunConfig
    parameters: Parameters
    couplings: tuple[float, ...]
    dataset: Dataset
    cluster: ClusterSpec

    @property
    def sign(self) -> int:
        """Sign of κ."""
        return -1 if self.couplings[0] < 0 else 1

    def at(self, delay: float) -> RunConfig:
        """Return the configuration of free-running actors under a delay in milliseconds."""
        budget = max(LEAST, PATIENCE * delay / 1000.0)
        mode = {"kind": "free", "delay": delay, "time_constant": 1.0, "budget": budget}
        network = network_at(self.config.network, self.couplings)
        values = {"network": network, "data": self.config.data, "engine": "ray", "seed": self.config.seed}
        return RunConfig.read(values | {"dynamics": {"mode": mode}, "cluster": self.cluster})


def prepared(
    config: RunConfig,
    parameters: Parameters,
    couplings: tuple[float, ...],
    dataset: Dataset,
    samples: int,
    cluster: ClusterSpec,
) -> tuple[RealTimeExperiment, float]:
    """Return the experiment on the first test samples, and the largest |e| at their equilibria."""
    inputs, labels = inputs_of(dataset, "test", np.arange(samples))
    shown = replace(dataset, test=Split(inputs, labels), train=Split(inputs, labels), scale=1.0)
    trained = Trained(ideal(config, couplings, **AT_REST), parameters)
    try:
        slopes = trained.settle(inputs, labels).slopes
        network = assemble(trained.engine.blocks)
    finally:
        trained.close()
    radius = max(float(np.abs(stability.modes(network, slope)).max()) for slope in slopes)
    return RealTimeExperiment(config, parameters, couplings, shown, cluster), radius


def measure(
    experiment: RealTimeExperiment,
    radius: float,
    delays: Sequence[float],
    watchdog: Watchdog,
    told: Callable[[str], None] = lambda what: None,
) -> list[Edge]:
    """Measure the edge at every delay; needs a connection to Ray.

    Parameters
    ----------
    radius
        Largest |e|, as `prepared` returns it; above 1.
    watchdog
        Watchdog of the connection.
    told
        Called once per delay with the result.

    Raises
    ------
    RayLostError
        If Ray dies or hangs.
    """
    ratio = time_constant(radius, experiment.sign, 1.0)
    stored = ray.put(experiment.dataset)
    remote = ray.remote(LimitsActor)
    found = []
    for asked in delays:
        actor = remote.options(num_cpus=0, resources={"node:__internal_head__": 0.001}).remote(
            experiment.at(asked), [stored], experiment.parameters, experiment.couplings
        )
        try:
            pair, delay = watchdog.get(actor.edge.remote(ratio, asked), math.inf)
        finally:
            if watchdog.well():
                ray.kill(actor)
        if pair is None:
            told(f"{asked:g} ms: no edge found")
            continue
        found.append(Edge(asked, delay, radius, delay * ratio, *pair))
        told(f"{asked:g} ms: {pair[0]:.3g} to {pair[1]:.3g} ms")
    return found
