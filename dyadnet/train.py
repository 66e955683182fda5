"""Training from a configuration: data, folder, engine, record and plots, from one call."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from dyadnet import data, report
from dyadnet.checkpoint.continuing import continued
from dyadnet.checkpoint.errors import CheckpointError
from dyadnet.checkpoint.opening import opened
from dyadnet.checkpoint.reopening import reopened
from dyadnet.config import RunConfig
from dyadnet.coordinator import Summary, check_fit
from dyadnet.errors import ConfigError, RunFolderError, UsageError
from dyadnet.overrides import merged
from dyadnet.record import CONFIG, PROBES, RunFolder, read_config, read_machinery, read_metrics
from dyadnet.report.page import REPORT
from dyadnet.watcher import Silent, Watcher

if TYPE_CHECKING:
    from dyadnet.engine.protocol import Launch

ENGINES = "dyadnet.engines"


def train(config: RunConfig, out: str | Path, watcher: Watcher | None = None) -> Summary:
    """Train a network and write its run's folder.

    Parameters
    ----------
    config
        The whole run.
    out
        A new or empty folder.
    watcher
        Is told how it goes; nobody unless given.

    Raises
    ------
    UsageError
        If the configuration, the data or the folder cannot be used; nothing is left of it, unless it had begun.
    DivergedError
        If a relaxation runs away.
    """
    launch = engine(config.engine)
    dataset = load_data(config)
    check_fit(config, dataset.shape)
    watcher = watcher or Silent()
    with RunFolder(Path(out), config) as folder:
        try:
            if config.cluster.detach:
                # Whoever trains holds the checkpoints, and that is not this process.
                launch(config, dataset, folder, watcher)
            with opened(config, Path(out), watcher.note) as folder.beginning:
                summary = launch(config, dataset, folder, watcher)
            folder.finish(summary.weights_sha256)
        except UsageError:
            if not folder.begun:
                folder.discard()
            raise
    draw(Path(out), watcher)
    return summary


def resume(run: str | Path, changes: Mapping[str, Any] | None = None, watcher: Watcher | None = None) -> Summary:
    """Go on with a run from its newest intact checkpoint, to the same bits as if it had never stopped.

    Parameters
    ----------
    run
        Its folder.
    changes
        Plain values of settings that are to be others from now on; see `dyadnet.checkpoint.continuing`. Whether its
        driver leaves is said anew each time.
    watcher
        Is told how it goes; nobody unless given.

    Raises
    ------
    UsageError
        If there is nothing to go on from, another run uses the folder, or a setting would change the science.
    DivergedError
        If a relaxation runs away.
    """
    run = Path(run)
    watcher = watcher or Silent()
    old = read_config(run)
    if not old.checkpoint.enabled:
        raise CheckpointError(
            f"{run}: checkpoints were off, so there is nothing to go on from; begin anew: dyadnet train {run / CONFIG}"
        )
    config = continued(old, merged({"cluster": {"detach": False}}, dict(changes or {})))
    if config.record.trace is not None:
        legal = "a run that goes on has no trace of what was before; go on without one: --set record.trace=null"
        raise ConfigError("record.trace", str(config.record.trace), legal)
    launch = engine(config.engine)
    dataset = load_data(config)
    check_fit(config, dataset.shape)
    with contextlib.ExitStack() as held:
        folder = held.enter_context(reopened(config, run, watcher))
        assert folder.beginning is not None
        start = folder.beginning.start
        assert start is not None
        done = start.position
        watcher.note(f"going on from checkpoint {start.name}: epoch {done.epoch + 1}, minibatch {done.minibatch}")
        if config.cluster.detach:
            # Whoever trains holds the lock and the records, and that is not this process.
            held.close()
        try:
            summary = launch(config, dataset, folder, watcher)
        except UsageError:
            folder.describe(old)
            raise
    draw(run, watcher)
    return summary


def engine(name: str) -> Launch:
    """The engine of that name, from the entry-point group ``dyadnet.engines``.

    Raises
    ------
    ConfigError
        If there is none.
    """
    found = {point.name: point for point in entry_points(group=ENGINES)}
    if name not in found:
        raise ConfigError("engine", name, f"one of {', '.join(sorted(found))}")
    return cast("Launch", found[name].load())


def load_data(config: RunConfig) -> data.Dataset:
    """The data set of a run, limited as its configuration says."""
    dataset = data.load(config.data.name, config.data.dir)
    return dataset.limited(config.data.limit_train, config.data.limit_test)


def draw(run: Path, watcher: Watcher) -> None:
    """Draw a run's curves, the ages of its messages if it ran freely, and its probes, into its folder; then report.

    What was trained is there without its pictures: where they cannot be written, the watcher is warned.
    """
    try:
        _draw(run)
    except (OSError, RunFolderError) as problem:
        watcher.warning(f"no pictures and no report: {problem}; once they can be written: dyadnet report {run}")


def _draw(run: Path) -> None:
    # Matplotlib takes a third of an actor's time to start, and no actor draws.
    from dyadnet import plots

    plots.curves(read_metrics(run), run / "curves.png", f"{run.name}")
    plots.ages(read_machinery(run), run / "ages.png", f"{run.name}")
    for recorded in sorted((run / PROBES).glob("*.npz")):
        with np.load(recorded, allow_pickle=False) as series:
            arrays = {key: series[key] for key in series.files}
        plots.probed(arrays, recorded.with_suffix(".png"), f"relaxation {int(recorded.stem)}")
    report.write([run], run / REPORT)
