"""How far a study is: counts, and an estimate of the time left from the trials that have ended."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from dyadnet.study.plan import Trial
from dyadnet.study.trial import Result


class Estimate:
    """Seconds that the rest of a study will take.

    A trial is expected to take as long as those of its point with other seeds; else as those of its variant and model;
    else as all so far.
    """

    def __init__(self) -> None:
        self._sums: dict[str, list[float]] = {}

    def learn(self, trial: Trial, seconds: float) -> None:
        """A trial took so long."""
        for key in self._keys(trial):
            sums = self._sums.setdefault(key, [0.0, 0.0])
            sums[0] += seconds
            sums[1] += 1

    def seconds(self, trial: Trial) -> float | None:
        """What one trial is expected to take; None as long as nothing is known."""
        for key in self._keys(trial):
            if key in self._sums:
                total, count = self._sums[key]
                return total / count
        return None

    def left(self, trials: Sequence[Trial], workers: int) -> float | None:
        """What the given trials will take on so many workers."""
        expected = [self.seconds(trial) for trial in trials]
        known = [value for value in expected if value is not None]
        return None if len(known) < len(expected) or not workers else sum(known) / min(workers, max(len(known), 1))

    @staticmethod
    def _keys(trial: Trial) -> tuple[str, str, str]:
        group = repr((trial.variant, trial.model))
        return group + repr(trial.point), group, ""


class StudyBar:
    """Shows a study's progress to people.

    Parameters
    ----------
    trials
        The whole plan.
    finished
        Results that were there before.
    workers
        Trials that run at a time.
    console
        Standard error unless given.
    """

    def __init__(
        self, trials: Sequence[Trial], finished: dict[int, Result], workers: int, console: Console | None = None
    ) -> None:
        self.console = console or Console(stderr=True)
        self.counts: Counter[str] = Counter(result.status for result in finished.values())
        self._left = {trial.number: trial for trial in trials if trial.number not in finished}
        self._workers = workers
        self._estimate = Estimate()
        by_number = {trial.number: trial for trial in trials}
        for number, result in finished.items():
            self._learn(by_number[number], result)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            console=self.console,
            transient=True,
        )
        self._task = self._progress.add_task("trials", total=len(trials), completed=len(finished), note="")
        self._told = time.monotonic()
        self._show()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def ended(self, trial: Trial, result: Result) -> None:
        """A trial ended."""
        self.counts[result.status] += 1
        self._left.pop(trial.number, None)
        self._learn(trial, result)
        self._progress.advance(self._task)
        self._show()
        if result.status == "failed":
            self.console.print(f"failed: {trial}: {result.error}", style="yellow", highlight=False, soft_wrap=True)
        if not self.console.is_terminal and time.monotonic() - self._told > 60:
            self._told = time.monotonic()
            self.console.print(f"{sum(self.counts.values())} ended · {self.note}", highlight=False, soft_wrap=True)

    @property
    def note(self) -> str:
        """Counts and the time left."""
        parts = [f"{self.counts[status]} {status}" for status in ("ok", "diverged", "failed")]
        left = self._estimate.left(list(self._left.values()), self._workers)
        return " · ".join([*parts, *([] if left is None or not self._left else [f"about {duration(left)} left"])])

    def _learn(self, trial: Trial, result: Result) -> None:
        seconds = result.values.get("seconds")
        if seconds is not None:
            self._estimate.learn(trial, seconds)

    def _show(self) -> None:
        self._progress.update(self._task, note=self.note)


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
