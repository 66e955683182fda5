"""Short free-running runs on threads that leave a trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dyadnet.config import RunConfig
from dyadnet.config.overrides import merged
from dyadnet.data import Dataset, load
from dyadnet.runs.trace import TraceWriter
from dyadnet.training.coordinator import Coordinator
from dyadnet_actors.coordination.engine import ActorEngine
from tests.actors.threads import ThreadWorkers

SETTINGS: dict[str, Any] = {
    "network": {"layered": {"inputs": 64, "hidden": [14, 12], "outputs": 10, "gain": 1.4, "lam": 0.0}},
    "dynamics": {"mode": {"kind": "free", "settle": False, "updates": 6, "budget": 2.0}},
    "data": {"name": "digits", "limit_train": 60, "limit_test": 20},
    "learning": {"epochs": 2, "minibatch": 20},
    "engine": "ray",
    "probe": {},
}


def settings(trace: Path, **sections: Any) -> RunConfig:
    """A short run that is traced, with other settings over it."""
    return RunConfig.read(merged(SETTINGS | {"record": {"trace": str(trace)}}, sections))


def digits(config: RunConfig) -> Dataset:
    """What it is trained on."""
    return load("digits").limited(config.data.limit_train, config.data.limit_test)


def traced(config: RunConfig) -> str:
    """Train on threads, write the trace, and return the hash of the weights."""
    dataset = digits(config)
    assert config.record.trace is not None
    writer = TraceWriter(config.record.trace, config)
    engine = ActorEngine(config, ThreadWorkers(config, dataset), trace=writer.append)
    try:
        summary = Coordinator(config, dataset.sizes, engine).run()
    finally:
        engine.close()
    writer.finish(summary.weights_sha256)
    return summary.weights_sha256
