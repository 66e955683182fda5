"""Read the contents of a run's folder: settings, record, results, weights and probes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.config import RunConfig
from dyadnet.errors import ConfigError, RunFolderError
from dyadnet.files.arrays import read
from dyadnet.numerics.scores import merit
from dyadnet.runs import trained
from dyadnet.runs.export.layout import Arrays
from dyadnet.runs.folder import BEST, LAST, MACHINERY, PROBES, read_config, read_machinery, read_metrics, saved_weights
from dyadnet.runs.history import by_epoch
from dyadnet.runs.loading import load_data
from dyadnet.runs.record_lines import Epoch, Spent, epochs, spendings
from dyadnet.runs.status import Status, read_status
from dyadnet.runs.summary import Summary
from dyadnet.runs.weights import read_manifest


class RecordedRun:
    """Lazy, cached access to the contents of a run's folder; see `dyadnet.Run`."""

    def __init__(self, path: str | Path, weights: str = BEST, *, summary: Summary | None = None) -> None:
        if weights not in (BEST, LAST):
            raise ConfigError("weights", weights, f"one of {BEST}, {LAST}")
        self.path = Path(path)
        self.which = weights
        if summary is not None:
            self.__dict__["summary"] = summary

    @cached_property
    def config(self) -> RunConfig:
        """Every setting of the run, resolved."""
        return read_config(self.path)

    @cached_property
    def summary(self) -> Summary:
        """Summary of the run, as of its last finished epoch.

        Raises
        ------
        RunFolderError
            If no epoch has ended yet.
        """
        lines = self._epochs
        if not lines:
            raise RunFolderError(f"{self.path}: no epoch of this run has ended, so it has no results yet")
        best, last = max(lines, key=merit), lines[-1]
        return Summary.of(best, last, float(np.nansum(self.history["seconds"])), str(self.path))

    @property
    def test_accuracy(self) -> float:
        """Test accuracy (fraction of 1) of the weights best on validation; NaN where targets are numbers."""
        return self.summary.test_accuracy

    @property
    def validation_accuracy(self) -> float:
        """Validation accuracy (fraction of 1) of the weights best on validation; NaN where targets are numbers."""
        return self.summary.validation_accuracy

    @property
    def test_r2(self) -> float:
        """R² on the test part, of the weights best on validation; NaN where targets are classes."""
        return self.summary.test_r2

    @property
    def test_mae(self) -> float:
        """Mean absolute error on the test part, of the weights best on validation; NaN where targets are classes."""
        return self.summary.test_mae

    @property
    def test_squared_error(self) -> float:
        """Mean squared error on the test part, of the weights best on validation; NaN where targets are classes."""
        return self.summary.test_squared_error

    @property
    def test_psnr(self) -> float:
        """PSNR in dB on the test part, of the weights best on validation; NaN unless targets are images."""
        return self.summary.test_psnr

    @property
    def test_ssim(self) -> float:
        """SSIM on the test part, of the weights best on validation; NaN unless targets are images."""
        return self.summary.test_ssim

    @property
    def best_epoch(self) -> int:
        """The epoch (from 1) whose weights were best on the validation part."""
        return self.summary.best_epoch

    @property
    def train_loss(self) -> float:
        """Mean loss over the last epoch's minibatches."""
        return self.summary.train_loss

    @property
    def weights_sha256(self) -> str:
        """Hash of the last weights."""
        return self.summary.weights_sha256

    @property
    def seconds(self) -> float:
        """Duration of training in seconds, including evaluations."""
        return self.summary.seconds

    @property
    def out(self) -> str:
        """The run's folder, as a string."""
        return str(self.path)

    @property
    def status(self) -> Status:
        """Present status: ``state`` (running, finished, stopped, diverged, failed, killed) and ``why``."""
        return read_status(self.path)

    @cached_property
    def history(self) -> dict[str, NDArray[Any]]:
        """Metrics by epoch, each of shape (epochs,).

        Keys are ``epoch`` (from 1), ``train_loss``, ``validation_accuracy``, ``test_sweeps``, ``learning_rate``,
        ``radius``, ``seconds`` and more. In ``<part>_<metric>``, the part is ``train`` (over the epoch's minibatches),
        ``validation`` or ``test``; in a run with imperfections also ``validation_ideal`` or ``test_ideal``, evaluated
        without them. Losses are means per sample, accuracies fractions of 1. Where targets are numbers, ``r2``,
        ``mae`` and ``squared_error`` replace the accuracies; where they are images, ``psnr`` (in dB) and ``ssim`` are
        added. Values that an epoch does not have are NaN.
        """
        return by_epoch(self._epochs, self._spent)

    @cached_property
    def weights(self) -> dict[str, NDArray[Any]]:
        """Trained arrays by name.

        ``pre->post`` has shape (n_post, n_pre), where the `pre` of θ₀ is ``input``; ``bias/population`` has shape (n,).

        Raises
        ------
        RunFolderError
            If no weights were saved, or they are damaged or belong to another network.
        """
        return {name.removeprefix("weights/"): array for name, array in self._arrays.items()}

    @property
    def probes(self) -> dict[int, dict[str, NDArray[Any]]]:
        """Recordings of the probes, by relaxation number, then by ``block/series``; see `dyadnet.dynamics.probes`."""
        files = sorted((self.path / PROBES).glob("[0-9]*.npz"))
        return {int(file.stem): dict(read(file)) for file in files}

    @property
    def labels(self) -> tuple[Any, ...]:
        """Labels of the classes, in the order of the outputs; empty where targets are numbers."""
        if self.target_shape is not None:
            return ()
        memory = self.config.data.memory
        named = None if memory is None else memory.classes
        return tuple(range(self.config.network.classes)) if named is None else tuple(named)

    @property
    def target_shape(self) -> tuple[int, ...] | None:
        """Shape of one sample's target where targets are numbers, () for one number; None where they are classes.

        Raises
        ------
        RunFolderError
            If no weights were saved, or they are damaged.
        """
        shape = self._manifest.get("target_shape")
        return None if shape is None else tuple(shape)

    def forget(self) -> None:
        """Clear the cache, so that everything is read again: the run has continued."""
        for name in ("config", "summary", "history", "weights", "_epochs", "_manifest", "_arrays", "_scaling"):
            self.__dict__.pop(name, None)

    def __fspath__(self) -> str:
        """Return the run's folder, so that a run can be used wherever its path can."""
        return str(self.path)

    @cached_property
    def _epochs(self) -> list[Epoch]:
        """The record lines of epochs, the newest of each epoch."""
        return epochs(read_metrics(self.path))

    @property
    def _spent(self) -> list[Spent]:
        return spendings(read_machinery(self.path)) if (self.path / MACHINERY).exists() else []

    @cached_property
    def _manifest(self) -> Mapping[str, Any]:
        return read_manifest(saved_weights(self.path, self.which))

    @cached_property
    def _arrays(self) -> Arrays:
        return trained.read(saved_weights(self.path, self.which), self.config.network, self._manifest)

    @cached_property
    def _scaling(self) -> tuple[float, str]:
        """Factor that turns raw values of the training data into network inputs, and the type of these raw values."""
        about = self._manifest
        if isinstance(about.get("input_scale"), float) and isinstance(about.get("input_dtype"), str):
            return about["input_scale"], about["input_dtype"]
        # Older runs did not record these.
        dataset = load_data(self.config)
        return dataset.scale, dataset.train.images.dtype.name
