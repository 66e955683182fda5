"""Progress of a run on standard error: a bar within an epoch, and one line after each epoch."""

from __future__ import annotations

import math
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dyadnet.config import RunConfig
from dyadnet.numerics.scores import headline, told
from dyadnet.process.console import for_people


class Bar:
    """A `dyadnet.runs.watcher.ProgressCallback` that shows progress on the console."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or for_people()
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
        )
        self._task = self._progress.add_task("starting", total=None, note="")
        self._epochs = 0
        self._minibatches = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def started(self, config: RunConfig, minibatches: int) -> None:
        """Show the total number of minibatches."""
        self._epochs, self._minibatches = config.learning.epochs, minibatches
        self._progress.update(self._task, total=self._epochs * minibatches)

    def minibatch(self, epoch: int, index: int, loss: float, accuracy: float, sweeps: float) -> None:
        """Advance the bar."""
        score = "" if math.isnan(accuracy) else f"accuracy {accuracy:.2%} · "
        note = f"loss {loss:.4f} · {score}{sweeps:.0f} sweeps"
        done = epoch * self._minibatches + index + 1
        self._progress.update(self._task, description=f"epoch {epoch + 1}/{self._epochs}", completed=done, note=note)

    def evaluating(self, epoch: int, part: str) -> None:
        """Show which part is being evaluated between epochs."""
        self._progress.update(self._task, note=f"evaluating the {part} part")

    def epoch(self, line: dict[str, Any]) -> None:
        """Print one line per epoch."""
        train, validation, test = line["train"], line["validation"], line["test"]
        capped = f" · {train['capped']} capped" if train["capped"] else ""
        of_train, of_validation, of_test = (told(part, named=False) for part in (train, validation, test))
        named = "" if "accuracy" in train else f"{headline(train)[1]} "
        self.console.print(
            f"epoch {line['epoch']:>3} · loss {train['loss']:.4f} · {named}train {of_train} · "
            f"validation {of_validation} · test {of_test} · "
            f"{train['sweeps']:.1f} sweeps · μ {line['radius']:.2f} · step {line['step']:.3f}{capped}",
            soft_wrap=True,
        )

    def warning(self, text: str) -> None:
        """Print a warning."""
        self.console.print(f"warning: {text}", style="yellow", soft_wrap=True)

    def note(self, text: str) -> None:
        """Print a note."""
        self.console.print(text, soft_wrap=True)
