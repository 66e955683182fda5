"""Write a run's metrics for TensorBoard. Requires tensorboardX (``pip install 'dyadnet[tensorboard]'``)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dyadnet.errors import UsageError
from dyadnet.runs.record_lines import numbers
from dyadnet.runs.status import Status
from dyadnet.training.callbacks import Callback
from dyadnet.training.run import Run


class TensorBoard(Callback):
    """Writes the metrics of every epoch as scalars ``<part>/<metric>``; metrics of no part are under ``run``.

    Parameters
    ----------
    folder
        Folder of the event files; default: ``tensorboard`` in the run's folder.

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
        # Epochs that a resumed run repeats replace the earlier ones.
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
