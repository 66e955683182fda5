"""A run without a driver: its coordinator keeps the run's folder itself, and Ray restarts it if it dies."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from dyadnet.checkpoint.finding import look
from dyadnet.config import RunConfig
from dyadnet.config.recovery import Failure, GaveUpError, Recovery, failures
from dyadnet.errors import ConfigError, DyadnetError, RunFolderError, UsageError
from dyadnet.files.access import content, is_finite, unpacked
from dyadnet.runs.folder import CONFIG, ENDING, RECORDS, RunFolder, whole
from dyadnet.runs.initial_weights import initial_weights
from dyadnet.runs.status import Reporter
from dyadnet.runs.summary import Summary
from dyadnet.runs.watcher import ProgressCallback
from dyadnet.training.api import draw
from dyadnet.training.opening import opened, store_of

Ending = dict[str, Any]
"""How a run has ended, as plain values: its summary or the error, the exit code, and whether it never began."""


def lived(
    config: RunConfig,
    out: Path,
    watcher: ProgressCallback,
    train: Callable[[RunFolder], Summary],
    *,
    resumed: bool,
    reborn: bool,
) -> Ending:
    """Train to the end in a folder that a driver has made; record in the folder how the run ended, and return it.

    Parameters
    ----------
    out
        The run's folder.
    watcher
        Receives what a user should know.
    train
        Trains, given the folder.
    resumed
        Whether the run resumes from a checkpoint.
    reborn
        Whether a coordinator of this run has died before.
    """
    if not (out / CONFIG).exists():
        legal = f"the run's folder, {out}, must be one that the cluster's head node sees too"
        return _wrong(ConfigError("cluster.detach", True, legal))
    reporter = Reporter(out, watcher.warning)
    reporter.begin()

    def over(summary: Summary) -> None:
        reporter.finish(summary)
        draw(out, watcher)

    try:
        summary = _trained(config, out, watcher, train, over, resumed=resumed, reborn=reborn)
        ending = {"summary": summary.plain(), "exit_code": 0}
    except DyadnetError as problem:
        reporter.fail(problem)
        ending = _wrong(problem)
    except Exception as problem:
        reporter.fail(problem)
        ending = _wrong(DyadnetError(f"the coordinator failed: {type(problem).__name__}: {problem}"))
    if not ending.get("never_began"):
        try:
            with whole(out / ENDING) as fresh:
                fresh.write_text(json.dumps(ending), encoding="utf-8")
        except RunFolderError as problem:
            watcher.warning(f"the run could not record how it ended: {problem}")
    return ending


def read_ending(out: Path) -> Ending | None:
    """Read how a run without a driver ended; None if it has not ended, or if its ending cannot be read."""
    try:
        found = unpacked(content(out / ENDING))
    except (OSError, ValueError):
        return None
    told = found if isinstance(found, dict) else {}
    summary = told.get("summary")
    if isinstance(summary, dict):
        score = "test_r2" if "test_r2" in summary else "test_accuracy"
        numbers = (score, "best_epoch", "seconds")
        known = "out" in summary and all(is_finite(summary.get(name)) for name in numbers)
    else:
        known = isinstance(told.get("why"), str) and type(told.get("exit_code")) is int
    return told if known else None


def _trained(
    config: RunConfig,
    out: Path,
    watcher: ProgressCallback,
    train: Callable[[RunFolder], Summary],
    over: Callable[[Summary], None],
    *,
    resumed: bool,
    reborn: bool,
) -> Summary:
    sizes = {name: (out / name).stat().st_size if (out / name).exists() else 0 for name in RECORDS}
    left_some = reborn and config.checkpoint.enabled and look(store_of(config, out), sizes).newest is not None
    goes_on = resumed or left_some
    with opened(config, out, watcher.warning, sizes, resume=goes_on) as beginning:
        lengths = {} if beginning.start is None else beginning.start.lengths
        with RunFolder.reopened(out, config, lengths) as folder:
            folder.beginning = replace(beginning, initial=None if goes_on else initial_weights(config)[1])
            if reborn:
                # It is unknown where the coordinator died. What counts is whether the run got any further than before.
                minibatch = 1 if beginning.start is None else beginning.start.position.updates + 1
                failure = Failure("coordinator", ("the coordinator",), "the coordinator died", minibatch)
                why = Recovery(config.recovery, failures(folder.events())).refuse(failure)
                if why is not None:
                    raise GaveUpError(why)
                folder.event(failure.plain())
                watcher.warning("the coordinator died; another one goes on")
            folder.on_end = over
            summary = train(folder)
            folder.ended(summary)
            return summary


def _wrong(problem: DyadnetError) -> Ending:
    return {
        "why": str(problem),
        "exit_code": problem.exit_code,
        "never_began": isinstance(problem, UsageError),
    }
