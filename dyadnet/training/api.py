"""Train from a configuration: one call loads the data, opens the folder, runs the engine and draws the plots."""

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
"""A function that trains a run and returns its summary; each entry point of the group `ENGINES` names one."""


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
        The configuration of the run. Layer sizes that it leaves open are taken from the data.
    out
        A new or empty folder; default: ``runs/<data>-<model>-<time>``.
    watcher
        Receives progress reports. Default: none; in a notebook, a progress bar.
    data
        Data in memory, in place of ``config.data.name``: ``(X, y)`` or ``(X, y, X_test, y_test)`` with X of shape
        (samples, features), pairs ``(x, y)``, or a `dyadnet.Dataset`; see `dyadnet.data.as_dataset`. The run's folder
        records a description of the data (shapes, classes, SHA-256), not the data themselves.
    callbacks
        Called in this process during the run; see `dyadnet.Callback`.
    init_from
        A run, or its folder. Training starts from its best weights. Its network must have the same populations and
        projections; everything else may differ. The setting ``init_from`` does the same and can also select the last
        weights.
    report
        Whether to draw pictures and write a report at the end; False is the setting ``record.report: false``.

    Returns
    -------
    Run
        The finished run; it reads the contents of the run's folder.

    Raises
    ------
    UsageError
        If the configuration, the data or the folder cannot be used. What was written to the folder is removed again,
        unless training had begun.
    DivergedError
        If a relaxation diverges.
    CallbackError
        If a callback raises; a checkpoint is written.
    StoppedError
        If a signal stops the run, or a callback stops it before the first epoch has ended; a checkpoint is written.
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
                    # The training process holds the checkpoints, and that is not this process.
                    launch(config, dataset, folder, watcher)
                with opened(config, out, watcher.note, begun=lambda: folder.begun) as beginning:
                    folder.beginning = replace(beginning, initial=initial)
                    summary = launch(config, dataset, folder, watcher)
                folder.finish(summary.weights_sha256)
                folder.ended(summary)
        except BaseException as problem:
            # Keep the files of a diverged run, because they show why. The state of a detached run is not known here.
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
    """Resume a run from its newest intact checkpoint. The result is bit-identical to an uninterrupted run.

    Parameters
    ----------
    run
        The run's folder.
    changes
        Settings to change from now on, as plain values; see `dyadnet.checkpoint.continuing` for those that may change.
        ``cluster.detach`` is not inherited from the run: it is False unless given here.
    watcher
        Receives progress reports. Default: none; in a notebook, a progress bar.
    data
        The same data again, if the run was trained on data in memory. Their hash is checked.
    callbacks
        As in `train`. Callbacks whose state is in the checkpoint continue from that state.

    Raises
    ------
    UsageError
        If there is no checkpoint to resume from, another run uses the folder, a changed setting would change the
        result, or data in memory are missing or differ.
    DivergedError
        If a relaxation diverges.
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
            # The training process holds the lock and the records, and that is not this process.
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
    """Record a run's status, and draw its pictures when it has ended well. A detached run does both itself."""
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
    """Attach the callbacks to a run while it lasts, and call their ``on_run_end`` at its end."""
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
    """Call ``on_run_end`` of all callbacks. Return the error of the first one that raises, or None."""
    if not (folder.path / CONFIG).exists():
        # It never began.
        return None
    problem = hooks.call("on_run_end", read_status(folder.path))[1]
    if problem is not None:
        watcher.warning(problem)
    return problem


@contextlib.contextmanager
def _guest(config: RunConfig) -> Iterator[None]:
    """Adapt the calling process for the duration of a run: signals interrupt it, and libraries use one thread."""
    with signals.interruptible(), one_thread_a_library() if config.engine == "local" else contextlib.nullcontext():
        yield


def engine(name: str) -> Launch:
    """Return the engine of that name, from the entry-point group ``dyadnet.engines``.

    Raises
    ------
    ConfigError
        If there is no such engine, or another module of the same name hides the engine's package.
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
    """Describe the processes that a run on the default engine starts, which may surprise a notebook user."""
    count = config.cluster.actors or len(Topology(config.network).blocks)
    ray = "a Ray of its own" if config.cluster.address is None else f"the Ray at {config.cluster.address}"
    told = f"engine ray, the default: this run uses {ray} and starts {count} actors and a coordinator, each a process"
    if isinstance(config.dynamics.mode, FreeRunning):
        return told
    return f"{told}; RunConfig(engine='local') trains in this process, to the same bits"


def _in_this_process(config: RunConfig) -> RunConfig:
    """Select the engine ``local`` for a baseline; refuse any other engine that was set explicitly."""
    if config.baseline is None or config.engine == "local":
        return config
    if "engine" in config.model_fields_set:
        raise ConfigError("engine", config.engine, "a baseline is trained in this process; use local, or leave it out")
    return config.model_copy(update={"engine": "local"})


def new_folder(config: RunConfig) -> Path:
    """Return the default folder of a new run: ``runs/<data>-<model>-<time>``, with a number added if it exists."""
    name = f"{Path(config.data.name).stem}-{model_of(config)}-{time.strftime('%Y%m%d-%H%M%S')}"
    folders = (Path("runs") / (f"{name}-{number}" if number else name) for number in itertools.count())
    return next(folder for folder in folders if not folder.exists())


def _named(config: RunConfig, given: Dataset) -> RunConfig:
    """Return the configuration with a description of the data in memory."""
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
    """Draw a run's curves, message ages (free-running mode), probes and images into its folder, and write its report.

    A picture that cannot be drawn or written causes a warning, not an error, because the training results do not
    depend on it.

    Parameters
    ----------
    dataset
        The run's data set, for pictures of samples; read again unless given.
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
        # The folder may come from another user and hold unexpected files.
        why = " ".join(str(problem).split())
        watcher.warning(f"no pictures and no report: {why}; once they can be written: {again}")


def _keep_images(run: Path, watcher: ProgressCallback, dataset: Dataset | None) -> None:
    """Write a few test images into the run's folder, if its targets are images. A failure only causes a warning."""
    try:
        strip.keep(Run(run), dataset=dataset)
    except DyadnetError as problem:
        watcher.warning(f"no images: {' '.join(str(problem).split())}")


def _keep_maps(run: Path, watcher: ProgressCallback, dataset: Dataset | None) -> None:
    """Write the feature maps that the report shows, if the run has saved weights."""
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
        An additional format beside PNG; default: the run's setting ``record.pictures``.
    """
    with also_as(kind or read_config(run).record.pictures):
        _draw(run)


def _draw(run: Path) -> None:
    # Matplotlib takes a third of an actor's time to start, and no actor draws.
    try:
        from dyadnet.reporting import plots
    except OSError as problem:
        # Matplotlib cannot write its cache; the report can still be written.
        raise ImportError(str(problem)) from None

    plots.curves(read_metrics(run), run / "curves.png", f"{run.name}")
    plots.ages(read_machinery(run), run / "ages.png", f"{run.name}")
    if (run / IMAGES).exists():
        plots.images(read(run / IMAGES), run / "images.png", run.name)
    for recorded in sorted((run / PROBES).glob("[0-9]*.npz")):
        plots.probed(read(recorded), recorded.with_suffix(".png"), f"relaxation {recorded.stem.lstrip('0')}")
