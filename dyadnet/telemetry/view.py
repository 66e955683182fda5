"""The data of the live page: plain values for JSON."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from dyadnet.network.description import Population
from dyadnet.network.topology import Topology
from dyadnet.telemetry.snapshot import Snapshot
from dyadnet.telemetry.web import plain


def view(snapshot: Snapshot) -> dict[str, Any]:
    """Return everything that the live page shows of a run, in its current state."""
    snapshot = snapshot.still()
    found: dict[str, Any] = plain(
        {
            "run": snapshot.run,
            "model": snapshot.model,
            "state": snapshot.state,
            "why": snapshot.why,
            "data": snapshot.config.data.name,
            "engine": snapshot.config.engine,
            "mode": snapshot.config.dynamics.mode.kind,
            "now": time.time(),
            "started": snapshot.started_at,
            "progress": snapshot.progress_at,
            "minibatches": snapshot.minibatches,
            "epoch_minibatches": snapshot.epoch_minibatches,
            "epochs": snapshot.epochs,
            "epoch": snapshot.under_way,
            "training": snapshot.training,
            "ended": snapshot.ended,
            "planned": snapshot.config.learning.epochs,
            "samples": snapshot.parts["train"].samples if "train" in snapshot.parts else 0,
            "loss": snapshot.loss,
            "scores": snapshot.scores,
            "accuracy": snapshot.scores.get("accuracy", {}),
            "settings": snapshot.settings,
            "objective": snapshot.objective,
            "cosine": snapshot.cosine,
            "tolerance": {
                "mean": snapshot.config.dynamics.tolerance,
                "difference": snapshot.config.dynamics.tolerance_difference,
            },
            "network": network(snapshot),
            "blocks": {name: block.plain() for name, block in snapshot.blocks.items()},
            "own": [{"name": one.name, "unit": one.unit, "meaning": one.meaning} for one in snapshot.layout.own],
            "edges": [
                {"edge": edge, "kind": kind, "counts": dict(counts)} for (edge, kind), counts in snapshot.edges.items()
            ],
            "actors": {
                name: {
                    "seconds": dict(spent.seconds),
                    "ages": {source: [sum(bins), total] for source, (bins, total) in spent.ages.items()},
                }
                for name, spent in snapshot.actors.items()
            },
            "curve": snapshot.curve.points,
            "epoch_curve": snapshot.epoch_curve.points,
        }
    )
    return found


def network(snapshot: Snapshot) -> dict[str, Any]:
    """Return the layout of the network under the current couplings."""
    topology = snapshot.topology
    lams = snapshot.settings.get("lambda", [(p.coupling + 1.0) / 2.0 for p in topology.network.recurrent])
    return layout(topology, lams, by_block=snapshot.names.by_block)


def layout(topology: Topology, lams: Sequence[float], *, by_block: bool = True) -> dict[str, Any]:
    """Return the layout of a network for drawing: layers with their blocks, and projections with their λ.

    Parameters
    ----------
    lams
        λ of each projection between populations.
    by_block
        Whether to list a layer's blocks individually.
    """
    net = topology.network
    return {
        "inputs": net.inputs,
        "shape": net.input_shape,
        "layers": [
            {
                "name": population.name,
                "size": population.size,
                "output": population.name == net.output,
                "blocks": [_box(spec.name, spec.size, population) for spec in topology.of_population[population.name]]
                if by_block
                else [_box(population.name, population.size, population)],
            }
            for population in net.populations
        ],
        "projections": [{"pre": p.pre, "post": p.post} for p in net.projections if p.from_input]
        + [{"pre": p.pre, "post": p.post, "lambda": lam} for p, lam in zip(net.recurrent, lams, strict=True)],
    }


def _box(name: str, size: int, population: Population) -> dict[str, Any]:
    """Describe a block, or a layer in place of its blocks; with the shape of its own channels if it has one."""
    shape = None if population.shape is None else [size // population.area, *population.shape[1:]]
    return {"name": name, "size": size, "shape": shape}
