"""Write a run's checkpoints when they are due, remove superseded ones, and end a run when a stop is requested."""

from __future__ import annotations

import platform
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol

import numpy as np

from dyadnet.checkpoint.blocks import find
from dyadnet.checkpoint.manifest import MANIFEST, File, Manifest
from dyadnet.checkpoint.position import Best, Position
from dyadnet.checkpoint.resume_point import ResumePoint
from dyadnet.checkpoint.rhythm import CheckpointRef, CheckpointSchedule, superseded
from dyadnet.config import RunConfig
from dyadnet.errors import CheckpointError, ConfigError, DyadnetError, StoppedError, StoreError
from dyadnet.files.store import Store
from dyadnet.process.commands import command
from dyadnet.runs import record_lines
from dyadnet.runs.folder import Recorder
from dyadnet.runs.observer import MetricsCallback
from dyadnet.runs.watcher import ProgressCallback
from dyadnet.training.stop import Stop


class Blocks(Protocol):
    """The engine methods that the checkpoint writer uses; see `dyadnet.engines.protocol.Engine`."""

    def find(self, store: Store, nonce: str) -> None:
        """Check that every actor can read the file `nonce`."""

    def save(self, store: Store, folder: str) -> dict[str, File]:
        """Write one file for every block; return the files by block."""

    def restore(self, store: Store, checkpoint: Manifest) -> None:
        """Restore every block from its file."""


