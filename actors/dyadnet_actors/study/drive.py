"""Drives a study from its definition to its plots; finished trials are kept and never run again."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dyadnet.config import ClusterSpec
from dyadnet.data import Dataset
from dyadnet.errors import DyadnetError, StoppedError
from dyadnet.process.commands import command
from dyadnet.process.console import for_people
from dyadnet.process.signals import deaf, interruptible
from dyadnet.runs.loading import check_fit
from dyadnet.study.definition import Study
from dyadnet.study.folder import TABLE, StudyFolder
from dyadnet.study.ongoing import is_long
from dyadnet.study.outcome import draw, write_table
from dyadnet.study.plan import Trial, plan
from dyadnet.study.progress import StudyBar
from dyadnet.study.trial import Result
from dyadnet.training.api import load_data
from dyadnet_actors.cluster.connection import connected
from dyadnet_actors.protocol.failures import RayLostError

TABLE_EVERY = 30.0
"""Seconds between two updates of the table while a study runs."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a study ended.

    Attributes
    ----------
    trials
        Number of all trials; `ran` of them were run this time.
    ok, diverged, failed
        Number of trials that ended this way.
    """

    out: str
    results: str
    trials: int
    ran: int
    ok: int
    diverged: int
    failed: int
    seconds: float


def drive(
    study: Study,
    out: Path,
    cluster: ClusterSpec,
    max_concurrent: int | None = None,
    data_dir: Path | None = None,
    retry_failed: bool = False,
    shown: Callable[[StudyFolder, Sequence[Trial], Mapping[int, Result]], None] = draw,
    again: Sequence[str] | None = None,
) -> Ended:
    """Run the remaining trials of a study, then write its table, summary and plots.

    Parameters
    ----------
    shown
        Draws all results, in addition to table and summary.
    again
        Arguments of ``dyadnet`` that continue the study; ``study`` and its folder by default.

    Raises
    ------
    UsageError
        If definition, data, folder or cluster cannot be used; nothing has been written then.
    StoppedError
        If it was interrupted; the message says how to continue.
    RayLostError
        If Ray dies or hangs; the message says how to continue.
    DyadnetError
        If no trial ended well.
    """
    started = time.monotonic()
    trials, datasets = _load(plan(study, data_dir))
    # Images are numbers too, and have all their metrics.
    for numbers, images in sorted({(one.numbers is not None, one.image is not None) for one in datasets.values()}):
        study = study.scored(numbers=numbers, images=images)
    for note in dict.fromkeys(note for dataset in datasets.values() for note in dataset.notes):
        for_people().print(f"warning: {note}", style="yellow", soft_wrap=True)
    folder = StudyFolder(out, study, trials)
    try:
        results = folder.finished()
        if retry_failed:
            results = {number: result for number, result in results.items() if result.status != "failed"}
        before = len(results)
        options = _options(cluster, max_concurrent, data_dir, retry_failed=retry_failed)
        next_time = command(*(again or ["study", str(out)]), *options)
        try:
            with interruptible():
                _run(folder, trials, results, datasets, cluster, max_concurrent)
                shown(folder, trials, results)
        except KeyboardInterrupt:
            with deaf():
                if not results and folder.discard():
                    why = f"stopped before any of the {len(trials)} trials had ended; nothing is left of it"
                    raise DyadnetError(why) from None
                write_table(folder, trials, results)
            raise StoppedError(
                f"stopped; {len(results)} of {len(trials)} trials are kept; go on with: {next_time}"
            ) from None
        except DyadnetError as problem:
            gone = not results and folder.discard()
            if results:
                write_table(folder, trials, results)
            if not isinstance(problem, RayLostError):
                raise
            kept = "nothing is left of it" if gone else f"{len(results)} of {len(trials)} trials are kept"
            raise RayLostError(f"{problem}; {kept}; go on with: {next_time}") from None
    finally:
        folder.close()
    counts = Counter(result.status for result in results.values())
    if not counts["ok"]:
        first = next(iter(results.values()))
        raise DyadnetError(
            f"none of the {len(trials)} trials ended well; the first: {first.error} (all in {out / TABLE})"
        )
    return Ended(
        out=str(out),
        results=str(out / TABLE),
        trials=len(trials),
        ran=len(trials) - before,
        ok=counts["ok"],
        diverged=counts["diverged"],
        failed=counts["failed"],
        seconds=time.monotonic() - started,
    )


def _options(
    cluster: ClusterSpec, max_concurrent: int | None, data_dir: Path | None, *, retry_failed: bool
) -> list[str]:
    """Return the command-line options that say where and how trials run."""
    given = {"--address": cluster.address, "--max-concurrent": max_concurrent, "--data-dir": data_dir}
    flags = {"--ship-code": cluster.ship_code, "--retry-failed": retry_failed}
    said = [text for name, value in given.items() if value is not None for text in (name, str(value))]
    return said + [name for name, value in flags.items() if value]


def _run(
    folder: StudyFolder,
    trials: list[Trial],
    results: dict[int, Result],
    datasets: dict[str, Dataset],
    cluster: ClusterSpec,
    max_concurrent: int | None,
) -> None:
    left = [trial for trial in trials if trial.number not in results]
    if left:
        # Only once connected, because Ray takes over SIGTERM when it starts.
        with connected(cluster) as watchdog, interruptible():
            from dyadnet_actors.study.pool import Pool, concurrency, data_key

            workers = concurrency(max_concurrent, len(left))
            written = time.monotonic()
            with StudyBar(trials, results, workers) as bar:

                def place(trial: Trial) -> Path | None:
                    shape = datasets[data_key(trial.config)].sizes
                    return folder.place(trial) if is_long(trial.config, shape) else None

                def ended(trial: Trial, result: Result) -> None:
                    nonlocal written
                    folder.save(trial, result)
                    results[trial.number] = result
                    bar.ended(trial, result)
                    if time.monotonic() - written > TABLE_EVERY:
                        write_table(folder, trials, results)
                        written = time.monotonic()

                pool = Pool(workers, watchdog)
                try:
                    pool.run(left, datasets, ended, place, bar.goes)
                finally:
                    pool.close()
    write_table(folder, trials, results)


def _load(trials: list[Trial]) -> tuple[list[Trial], dict[str, Dataset]]:
    """Load the data sets; return the trials with their networks' sizes, and the data sets, which fit the networks."""
    from dyadnet_actors.study.pool import data_key

    found: dict[str, Dataset] = {}
    sized = []
    for trial in trials:
        key = data_key(trial.config)
        if key not in found:
            found[key] = load_data(trial.config)
        shape = found[key].sizes
        sized.append(replace(trial, config=trial.config.sized(shape.features, shape.outputs)))
        check_fit(sized[-1].config, shape)
    return sized, found
