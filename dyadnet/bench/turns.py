"""Savings and costs of one state per neuron: both compartments of a dyad at once, compared with one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.config import RunConfig
from dyadnet.config.overrides import merged
from dyadnet.config.presets import preset
from dyadnet.data import Dataset
from dyadnet.dynamics.outcome import Outcome
from dyadnet.dynamics.request import Phase, Relaxation
from dyadnet.engines.block_lane import BlockLane
from dyadnet.engines.local import LocalEngine
from dyadnet.learning.block import Block
from dyadnet.study.plan import placed
from dyadnet.training.coordinator import COLD_ITERATIONS

EXACT = {"dtype": "float64", "tolerance": 1e-10, "tolerance_difference": 1e-8, "patience": 5000}
TOLERANCES = (1e-3, 1e-4, 1e-5)
CAP = 5000
BETA = 0.1
WARM = 1
"""Epochs of training before the measurement, because an untrained network is not representative."""


def measure(data: str, dataset: Dataset, minibatch: int) -> list[dict[str, Any]]:
    """Settle one minibatch of a trained network in both ways, at several tolerances.

    Returns
    -------
    list
        One row per model, way and tolerance: state variables per neuron, bytes held during settling, sweeps, ticks,
        numbers sent, and the cosine of the contrast to the exact one of both compartments at once.
    """
    rows: list[dict[str, Any]] = []
    for model in ("sshm", "hm"):
        values = merged(preset(data, model), {"engine": "local"})
        trained = _trained(RunConfig.read(placed(values, "learning.epochs", WARM)), dataset)
        exact, _, _ = _contrast(values, dataset, minibatch, trained, "at once", EXACT)
        for way in ("at once", "in turn"):
            for tolerance in TOLERANCES:
                found, outcome, held = _contrast(values, dataset, minibatch, trained, way, {"tolerance": tolerance})
                rows.append(
                    {
                        "model": model,
                        "way": way,
                        "tolerance": tolerance,
                        "states": 2 if way == "at once" else 1,
                        "bytes": held,
                        "sweeps": outcome.sweeps,
                        "ticks": outcome.ticks,
                        "values": outcome.reports.total("values"),
                        "settled": not outcome.capped,
                        "cosine": _cosine(found, exact),
                    }
                )
    return rows


def working_set(engine: LocalEngine, name: str) -> int:
    """Return the bytes that a block's neurons hold while they settle: pre-activations, states, products, messages."""
    return sum(_working_set(engine.blocks[name], lane) for lane in engine.lanes(name))


def _working_set(block: Block, lane: BlockLane) -> int:
    A, state = lane.A, lane.state
    streams, itemsize = len(state), A.itemsize
    heard = sum(link.pre.size for link in block.topology.afferent(block.name))
    states = heard * (streams if any(synapses.coupling for synapses in block.synapses) else 1)
    feedback = sum((streams - (axon.coupling == 0)) * block.spec.size for axon in block.axons)
    own, products = A.nbytes * streams + state.nbytes, streams * A.nbytes * len(block.synapses)
    return own + products + len(A) * itemsize * (states + feedback)


def _trained(config: RunConfig, dataset: Dataset) -> dict[str, dict[str, NDArray[Any]]]:
    from dyadnet.training.coordinator import Coordinator

    engine = LocalEngine(config, dataset)
    try:
        Coordinator(config, dataset.sizes, engine).run()
        return {
            block: {key: array.copy() for key, array in named.items()} for block, named in engine.parameters().items()
        }
    finally:
        engine.close()


def _contrast(
    values: dict[str, Any],
    dataset: Dataset,
    minibatch: int,
    trained: dict[str, dict[str, NDArray[Any]]],
    way: str,
    dynamics: dict[str, Any],
) -> tuple[NDArray[Any], Outcome, int]:
    """Return the Hebbian contrast of one minibatch, the outcome of its relaxation, and the bytes that it held."""
    config = RunConfig.read(merged(values, {"dynamics": {"lanes": 1, "patience": CAP} | dynamics}))
    engine = LocalEngine(config, dataset)
    try:
        engine.load(trained)
        couplings = tuple(projection.coupling for projection in config.network.recurrent)
        step = 1.0
        if engine.timing.rule.needs_radius:
            radius = engine.spectral_radius(couplings, engine.timing.operator, COLD_ITERATIONS)
            step = engine.timing.rule.step(radius)
        phases = [Phase("free", 0.0, CAP)] if any(kappa > 0 for kappa in couplings) else []
        if way == "at once":
            phases += [Phase("nudged", BETA, CAP)]
        else:
            phases += [Phase("first", BETA, CAP, side=1), Phase("second", BETA, CAP, side=-1)]
        outcome = engine.relax(Relaxation(1, "train", np.arange(minibatch), tuple(phases), couplings, step))
        gradients = [
            gradient.astype(np.float64).reshape(-1)
            for named in engine.gradients(BETA, minibatch).values()
            for gradient in named.values()
        ]
        held = sum(working_set(engine, name) for name in engine.blocks)
        return np.concatenate(gradients), outcome, held
    finally:
        engine.close()


def _cosine(one: NDArray[Any], other: NDArray[Any]) -> float:
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))