class CheckpointWriter:
    """Writes the checkpoints of one run. The coordinator calls it between minibatches.

    If a checkpoint cannot be written (disk full, folder missing), training continues with a warning. The next
    checkpoint is tried when it is due; earlier checkpoints remain.

    Parameters
    ----------
    config
        The run's configuration.
    beginning
        The folder of checkpoints, and the checkpoint that the run starts from.
    recorder
        The records whose lengths go into each checkpoint.
    watcher
        Receives warnings.
    observer
        Is notified of every checkpoint.
    stop
        Tells whether the run is to stop after the current minibatch.
    faults
        Returns the injected faults that have fired.
    """

    def __init__(
        self,
        config: RunConfig,
        beginning: ResumePoint,
        recorder: Recorder,
        watcher: ProgressCallback,
        observer: MetricsCallback,
        stop: Stop | None = None,
        faults: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        assert beginning.store is not None
        self.store = beginning.store
        self.newest = beginning.start
        self._config = config
        self._plain = config.model_dump(mode="json")
        self._nonce = beginning.nonce
        self._recorder = recorder
        self._watcher = watcher
        self._observer = observer
        self._stop = stop or Stop()
        self._faults = faults
        self._kept = list(beginning.kept)
        self._leftover = list(beginning.unusable)
        self._rhythm = CheckpointSchedule(config.checkpoint, 0, time.monotonic())

    def begin(self, blocks: Blocks, position: Position) -> None:
        """Prepare for training: check that all actors see the folder, then restore or write a checkpoint.

        If there is a newest checkpoint, all blocks are restored from it; otherwise the first checkpoint is written.

        Raises
        ------
        ConfigError
            If an actor does not see the folder, or the first checkpoint cannot be written.
        CheckpointError
            If the newest checkpoint cannot be read.
        """
        find(self.store, self._nonce, "the coordinator")
        blocks.find(self.store, self._nonce)
        if self.newest is not None:
            blocks.restore(self.store, self.newest)
            self._rhythm.taken(position.updates, time.monotonic())
            return
        try:
            self._write(blocks, _name(position), position)
        except StoreError as problem:
            raise ConfigError("checkpoint.folder", self.store.folder, str(problem)) from None

    def minibatch(self, blocks: Blocks, updates: int, position: Callable[[], Position]) -> None:
        """Write a checkpoint after a minibatch if one is due, or end the run if a stop was requested.

        Raises
        ------
        StoppedError
            If a stop was requested; a checkpoint has been written.
        DyadnetError
            If a stop was requested and no checkpoint could be written.
        """
        if self._stop.requested:
            self._end(blocks, position())
        if self._rhythm.due(updates, time.monotonic()):
            self.keep(blocks, position())

    def epoch(self, blocks: Blocks, position: Position, *, improved: bool, over: bool) -> Best | None:
        """Write a checkpoint after an epoch if its weights are the best so far or the run is over; see `minibatch`.

        Returns
        -------
        Best
            The best weights of `position`, with the name of the checkpoint that holds them.
        """
        if improved or over:
            name = self.keep(blocks, position, best=improved)
            if improved and position.best is not None:
                position = replace(position, best=replace(position.best, checkpoint=name))
        if not over:
            self.minibatch(blocks, position.updates, lambda: position)
        return position.best

    def keep(self, blocks: Blocks, position: Position, *, best: bool = False) -> str | None:
        """Write a checkpoint. Return its name, or None if it could not be written.

        Parameters
        ----------
        best
            Whether it holds the best weights so far.
        """
        try:
            return self._keep(blocks, position, best=best)
        except StoreError as problem:
            self._watcher.warning(f"no checkpoint: {problem}; training goes on, and {self._last()}")
            return None

    def _end(self, blocks: Blocks, position: Position) -> None:
        again = command("resume", self._recorder.name)
        try:
            if self.newest is None or self.newest.position != position:
                self._keep(blocks, position)
        except StoreError as problem:
            raise DyadnetError(f"stopped, but no checkpoint: {problem}; {self._last()}; go on with: {again}") from None
        where = f"in epoch {position.epoch + 1}, after minibatch {position.minibatch}"
        raise StoppedError(f"stopped {where}; a checkpoint is written; go on with: {again}")

    def _keep(self, blocks: Blocks, position: Position, *, best: bool = False) -> str:
        self._rhythm.taken(position.updates, time.monotonic())
        name = _name(position)
        if best and position.best is not None:
            position = replace(position, best=replace(position.best, checkpoint=name))
        try:
            self._write(blocks, name, position)
        except BaseException:
            # Actors may still write to it. What is left is removed with the next checkpoint.
            self.store.remove(name)
            self._leftover.append(name)
            raise
        self._tidy()
        return name

    def _write(self, blocks: Blocks, name: str, position: Position) -> None:
        started = time.perf_counter()
        files = blocks.save(self.store, name)
        self._recorder.settle()
        manifest = Manifest(
            name,
            self._plain,
            position,
            files,
            self._recorder.lengths(),
            tuple(self._faults()),
            time.time(),
            versions(),
        )
        self.store.write(f"{name}/{MANIFEST}", manifest.encoded())
        self.newest = manifest
        self._kept.append(CheckpointRef(name, None if position.best is None else position.best.checkpoint))
        seconds = time.perf_counter() - started
        self._observer.saved("checkpoint", seconds, manifest.size)
        self._recorder.machinery({**record_lines.checkpoint(name, position.updates, seconds, manifest.size)})

    def _tidy(self) -> None:
        gone = superseded(self._kept, self._config.checkpoint.keep)
        leftover, self._leftover = self._leftover, []
        for name in [*gone, *leftover]:
            try:
                self.store.remove(name)
            except CheckpointError:
                continue
        self._kept = [one for one in self._kept if one.name not in gone]

    def _last(self) -> str:
        if self.newest is None:
            return "there is none"
        return f"the last one is of minibatch {self.newest.position.updates}"


def versions() -> dict[str, Any]:
    """Return the versions of dyadnet, Python and NumPy, for a checkpoint's manifest."""
    try:
        ours = version("dyadnet")
    except PackageNotFoundError:
        # The code was sent to this node, not installed on it.
        ours = "sent"
    return {"dyadnet": ours, "python": platform.python_version(), "numpy": np.__version__}


def _name(position: Position) -> str:
    return f"{position.updates:08d}-{secrets.token_hex(4)}"
