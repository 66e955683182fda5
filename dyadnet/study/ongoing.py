"""The run folder of a long trial while it runs, so that an interrupted trial resumes from its last checkpoint."""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

from dyadnet.checkpoint.manifest import order
from dyadnet.config import RunConfig
from dyadnet.data import DataShape
from dyadnet.engines.protocol import Engine
from dyadnet.errors import DyadnetError
from dyadnet.network.topology import Topology
from dyadnet.runs.folder import BEST, CHECKPOINTS, CONFIG, RunFolder, read_machinery, read_metrics, saved_weights
from dyadnet.runs.initial_weights import initial_weights
from dyadnet.runs.observer import Unobserved
from dyadnet.runs.record_lines import Epoch, epochs, spendings
from dyadnet.runs.watcher import Silent
from dyadnet.runs.weights import read, read_manifest
from dyadnet.study.kept import BestWeights
from dyadnet.training.checkpoint_writer import CheckpointWriter
from dyadnet.training.coordinator import Coordinator, Outset
from dyadnet.training.opening import opened
from dyadnet.training.reopening import reopened

LONG = 250_000
"""Number of training samples, summed over all epochs, from which on a trial gets a folder."""


def is_long(config: RunConfig, shape: DataShape) -> bool:
    """Return whether a trial writes checkpoints while it runs."""
    return config.checkpoint.enabled and config.learning.epochs * shape.train >= LONG


@contextlib.contextmanager
def ongoing(config: RunConfig, shape: DataShape, engine: Engine, place: Path) -> Iterator[Coordinator]:
    """Yield a coordinator that resumes the trial at `place`, or starts it there.

    Parameters
    ----------
    place
        The trial's folder. Its contents are deleted if they are damaged or have other settings.

    Raises
    ------
    DyadnetError
        If the folder cannot be written.
    """
    # Ignore `checkpoint.folder`, because all trials would write to the same folder.
    config = config.model_copy(update={"checkpoint": config.checkpoint.model_copy(update={"folder": None})})
    watcher = Silent()
    with contextlib.ExitStack() as stack:
        folder, initial = None, None
        if (place / CONFIG).exists():
            with contextlib.suppress(DyadnetError):
                folder = stack.enter_context(reopened(config, place, watcher))
        if folder is None:
            shutil.rmtree(place, ignore_errors=True)
            initial = initial_weights(config)[1]
            folder = stack.enter_context(RunFolder(place, config))
            folder.beginning = stack.enter_context(opened(config, place))
        assert folder.beginning is not None
        observer = Unobserved()
        keeper = CheckpointWriter(config, folder.beginning, folder, watcher, observer)
        yield Coordinator(config, shape, engine, folder, watcher, observer, keeper, Outset(initial))


def reached(place: Path | None) -> int:
    """Return the number of updates at which a trial would resume; 0 without a folder."""
    checkpoints = [] if place is None else (place / CHECKPOINTS).glob("*")
    return max((order(path.name) or 0 for path in checkpoints), default=0)


def told(place: Path) -> tuple[list[Epoch], list[float]]:
    """Return the lines of all epochs in a trial's record, and the seconds of work up to the end of each epoch."""
    return epochs(read_metrics(place)), worked(place)


def worked(place: Path) -> list[float]:
    """Return the seconds of work up to the end of each epoch in a trial's record.

    Raises
    ------
    RunFolderError
        If there is no record yet, or its last line is incomplete.
    """
    spent = [line["seconds"] for line in spendings(read_machinery(place))]
    return list(itertools.accumulate(seconds["training"] + seconds["evaluation"] for seconds in spent))


def best(place: Path, config: RunConfig) -> BestWeights:
    """Read the weights of a trial that were best on validation."""
    saved = saved_weights(place, BEST)
    found = BestWeights()
    found.couplings = tuple(read_manifest(saved)["couplings"])
    found.parameters = read(saved, Topology(config.network).blocks)
    return found
