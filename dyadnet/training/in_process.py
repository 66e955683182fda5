"""The engine ``local``: trains in this process; entry point of the group ``dyadnet.engines``."""

from __future__ import annotations

from dyadnet.baselines import engine_in_process
from dyadnet.config import ClusterSpec, RunConfig
from dyadnet.config.dynamics import FreeRunning
from dyadnet.config.recovery import RecoverySpec
from dyadnet.data import Dataset
from dyadnet.engines.first_use import announce_compilation
from dyadnet.errors import ConfigError
from dyadnet.runs.folder import RunFolder
from dyadnet.runs.loading import check_fit, shape_for
from dyadnet.runs.summary import Summary
from dyadnet.runs.watcher import ProgressCallback
from dyadnet.telemetry.endpoint import exposed
from dyadnet.training.checkpoint_writer import CheckpointWriter
from dyadnet.training.coordinator import Coordinator, Outset
from dyadnet.training.stop import Stop, heeding


def launch(config: RunConfig, dataset: Dataset, folder: RunFolder, watcher: ProgressCallback) -> Summary:
    """Train in this process; the entry point ``local`` of the group ``dyadnet.engines``.

    Raises
    ------
    ConfigError
        If settings are given that this engine cannot honour: free-running mode, cluster, recovery or faults.
    """
    if isinstance(config.dynamics.mode, FreeRunning):
        raise ConfigError("dynamics.mode", "free", "the engine local has virtual time only; use the engine ray")
    for field, value in config.cluster:
        if value != getattr(ClusterSpec(), field):
            raise ConfigError(f"cluster.{field}", value, "only the engine ray has a cluster; leave it out, or use ray")
    if config.recovery != RecoverySpec():
        legal = "only the engine ray restarts what dies; leave it out, or use ray"
        raise ConfigError("recovery", config.recovery.model_dump(exclude_defaults=True), legal)
    fired = folder.fired()
    for fault in config.faults:
        if str(fault) not in fired:
            raise ConfigError("faults", str(fault), "only the engine ray has actors to hit; leave it out, or use ray")
    shape = shape_for(config, dataset)
    check_fit(config, shape)
    announce_compilation(config, watcher)
    with exposed(config, folder.name, watcher.note, folder.machinery) as observer:
        engine = engine_in_process(config, dataset)
        initial = None if folder.beginning is None else folder.beginning.initial
        try:
            if folder.beginning is None or folder.beginning.store is None:
                summary = Coordinator(config, shape, engine, folder, watcher, observer, outset=Outset(initial)).run()
            else:
                stop = Stop()
                keeper = CheckpointWriter(config, folder.beginning, folder, watcher, observer, stop, folder.fired)
                with heeding(stop):
                    summary = Coordinator(
                        config, shape, engine, folder, watcher, observer, keeper, Outset(initial, folder.hooks)
                    ).run()
        finally:
            engine.close()
        # Call this before the metrics endpoint lingers.
        folder.ended(summary)
        return summary
