"""Measures whether the cost per block stays constant as a chain grows, on the local engine and on a few actors."""

from __future__ import annotations

import itertools
import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ray

from dyadnet.bench.growth import ChainTimer, configuration, data, held
from dyadnet.bench.networks import machine
from dyadnet.engines.local import LocalEngine
from dyadnet_actors.cluster.actors import BlockActor
from dyadnet_actors.cluster.workers import RayWorkers
from dyadnet_actors.coordination.engine import ActorEngine

SHARE = 0.9
"""Fraction of the cluster's CPUs that all actors reserve together.

Every chain has its own actors, and few of them compute at a time.
"""
MINIBATCHES = 5
"""Relaxations over which the coordinator's time is averaged."""
_PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class SpreadChain:
    """Settings that chains of all sizes share.

    Attributes
    ----------
    model
        ``hm``, ``ffm``, ``sshm`` or ``asymmetric``.
    neurons
        Neurons per block.
    minibatch, lanes
        Samples that settle together, and the number of lanes among which they are divided.
    actors
        Maximum number of actors that share the blocks of a chain.
    """

    model: str
    neurons: int
    minibatch: int
    lanes: int
    actors: int


def measure(
    sizes: Sequence[int],
    chain: SpreadChain,
    sweeps: int,
    repetitions: int,
    told: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Measure the costs of each chain: medians over interleaved repetitions.

    Ratios are relative to the first chain of the same repetition.

    Parameters
    ----------
    sizes
        Number of blocks of each chain; the first chain is the reference.
    sweeps
        See `dyadnet.bench.growth.ChainTimer`.
    """
    say = told or (lambda text: None)
    chains = [_Engines(chain, size, len(sizes)) for size in sizes]
    try:
        courses = [engines.start(sweeps) for engines in chains]
        found: dict[str, list[list[float]]] = {"local": [], "actors": [], "coordinator": []}
        # The first repetition warms everything up.
        for repetition in range(repetitions + 1):
            say(f"repetition {repetition} of {repetitions}")
            local = [one.cost(engines.ticks) for engines, (one, _) in zip(chains, courses, strict=True)]
            spread = [other.cost(engines.ticks) for engines, (_, other) in zip(chains, courses, strict=True)]
            spent = [sum(other.relax()[1] for _ in range(MINIBATCHES)) / MINIBATCHES for _, other in courses]
            if repetition:
                for name, values in (("local", local), ("actors", spread), ("coordinator", spent)):
                    found[name].append(values)
        for _, other in courses:
            other.learn()
        shared = [engines.resident() for engines in chains]
    finally:
        for engines in chains:
            engines.close()
    say("memory")
    alone = [held(chain.model, size, chain.neurons, chain.minibatch, chain.lanes) for size in sizes]
    summed = {name: _summed(values) for name, values in found.items()}
    rows = [
        {
            "blocks": size,
            "links_per_block": (size - 1) / size,
            "links_ratio": (size - 1) / size / ((sizes[0] - 1) / sizes[0]),
            "local": {"cost_s": summed["local"][0][index], "ratio": summed["local"][1][index]},
            "actors": {"cost_s": summed["actors"][0][index], "ratio": summed["actors"][1][index]},
            "coordinator": {"cost_s": summed["coordinator"][0][index], "ratio": summed["coordinator"][1][index]},
            "memory": {"local": alone[index], "actors": shared[index]},
        }
        for index, size in enumerate(sizes)
    ]
    return {
        "machine": machine(),
        **asdict(chain),
        "repetitions": repetitions,
        "rows": rows,
        "memory": {
            "local": slopes(sizes, alone),
            "actors": None if None in shared else slopes(sizes, [value or 0 for value in shared]),
        },
    }


def slopes(sizes: Sequence[int], values: Sequence[float]) -> list[float]:
    """Return the growth per additional block between consecutive sizes; equal slopes mean linear growth."""
    pairs = list(zip(sizes, values, strict=True))
    return [(b - a) / (n - m) for (m, a), (n, b) in itertools.pairwise(pairs)]


class _Engines:
    """A chain of `size` blocks on both engines, one of `chains` such chains."""

    def __init__(self, chain: SpreadChain, size: int, chains: int) -> None:
        cpus = SHARE * ray.cluster_resources().get("CPU", 1.0) / (chain.actors * chains)
        cluster = {"actors": min(chain.actors, size), "cpus_per_actor": min(1.0, cpus), "transport": "fast"}
        self.config = configuration(chain.model, size, chain.neurons, chain.minibatch, chain.lanes, cluster)
        self._samples = data(chain.neurons)
        self._local = LocalEngine(self.config, self._samples)
        self.ticks = self._local.timing.sweep
        self._workers = RayWorkers(self.config, ray.put(self._samples), BlockActor)
        self._actors = ActorEngine(self.config, self._workers)
        self._places: dict[str, dict[str, Any]] = {}

    def start(self, sweeps: int) -> tuple[ChainTimer, ChainTimer]:
        """Create the actors; return a timer for the local engine and one for the actors."""
        self._places = self._workers.start(lambda text: None)
        return ChainTimer(self._local, self.config, sweeps), ChainTimer(self._actors, self.config, sweeps)

    def resident(self) -> int | None:
        """Return the memory of all actors in bytes; shared pages are divided among their users. None if unknown."""
        try:
            kilobytes = [
                int(found.group(1))
                for place in self._places.values()
                if (found := _PSS.search(Path(f"/proc/{place['pid']}/smaps_rollup").read_text(encoding="ascii")))
            ]
        except OSError:
            return None
        return 1024 * sum(kilobytes) if len(kilobytes) == len(self._places) else None

    def close(self) -> None:
        """Close both engines."""
        self._actors.close()
        self._local.close()


def _summed(found: Sequence[Sequence[float]]) -> tuple[list[float], list[float]]:
    """Return each chain's median over the repetitions, and the median of its ratio to the first chain."""
    columns = list(zip(*found, strict=True))
    ratios = list(zip(*([value / row[0] for value in row] for row in found), strict=True))
    return [statistics.median(column) for column in columns], [statistics.median(column) for column in ratios]
