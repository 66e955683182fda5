"""Reopen the folder of a run to resume it, with its records cut back to the newest intact checkpoint."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from dyadnet.checkpoint.continuing import check_length, check_same_run, check_tally
from dyadnet.config import RunConfig
from dyadnet.runs.folder import RECORDS, RunFolder, check_own
from dyadnet.runs.watcher import ProgressCallback
from dyadnet.training.best_weights import put_back_best
from dyadnet.training.opening import opened


@contextlib.contextmanager
def reopened(config: RunConfig, run: Path, watcher: ProgressCallback) -> Iterator[RunFolder]:
    """Reopen the folder of a run at its newest intact checkpoint, and close it at the end.

    Parameters
    ----------
    config
        The configuration from now on.
    watcher
        Receives warnings about checkpoints that cannot be used.

    Raises
    ------
    UsageError
        If another run uses the folder, the folder holds another run, or there is no checkpoint to resume from.
    """
    check_own(run)
    sizes = {name: (run / name).stat().st_size if (run / name).exists() else 0 for name in RECORDS}
    with opened(config, run, watcher.warning, sizes, resume=True) as beginning:
        start = beginning.start
        assert start is not None
        check_same_run(config, start.config)
        check_length(start.config, config, start.position)
        check_tally(config, start.position)
        with RunFolder.reopened(run, config, start.lengths) as folder:
            folder.beginning = beginning
            put_back_best(folder, beginning, watcher)
            yield folder
