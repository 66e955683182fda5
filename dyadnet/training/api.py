"""Training from a configuration: data, folder, engine, record and plots, from one call."""

from __future__ import annotations

import contextlib
import itertools
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, cast

from dyadnet import reporting as report
from dyadnet.checkpoint.continuing import continued
from dyadnet.config import InitSpec, RunConfig
from dyadnet.config.dynamics import FreeRunning
from dyadnet.config.memory import check_room
from dyadnet.config.overrides import merged
from dyadnet.config.pictures import also_as
from dyadnet.data import MEMORY, Data, Dataset
from dyadnet.data.memory import described
from dyadnet.errors import (
    CallbackError,
    CheckpointError,
    ConfigError,
    DivergedError,
    DyadnetError,
    RunFolderError,
    UsageError,
)
from dyadnet.files.arrays import ArraysError, read
from dyadnet.network.topology import Topology
from dyadnet.notebook import usual_watcher
from dyadnet.process import signals
from dyadnet.process.console import in_notebook
from dyadnet.process.guest import one_thread_a_library
from dyadnet.reporting.page import REPORT
from dyadnet.runs import maps
from dyadnet.runs.folder import (
    BEST,
    CONFIG,
    IMAGES,
    PROBES,
    RunFolder,
    read_config,
    read_machinery,
    read_metrics,
    saved_weights,
)
from dyadnet.runs.initial_weights import initial_weights
from dyadnet.runs.loading import check_fit, in_memory
from dyadnet.runs.loading import load_data as load_data  # its old place
from dyadnet.runs.status import read_status, reported
from dyadnet.runs.summary import Summary
from dyadnet.runs.watcher import ProgressCallback
from dyadnet.telemetry.snapshot import model_of
from dyadnet.training import strip
from dyadnet.training.callbacks import Callback, Callbacks, check
from dyadnet.training.inference import feature_maps
from dyadnet.training.opening import opened
from dyadnet.training.reopening import reopened
from dyadnet.training.run import Run

ENGINES = "dyadnet.engines"
Launch = Callable[[RunConfig, Dataset, RunFolder, ProgressCallback], Summary]
"""Trains, wherever it does so, and returns how that has ended; what an entry point of the group names."""


def train(
    config: RunConfig,
    out: str | Path | None = None,
    watcher: ProgressCallback | None = None,
    *,
    data: Data | None = None,
    callbacks: Sequence[Callback] = (),
    init_from: str | Path | Run | None = None,
    report: bool = True,
) -> Run:
    """Train a network and write its run's folder.

    Parameters
    ----------
    config
        The whole run. Sizes that its network leaves open are taken from the data.
    out
        A new or empty folder; ``runs/<data>-<model>-<time>`` unless given.
    watcher
        Is told how it goes. Unless given nobody is, but in a notebook a bar.
    data
        Data in memory, in place of ``config.data.name``: ``(X, y)`` or ``(X, y, X_test, y_test)`` with X of shape
        (samples, features), pairs ``(x, y)``, or a `dyadnet.Dataset`; see `dyadnet.data.as_dataset`. The run's folder
        records what they are known by (shapes, classes, SHA-256), not the data themselves.
    callbacks
        Are called while the run goes on, in this process; see `dyadnet.Callback`.
    init_from
        A run, or its folder, whose best weights this one starts from: the same populations and projections, anything
        else may differ. As the setting ``init_from``, which can ask for the last weights, too.
    report
        Draw pictures and write a report at the end; False is the setting ``record.report: false``.

    Returns
    -------
    Run
        What its folder holds.

    Raises
    ------
    UsageError
        If the configuration, the data or the folder cannot be used; nothing is left of it, unless it had begun.
    DivergedError
        If a relaxation runs away.
    CallbackError
        If a callback raises; a checkpoint is written.
    StoppedError
        If a signal stops it, or a callback before the first epoch has ended; a checkpoint is written.
    """
    config = _in_this_process(config)
    launch = engine(config.engine)
    by_default = "engine" not in config.model_fields_set
    if not report:
        config = config.model_copy(update={"record": config.record.model_copy(update={"report": False})})
    check_room(config)
    _check_callbacks(config, callbacks)
    if init_from is not None:
        folder_of = init_from.path if isinstance(init_from, Run) else init_from
        config = config.model_copy(update={"init_from": InitSpec.read({"run": folder_of})})
    if data is not None:
        data = in_memory(config, data)
        config = _named(config, data)
    dataset = load_data(config, data)
    config = config.sized(dataset.features, dataset.outputs)
    check_room(config)
    check_fit(config, dataset.sizes)
    config, initial = initial_weights(config)
    if watcher is None:
        watcher = usual_watcher()
        if in_notebook() and by_default:
            watcher.note(_starts(config))
    for note in dataset.notes:
        watcher.warning(note)
    out = new_folder(config) if out is None else Path(out)
    with _guest(config), RunFolder(out, config) as folder:
        try:
            with _called(callbacks, folder, watcher), _reported(config, folder, watcher, dataset):
                _begin(folder)
                if config.cluster.detach:
                    # Whoever trains holds the checkpoints, and that is not this process.
                    launch(config, dataset, folder, watcher)
                with opened(config, out, watcher.note, begun=lambda: folder.begun) as beginning:
                    folder.beginning = replace(beginning, initial=initial)
                    summary = launch(config, dataset, folder, watcher)
                folder.finish(summary.weights_sha256)
                folder.ended(summary)
        except BaseException as problem:
            # What a run that diverges leaves shows why, and what has become of one that was left is not known here.
            unclear = config.cluster.detach or isinstance(problem, DivergedError)
            if not folder.begun and (isinstance(problem, UsageError) or not unclear):
                with signals.deaf():
                    folder.discard()
            elif isinstance(problem, DivergedError) and config.record.report:
                draw(out, watcher, dataset)
            raise
    return Run(out, summary=summary)


