"""Training from a configuration: data, folder, engine, record and plots, from one call."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from dyadnet import data, plots, report
from dyadnet.config import RunConfig
from dyadnet.coordinator import Summary, check_fit
from dyadnet.errors import ConfigError, UsageError
from dyadnet.record import PROBES, RunFolder, read_machinery, read_metrics
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
        If the configuration, the data or the folder cannot be used; nothing has been written then.
    DivergedError
        If a relaxation runs away.
    """
    launch = engine(config.engine)
    dataset = load_data(config)
    check_fit(config, dataset.shape)
    with RunFolder(Path(out), config) as folder:
        try:
            summary = launch(config, dataset, folder, watcher or Silent())
        except UsageError:
            folder.discard()
            raise
    draw(Path(out))
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


def draw(run: Path) -> None:
    """Draw a run's curves, the ages of its messages if it ran freely, and its probes, into its folder; then report."""
    plots.curves(read_metrics(run), run / "curves.png", f"{run.name}")
    plots.ages(read_machinery(run), run / "ages.png", f"{run.name}")
    for recorded in sorted((run / PROBES).glob("*.npz")):
        with np.load(recorded, allow_pickle=False) as series:
            arrays = {key: series[key] for key in series.files}
        plots.probed(arrays, recorded.with_suffix(".png"), f"relaxation {int(recorded.stem)}")
    report.write([run], run / REPORT)
