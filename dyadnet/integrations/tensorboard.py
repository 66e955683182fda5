"""A run in TensorBoard. Needs tensorboardX (``pip install 'dyadnet[tensorboard]'``)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dyadnet.errors import UsageError
from dyadnet.runs.history import numbers
from dyadnet.runs.status import Status
from dyadnet.training.callbacks import Callback
from dyadnet.training.run import Run


class TensorBoard(Callback):
    """Writes the numbers of every epoch, as scalars ``<part>/<number>``; what is of no part is under ``run``.

    Parameters
    ----------
    folder
        Where the event files go; ``tensorboard`` in the run's folder unless given.

    Raises
    ------
    UsageError
        If tensorboardX is not installed.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            raise UsageError("TensorBoard needs tensorboardX: pip install 'dyadnet[tensorboard]'") from None
        self._make = SummaryWriter
        self._folder = folder
        self._writer: Any = None

    def on_run_begin(self, run: Run) -> None:
        """See `Callback`."""
        folder = run.path / "tensorboard" if self._folder is None else Path(self._folder)
        # What a run that goes on repeats takes the place of what was there.
        self._writer = self._make(str(folder), purge_step=len(run.history["epoch"]) + 1)

    def on_epoch_end(self, run: Run, record: Mapping[str, Any]) -> None:
        """See `Callback`."""
        for name, value in numbers(record).items():
            part, _, key = name.partition("_")
            known = part in ("train", "validation", "test")
            self._writer.add_scalar(f"{part}/{key}" if known else f"run/{name}", value, record["epoch"])
        self._writer.flush()

    def on_run_end(self, run: Run, status: Status) -> None:
        """See `Callback`."""
        if self._writer is not None:
            self._writer.close()