def resume(
    run: str | Path,
    changes: Mapping[str, Any] | None = None,
    watcher: ProgressCallback | None = None,
    *,
    data: Data | None = None,
    callbacks: Sequence[Callback] = (),
) -> Run:
    """Go on with a run from its newest intact checkpoint, to the same bits as if it had never stopped.

    Parameters
    ----------
    run
        Its folder.
    changes
        Plain values of settings that are to be others from now on; see `dyadnet.checkpoint.continuing`. Whether its
        driver leaves is said anew each time.
    watcher
        Is told how it goes. Unless given nobody is, but in a notebook a bar.
    data
        Of a run whose data were in memory: the same data again, which is checked by their hash.
    callbacks
        As `train` has them; those whose state is in the checkpoint go on from it.

    Raises
    ------
    UsageError
        If there is nothing to go on from, another run uses the folder, a setting would change the science, or data in
        memory are missing or others.
    DivergedError
        If a relaxation runs away.
    """
    run = Path(run)
    watcher = watcher or usual_watcher()
    old = read_config(run)
    if not old.checkpoint.enabled:
        raise CheckpointError(
            f"{run}: checkpoints were off, so the run cannot be resumed; begin anew: dyadnet train {run / CONFIG}"
        )
    config = continued(old, merged({"cluster": {"detach": False}}, dict(changes or {})))
    if config.record.trace is not None:
        legal = "a resumed run has no trace of its earlier part; resume it without one: --set record.trace=null"
        raise ConfigError("record.trace", str(config.record.trace), legal)
    config = _in_this_process(config)
    launch = engine(config.engine)
    check_room(config)
    _check_callbacks(config, callbacks)
    dataset = load_data(config, data)
    check_fit(config, dataset.sizes)
    with contextlib.ExitStack() as held:
        held.enter_context(_guest(config))
        folder = held.enter_context(reopened(config, run, watcher))
        assert folder.beginning is not None
        start = folder.beginning.start
        assert start is not None
        done = start.position
        watcher.note(f"going on from checkpoint {start.name}: epoch {done.epoch + 1}, minibatch {done.minibatch}")
        if config.cluster.detach:
            # Whoever trains holds the lock and the records, and that is not this process.
            held.close()
        held.enter_context(_called(callbacks, folder, watcher))
        held.enter_context(_reported(config, folder, watcher, dataset))
        try:
            _begin(folder)
            summary = launch(config, dataset, folder, watcher)
        except UsageError:
            folder.describe(old)
            raise
        folder.ended(summary)
    return Run(run, summary=summary)


