"""Progress of a study: counts, and an estimate of the remaining time from finished and running trials."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from dyadnet.errors import RunFolderError
from dyadnet.notebook.progress import NotebookBar
from dyadnet.process.console import for_people, in_notebook
from dyadnet.study.ongoing import worked
from dyadnet.study.plan import Trial
from dyadnet.study.trial import Result

LOOKED_EVERY = 10.0
"""Seconds between two checks of the records of long trials."""
TOLD_EVERY, LONG_TOLD_EVERY = 60.0, 300.0
"""Shortest time in seconds between two lines in a log: when a trial ends, and while trials are running."""


class Estimate:
    """Estimates the remaining time of a study in seconds.

    The duration of a running trial is extrapolated from its finished epochs. Before its first epoch has ended, and for
    a trial that has not started, the estimate is the mean duration of trials at the same point with other seeds; if
    there are none, of the same variant and model; else of all trials so far.
    """

    def __init__(self) -> None:
        self._whole: dict[int, tuple[Trial, float]] = {}
        self._spent: dict[int, float] = {}

    def learn(self, trial: Trial, seconds: float) -> None:
        """Record the duration of a finished trial."""
        self._whole[trial.number] = trial, seconds
        self._spent.pop(trial.number, None)

    def goes(self, trial: Trial, share: float, seconds: float) -> None:
        """Record the time that a running trial took for a fraction (above 0) of its epochs."""
        self._whole[trial.number] = trial, seconds / share
        self._spent[trial.number] = seconds

    def forget(self, trial: Trial) -> None:
        """Discard the estimate of a trial that has started again."""
        self._whole.pop(trial.number, None)
        self._spent.pop(trial.number, None)

    def left(self, trials: Sequence[Trial], workers: int) -> float | None:
        """Return the remaining seconds of the given trials on `workers` workers; None if nothing is known yet."""
        if not self._whole or not trials or not workers:
            return None
        means = self._means()
        rest = [max(self._expected(trial, means) - self._spent.get(trial.number, 0.0), 0.0) for trial in trials]
        return max(sum(rest) / min(workers, len(rest)), *rest)

    def _means(self) -> dict[str, float]:
        """Return the mean duration of the trials of each point, of each variant and model, and of all trials."""
        sums: dict[str, list[float]] = {}
        for trial, seconds in self._whole.values():
            for key in self._keys(trial):
                sums.setdefault(key, []).append(seconds)
        return {key: sum(values) / len(values) for key, values in sums.items()}

    def _expected(self, trial: Trial, means: dict[str, float]) -> float:
        if trial.number in self._whole:
            return self._whole[trial.number][1]
        return next(means[key] for key in self._keys(trial) if key in means)

    @staticmethod
    def _keys(trial: Trial) -> tuple[str, str, str]:
        group = repr((trial.variant, trial.model))
        return group + repr(trial.point), group, ""


class StudyBar:
    """Shows a study's progress: a bar in a terminal or a notebook, occasional lines elsewhere.

    Parameters
    ----------
    trials
        The whole plan.
    finished
        Results of trials that had finished before.
    workers
        Number of trials that run at the same time.
    console
        Console to write to; default: standard error.
    """

    def __init__(
        self, trials: Sequence[Trial], finished: dict[int, Result], workers: int, console: Console | None = None
    ) -> None:
        self.console = console or for_people()
        self.counts: Counter[str] = Counter(result.status for result in finished.values())
        self._left = {trial.number: trial for trial in trials if trial.number not in finished}
        self._workers = workers
        self._estimate = Estimate()
        by_number = {trial.number: trial for trial in trials}
        for number, result in finished.items():
            self._learn(by_number[number], result)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=self.console,
            transient=True,
        )
        self._task = self._progress.add_task("trials", total=len(trials), completed=len(finished), note="")
        self._whole = len(trials)
        self._cell = NotebookBar() if in_notebook() else None
        self._told = self._looked = time.monotonic()
        self._epochs: dict[int, str] = {}
        self._show()

    def __enter__(self) -> Self:
        if self._cell is None:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._cell is None:
            self._progress.stop()

    def ended(self, trial: Trial, result: Result) -> None:
        """Record that a trial has ended."""
        self.counts[result.status] += 1
        self._left.pop(trial.number, None)
        self._epochs.pop(trial.number, None)
        self._learn(trial, result)
        self._progress.advance(self._task)
        self._show()
        if result.status == "failed":
            self.console.print(f"failed: {trial}: {result.error}", style="yellow", soft_wrap=True)
        self._say(TOLD_EVERY)

    def goes(self, under_way: Mapping[int, Path | None]) -> None:
        """Check the records of running trials every `LOOKED_EVERY` seconds.

        Parameters
        ----------
        under_way
            Folders of the running trials, by number; None for a short trial, which has no folder.
        """
        if time.monotonic() - self._looked < LOOKED_EVERY:
            return
        self._looked = time.monotonic()
        for number, place in under_way.items():
            # A record that does not exist yet, or is being written, is checked the next time.
            with contextlib.suppress(RunFolderError):
                if place is not None:
                    self._look(self._left[number], worked(place))
        self._show()
        self._say(LONG_TOLD_EVERY)

    @property
    def note(self) -> str:
        """Counts, epochs of the running long trials, and the remaining time, as text."""
        parts = [f"{self.counts[status]} {status}" for status in ("ok", "diverged", "failed")]
        left = self._estimate.left(list(self._left.values()), self._workers)
        parts += [f"epochs {', '.join(self._epochs.values())}"] if self._epochs else []
        return " · ".join([*parts, *([] if left is None else [f"about {duration(left)} left"])])

    def _say(self, every: float) -> None:
        """Print a line if there is no bar and the last line is older than `every` seconds."""
        if self._cell is None and not self.console.is_terminal and time.monotonic() - self._told > every:
            self._told = time.monotonic()
            self.console.print(f"{sum(self.counts.values())} ended · {self.note}", soft_wrap=True)

    def _look(self, trial: Trial, seconds: Sequence[float]) -> None:
        epochs = trial.config.learning.epochs
        self._epochs[trial.number] = f"{len(seconds)}/{epochs}"
        if seconds:
            self._estimate.goes(trial, len(seconds) / epochs, seconds[-1])
        else:
            self._estimate.forget(trial)

    def _learn(self, trial: Trial, result: Result) -> None:
        seconds = result.values.get("seconds")
        if seconds is not None:
            self._estimate.learn(trial, seconds)

    def _show(self) -> None:
        self._progress.update(self._task, note=self.note)
        if self._cell is not None:
            done = self._whole - len(self._left)
            self._cell.draw(done, self._whole, f"{done} of {self._whole} trials · {self.note}")


def duration(seconds: float) -> str:
    """Format a duration for people."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
