"""Choose the engine that trains a run in this process."""

from __future__ import annotations

from dyadnet.baselines.backprop import BackpropEngine
from dyadnet.config import RunConfig
from dyadnet.data import Dataset
from dyadnet.engines.local import LocalEngine


def engine_in_process(config: RunConfig, dataset: Dataset, threads: int | None = None) -> LocalEngine | BackpropEngine:
    """Create the engine of a baseline if the run is one, else the local engine.

    Parameters
    ----------
    threads
        See `dyadnet.engines.local.LocalEngine`.
    """
    return LocalEngine(config, dataset, threads) if config.baseline is None else BackpropEngine(config, dataset)