@contextlib.contextmanager
def _reported(config: RunConfig, folder: RunFolder, watcher: ProgressCallback, dataset: Dataset) -> Iterator[None]:
    """Write down how a run stands and ends, and draw it once it has ended well; a run that is left does so itself."""
    if config.cluster.detach:
        yield
        return
    with reported(folder.path, watcher.warning) as reporter:

        def over(summary: Summary) -> None:
            reporter.finish(summary)
            if config.record.report:
                draw(folder.path, watcher, dataset)

        folder.on_end = over
        yield


def _check_callbacks(config: RunConfig, callbacks: Sequence[Callback]) -> None:
    for callback in callbacks:
        check(callback)
    if callbacks and config.cluster.detach:
        legal = "callbacks run in this process, and a run that is left outlives it; leave out one of the two"
        raise ConfigError("cluster.detach", True, legal)
    if callbacks and config.record.trace is not None:
        legal = "a trace does not record what callbacks do; leave out one of the two"
        raise ConfigError("record.trace", str(config.record.trace), legal)


@contextlib.contextmanager
def _called(callbacks: Sequence[Callback], folder: RunFolder, watcher: ProgressCallback) -> Iterator[None]:
    """Have callbacks called while a run goes on, and in the end told how it ended."""
    if not callbacks:
        yield
        return
    run = Run(folder.path)
    hooks = folder.hooks = Callbacks(callbacks, run, watcher.warning)
    try:
        yield
    except CallbackError as problem:
        _end(hooks, folder, watcher)
        if hooks.problem is not None and problem.__cause__ is None:
            raise problem from hooks.problem
        raise
    except BaseException:
        _end(hooks, folder, watcher)
        raise
    problems = _end(hooks, folder, watcher)
    if problems is not None:
        raise CallbackError(f"{problems}; the run itself has ended well: {folder.path}") from hooks.problem


def _begin(folder: RunFolder) -> None:
    if isinstance(folder.hooks, Callbacks):
        problem = folder.hooks.call("on_run_begin")[1]
        if problem is not None:
            raise CallbackError(problem)


def _end(hooks: Callbacks, folder: RunFolder, watcher: ProgressCallback) -> str | None:
    """Tell callbacks how the run ended; what is wrong with one of them, if anything is."""
    if not (folder.path / CONFIG).exists():
        # It never began.
        return None
    problem = hooks.call("on_run_end", read_status(folder.path))[1]
    if problem is not None:
        watcher.warning(problem)
    return problem


@contextlib.contextmanager
def _guest(config: RunConfig) -> Iterator[None]:
    """What a run does to the process that it is called from, for as long as it goes on."""
    with signals.interruptible(), one_thread_a_library() if config.engine == "local" else contextlib.nullcontext():
        yield


def engine(name: str) -> Launch:
    """The engine of that name, from the entry-point group ``dyadnet.engines``.

    Raises
    ------
    ConfigError
        If there is none, or a program has a module of its own in its place.
    """
    found = {point.name: point for point in entry_points(group=ENGINES)}
    if name not in found:
        raise ConfigError("engine", name, f"one of {', '.join(sorted(found))}")
    try:
        return cast(Launch, found[name].load())
    except ImportError as problem:
        module = found[name].module.partition(".")[0]
        there = getattr(sys.modules.get(module), "__file__", None)
        if there is None or (problem.name or "").partition(".")[0] != module:
            raise
        # A program's own file of that name, beside it or in the working directory, is found first.
        legal = f"the engine's package {module} is hidden by {there}, a module of the same name; rename that"
        raise ConfigError("engine", name, legal) from None


def _starts(config: RunConfig) -> str:
    """What a run that names no engine starts, which in a notebook nobody expects of one call."""
    count = config.cluster.actors or len(Topology(config.network).blocks)
    ray = "a Ray of its own" if config.cluster.address is None else f"the Ray at {config.cluster.address}"
    told = f"engine ray, the default: this run uses {ray} and starts {count} actors and a coordinator, each a process"
    if isinstance(config.dynamics.mode, FreeRunning):
        return told
    return f"{told}; RunConfig(engine='local') trains in this process, to the same bits"


def _in_this_process(config: RunConfig) -> RunConfig:
    """A baseline runs on the engine ``local``, if another one was not asked for."""
    if config.baseline is None or config.engine == "local":
        return config
    if "engine" in config.model_fields_set:
        raise ConfigError("engine", config.engine, "a baseline is trained in this process; use local, or leave it out")
    return config.model_copy(update={"engine": "local"})


