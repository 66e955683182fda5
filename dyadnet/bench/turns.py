"""What one state a neuron saves and costs: both compartments of a dyad at once against one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.config import RunConfig
from dyadnet.coordinator import COLD_ITERATIONS
from dyadnet.data import Dataset
from dyadnet.dyads import Dyads
from dyadnet.engine.local import LocalEngine
from dyadnet.overrides import merged
from dyadnet.presets import preset
from dyadnet.relaxation import Phase, Relaxation
from dyadnet.reports import Outcome
from dyadnet.study.plan import placed

EXACT = {"dtype": "float64", "tolerance": 1e-10, "tolerance_difference": 1e-8, "patience": 5000}
TOLERANCES = (1e-3, 1e-4, 1e-5)
CAP = 5000
BETA = 0.1
WARM = 1
"""Epochs of training before anything is measured: a fresh network is no example."""


def measure(data: str, dataset: Dataset, minibatch: int) -> list[dict[str, Any]]:
    """Settle one minibatch of a trained network in both ways, at several tolerances.

    Returns
    -------
    list
        One row a model, way and tolerance: numbers of state a neuron, bytes that settling holds, sweeps, ticks,
        numbers sent, and the cosine of the contrast to the one that both compartments at once give when exact.
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


def working_set(lanes: Sequence[Dyads]) -> int:
    """Bytes that neurons hold while they settle: pre-activations, states, what is held of neighbours, products."""
    return sum(_working_set(lane) for lane in lanes)


def _working_set(lane: Dyads) -> int:
    streams = len(lane.state)
    held = {id(message.payload): message.payload.nbytes for message in lane.held.values()}
    own = lane.A.nbytes * streams + lane.state.nbytes
    products = streams * lane.A.nbytes * len(lane.block.synapses)
    return own + products + sum(held.values())


def _trained(config: RunConfig, dataset: Dataset) -> dict[str, dict[str, NDArray[Any]]]:
    from dyadnet.coordinator import Coordinator

    engine = LocalEngine(config, dataset)
    try:
        Coordinator(config, dataset.shape, engine).run()
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
    """The Hebbian contrast of one minibatch, how it settled, and the bytes that it held."""
    config = RunConfig.read(merged(values, {"dynamics": {"lanes": 1, "patience": CAP} | dynamics}))
    engine = LocalEngine(config, dataset)
    try:
        engine.load(trained)
        couplings = tuple(projection.coupling for projection in config.network.recurrent)
        step = 1.0
        if engine.timing.rule.needs_radius:
            radius = engine.spectral_radius(couplings, engine.timing.symmetric_radius, COLD_ITERATIONS)
            step = engine.timing.rule.step(radius)
        phases = [Phase("free", 0.0, CAP)] if any(kappa > 0 for kappa in couplings) else []
        if way == "at once":
            phases += [Phase("nudged", BETA, CAP)]
        else:
            phases += [Phase("first", BETA, CAP, side=1), Phase("second", BETA, CAP, side=-1)]
        outcome = engine.relax(Relaxation(1, "train", np.arange(minibatch), tuple(phases), couplings, step))
        gradients = [
            gradient.astype(np.float64).reshape(-1)
            for name, block in engine.blocks.items()
            for gradient in block.gradients(engine.dyads[name], BETA, minibatch).values()
        ]
        held = sum(working_set(lanes) for lanes in engine.dyads.values())
        return np.concatenate(gradients), outcome, held
    finally:
        engine.close()


def _cosine(one: NDArray[Any], other: NDArray[Any]) -> float:
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))