def new_folder(config: RunConfig) -> Path:
    """A folder for a run that is given none: ``runs/<data>-<model>-<time>``, numbered if it is taken."""
    name = f"{Path(config.data.name).stem}-{model_of(config)}-{time.strftime('%Y%m%d-%H%M%S')}"
    folders = (Path("runs") / (f"{name}-{number}" if number else name) for number in itertools.count())
    return next(folder for folder in folders if not folder.exists())


def _named(config: RunConfig, given: Dataset) -> RunConfig:
    """The configuration with what data in memory are known by."""
    if "name" in config.data.model_fields_set and config.data.name != MEMORY:
        raise ConfigError("data.name", config.data.name, "data are given in memory too; leave out one of the two")
    if config.data.dir is not None:
        raise ConfigError("data.dir", str(config.data.dir), "data are given in memory; leave it out")
    if config.cluster.detach:
        legal = "data in memory end with this process, and a run that is left outlives it; save them as an .npz file"
        raise ConfigError("cluster.detach", True, legal)
    memory = described(given)
    return config.model_copy(update={"data": config.data.model_copy(update={"name": MEMORY, "memory": memory})})


def draw(run: Path, watcher: ProgressCallback, dataset: Dataset | None = None) -> None:
    """Draw a run's curves, the ages of its messages if it ran freely, its probes and images, into its folder; report.

    What was trained is there without its pictures: of those that cannot be drawn or written the watcher is warned.

    Parameters
    ----------
    dataset
        The run's, of which samples are drawn; read anew unless given.
    """
    again = f"dyadnet report {shlex.quote(str(run))}"
    try:
        try:
            with signals.interruptible():
                _keep_images(run, watcher, dataset)
                pictures(run)
        except (OSError, RunFolderError):
            raise
        except Exception as problem:
            watcher.warning(f"no pictures: {type(problem).__name__}: {' '.join(str(problem).split())[:300]}")
        _keep_maps(run, watcher, dataset)
        report.write([run], run / REPORT)
    except KeyboardInterrupt:
        watcher.warning(f"stopped while drawing pictures, after the training was over; for the report: {again}")
    except (OSError, RunFolderError, ArraysError, KeyError, TypeError, ValueError, IndexError) as problem:
        # The folder may be somebody else's, and hold anything.
        why = " ".join(str(problem).split())
        watcher.warning(f"no pictures and no report: {why}; once they can be written: {again}")


def _keep_images(run: Path, watcher: ProgressCallback, dataset: Dataset | None) -> None:
    """Write a few test images into a run's folder, if it has some; without them there are all other pictures."""
    try:
        strip.keep(Run(run), dataset=dataset)
    except DyadnetError as problem:
        watcher.warning(f"no images: {' '.join(str(problem).split())}")


def _keep_maps(run: Path, watcher: ProgressCallback, dataset: Dataset | None) -> None:
    """Leave what the report shows of a sample, if the run has weights."""
    config = read_config(run)
    if not saved_weights(run, BEST).exists() or (dataset is None and config.data.memory is not None):
        return
    try:
        arrays = feature_maps(run, load_data(config) if dataset is None else dataset)
        if arrays:
            maps.keep(run, arrays)
    except DyadnetError as problem:
        watcher.warning(f"no feature maps: {' '.join(str(problem).split())}")


def pictures(run: Path, kind: str | None = None) -> None:
    """Draw a run's curves, the ages of its messages, its probes and its images into its folder.

    Parameters
    ----------
    kind
        Format beside PNG; the run's own unless given.
    """
    with also_as(kind or read_config(run).record.pictures):
        _draw(run)


def _draw(run: Path) -> None:
    # Matplotlib takes a third of an actor's time to start, and no actor draws.
    try:
        from dyadnet.reporting import plots
    except OSError as problem:
        # No place for its cache: the report can be written all the same.
        raise ImportError(str(problem)) from None

    plots.curves(read_metrics(run), run / "curves.png", f"{run.name}")
    plots.ages(read_machinery(run), run / "ages.png", f"{run.name}")
    if (run / IMAGES).exists():
        plots.images(read(run / IMAGES), run / "images.png", run.name)
    for recorded in sorted((run / PROBES).glob("[0-9]*.npz")):
        plots.probed(read(recorded), recorded.with_suffix(".png"), f"relaxation {recorded.stem.lstrip('0')}")
