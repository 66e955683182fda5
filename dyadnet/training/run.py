"""A run as an object: what its folder holds, and what its weights say of new samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.config import RunConfig
from dyadnet.errors import ConfigError, DyadnetError, RunFolderError
from dyadnet.files.arrays import read
from dyadnet.network.topology import Topology
from dyadnet.numerics.scores import merit
from dyadnet.runs import trained
from dyadnet.runs import weights as saved
from dyadnet.runs.export.layout import Arrays, split
from dyadnet.runs.folder import BEST, LAST, MACHINERY, PROBES, read_config, read_machinery, read_metrics, saved_weights
from dyadnet.runs.history import by_epoch
from dyadnet.runs.loading import load_data
from dyadnet.runs.maps import image_of
from dyadnet.runs.record_lines import Epoch, Spent, epochs, spendings
from dyadnet.runs.status import Status, read_status
from dyadnet.runs.summary import Summary
from dyadnet.training.inference import checked, means, precise

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame


def load(path: str | Path, *, weights: str = BEST) -> Run:
    """A run from its folder, whatever engine it ran on, finished or not.

    Parameters
    ----------
    path
        The run's folder.
    weights
        Those that predict: ``best`` (on validation) or ``last``.

    Raises
    ------
    RunFolderError
        If the folder holds no run.
    ConfigError
        If there are no weights of that name.
    """
    run = Run(path, weights)
    _ = run.config
    return run


class Run:
    """What a run's folder holds. Everything is read when it is first asked for, and kept.

    Parameters
    ----------
    path
        The run's folder.
    weights
        ``best`` or ``last``.
    summary
        How it ended, if that is known; read from the record otherwise.

    Attributes
    ----------
    path
        The run's folder.
    which
        ``best`` or ``last``: what `weights`, `predict` and `outputs` are of.
    """

    def __init__(self, path: str | Path, weights: str = BEST, *, summary: Summary | None = None) -> None:
        if weights not in (BEST, LAST):
            raise ConfigError("weights", weights, f"one of {BEST}, {LAST}")
        self.path = Path(path)
        self.which = weights
        self._stop: Callable[[str], None] | None = None
        if summary is not None:
            self.__dict__["summary"] = summary

    @cached_property
    def config(self) -> RunConfig:
        """Every setting of the run, resolved."""
        return read_config(self.path)

    @cached_property
    def summary(self) -> Summary:
        """How it ended, or how it stands after its last epoch.

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
        """Fraction of correct predictions on the test part, of the weights best on validation; NaN of numbers."""
        return self.summary.test_accuracy

    @property
    def validation_accuracy(self) -> float:
        """Fraction of correct predictions on the validation part, of the weights best there; NaN of numbers."""
        return self.summary.validation_accuracy

    @property
    def test_r2(self) -> float:
        """R² on the test part, of the weights best on validation, where targets are numbers; NaN of classes."""
        return self.summary.test_r2

    @property
    def test_mae(self) -> float:
        """Mean absolute error on the test part, of the same weights; NaN of classes."""
        return self.summary.test_mae

    @property
    def test_squared_error(self) -> float:
        """Mean squared error on the test part, of the same weights; NaN of classes."""
        return self.summary.test_squared_error

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
        """What training took, evaluations included."""
        return self.summary.seconds

    @property
    def out(self) -> str:
        """The run's folder, as text."""
        return str(self.path)

    @property
    def status(self) -> Status:
        """How it stands now: ``state`` (running, finished, stopped, diverged, failed, killed) and ``why``."""
        return read_status(self.path)

    @cached_property
    def history(self) -> dict[str, NDArray[Any]]:
        """Numbers by epoch, each of shape (epochs,): ``epoch`` (from 1), ``train_loss``, ``validation_accuracy``,
        ``test_sweeps``, ``learning_rate``, ``radius``, ``seconds`` and more.

        ``<part>_<number>`` is of ``train`` (over the epoch's minibatches), ``validation`` and ``test``, and with
        imperfections also of ``validation_ideal`` and ``test_ideal``, without them. Losses are means a sample,
        accuracies fractions of 1; where targets are numbers, ``r2``, ``mae`` and ``squared_error`` take their place.
        What an epoch does not have is NaN.
        """
        return by_epoch(self._epochs, self._spent)

    @cached_property
    def weights(self) -> dict[str, NDArray[Any]]:
        """Trained arrays: ``pre->post`` of shape (n_post, n_pre), ``input`` for θ₀'s `pre`; ``bias/population`` of
        shape (n,).

        Raises
        ------
        RunFolderError
            If none were saved, or they are damaged or of another network.
        """
        return {name.removeprefix("weights/"): array for name, array in self._arrays.items()}

    @property
    def probes(self) -> dict[int, dict[str, NDArray[Any]]]:
        """What the probes recorded, by relaxation number, then by ``block/series``; see `dyadnet.dynamics.probes`."""
        files = sorted((self.path / PROBES).glob("[0-9]*.npz"))
        return {int(file.stem): dict(read(file)) for file in files}

    @property
    def labels(self) -> tuple[Any, ...]:
        """What a user calls each class, in the order of the outputs; none where targets are numbers."""
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

    def predict(self, X: Any) -> NDArray[Any]:
        """The label of each sample, shape (samples,): that of the output that settles highest.

        Where targets are numbers, the outputs themselves: one of `target_shape` for each sample.

        Parameters
        ----------
        X
            See `outputs`.
        """
        return self.meant(self.outputs(X))

    def meant(self, outputs: NDArray[np.float64]) -> NDArray[Any]:
        """What outputs of shape (samples, outputs) stand for; see `predict`."""
        if self.target_shape is not None:
            return outputs.reshape(len(outputs), *self.target_shape)
        labels: NDArray[Any] = np.array(self.labels)
        return np.asarray(labels[outputs.argmax(axis=1)])

    def outputs(self, X: Any) -> NDArray[np.float64]:
        """Means of the output dyads, settled at β = 0 in this process, shape (samples, outputs).

        Settled to the fixed point itself, under the run's imperfections; under noise, or a fixed number of sweeps, for
        that number of sweeps.

        Parameters
        ----------
        X
            Samples of shape (samples, …), as those that the run was trained on: bytes where it was trained on bytes.

        Raises
        ------
        DataError
            If X has other features, another kind of numbers, or values that are none.
        RunFolderError
            If no weights were saved, or they are damaged.
        DivergedError
            If a relaxation runs away.
        """
        return self._means(X, self.config.network.output)

    def _means(self, X: Any, population: str) -> NDArray[np.float64]:
        """Means of a population's dyads, shape (samples, neurons); see `outputs`."""
        config, (scale, dtype) = precise(self.config), self._scaling
        parameters = split(self._arrays, Topology(config.network))
        inputs = checked(X, config.network.inputs, scale, dtype)
        how = tuple(self._manifest["couplings"]), inputs, scale, saved.normalised_by(self._manifest)
        return means(config, parameters, *how, of=[population])[population]

    def plot(self, ax: Axes | None = None, what: str = "both") -> Axes:
        """Draw what the run's epochs tell, on one pair of axes.

        Parameters
        ----------
        ax
            Where; a new figure's of pyplot unless given.
        what
            ``both``: losses, and accuracies on a second axis; ``loss``, ``error`` (per cent), ``sweeps`` (to settle a
            minibatch, with the spectral radius on a second axis) or ``saturation`` (per cent, by block), as
            ``curves.png`` has them.

        Returns
        -------
        matplotlib.axes.Axes
            The axes that were drawn on; the left ones where there are two.

        Raises
        ------
        ConfigError
            If `what` is none of these.
        """
        from dyadnet.reporting.plots import CURVES, literal, losses_and_scores, mark

        if what != "both" and what not in CURVES:
            raise ConfigError("what", what, f"one of both, {', '.join(CURVES)}")
        ax = _new_axes() if ax is None else ax
        if what == "both":
            losses_and_scores(ax, self.history)
        else:
            CURVES[what](ax, self._epochs)
        mark(ax)
        ax.set_title(literal(self.path.resolve().name))
        return ax

    def plot_probe(
        self,
        block: str,
        ax: Axes | None = None,
        *,
        what: str = "compartments",
        relaxation: int | None = None,
        sample: int = 0,
    ) -> Axes:
        """Draw what the probed neurons of a block did, tick by tick, one colour a neuron.

        Parameters
        ----------
        block
            One that was probed.
        ax
            Where; a new figure's of pyplot unless given.
        what
            ``compartments`` (a⁺ and, dashed, a⁻), ``mean`` (m) or ``difference`` (d).
        relaxation
            Which of `probes`; the last unless given.
        sample
            Which of the probed samples, from 0.

        Returns
        -------
        matplotlib.axes.Axes
            The axes that were drawn on.

        Raises
        ------
        RunFolderError
            If the run has no probes.
        ConfigError
            If there is no such block, relaxation or sample among them.
        """
        from dyadnet.reporting.plots import TRAJECTORIES, literal, trajectories

        probes = self.probes
        if not probes:
            raise RunFolderError(f"{self.path}: no probes here; train with the setting probe.neurons")
        number = max(probes) if relaxation is None else relaxation
        _listed("relaxation", number, list(probes))
        series = probes[number]
        _listed("block", block, sorted({key.split("/")[0] for key in series}))
        _listed("what", what, list(TRAJECTORIES))
        _listed("sample", sample, list(range(series[f"{block}/mean"].shape[1])))
        ax = _new_axes() if ax is None else ax
        trajectories(ax, series, block, what, sample)
        ax.set_title(literal(f"{block}, relaxation {number}"))
        return ax

    def plot_kernels(self, projection: str, ax: Axes | None = None) -> Axes:
        """Draw a projection's trained weights.

        Parameters
        ----------
        projection
            ``pre->post``. Of a convolution, and of a dense projection from images: tiles, a row for each postsynaptic
            channel or neuron; in colour from an input of three channels. Of sparse synapses: which pairs there are. Of
            others: the matrix θ.
        ax
            Where; a new figure's of pyplot unless given.

        Returns
        -------
        matplotlib.axes.Axes
            The axes that were drawn on.

        Raises
        ------
        ConfigError
            If there is no such projection, or it learns no weights.
        """
        from dyadnet.reporting.plots import shown
        from dyadnet.reporting.tiles import of_weights

        found = {one.name: one for one in self.config.network.projections}
        _listed("projection", projection, list(found))
        picture = of_weights(self.config.network, found[projection], self.weights, image_of(self.path))
        return shown(picture, _new_axes() if ax is None else ax)

    def plot_maps(self, population: str, x: Any, ax: Axes | None = None) -> Axes:
        """Draw what a population with a shape says of a sample: settled means, a tile for each channel.

        Parameters
        ----------
        population
            One with a shape (channels, height, width).
        x
            The sample; see `outputs`.
        ax
            Where; a new figure's of pyplot unless given.

        Returns
        -------
        matplotlib.axes.Axes
            The axes that were drawn on.

        Raises
        ------
        ConfigError
            If there is no such population; for the rest see `outputs`.
        """
        from dyadnet.reporting.plots import shown
        from dyadnet.reporting.tiles import of_maps

        found = {one.name: one for one in self.config.network.populations if one.shape is not None}
        _listed("population", population, list(found))
        values = self._means(np.asarray(x)[None], population).reshape(found[population].extent)
        return shown(of_maps(population, values, found[population].f.bounds), _new_axes() if ax is None else ax)

    def to_pandas(self) -> DataFrame:
        """`history` as a table with a row an epoch, indexed by ``epoch``.

        Raises
        ------
        DyadnetError
            If pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise DyadnetError("to_pandas needs pandas: pip install 'dyadnet[pandas]'") from None
        return pandas.DataFrame(self.history).set_index("epoch")

    def stop(self, reason: str) -> None:
        """From a callback: end the run after the present minibatch or epoch, with a checkpoint.

        Parameters
        ----------
        reason
            In one line; the run's status has it.

        Raises
        ------
        DyadnetError
            If this is no run that this program trains with callbacks.
        """
        if self._stop is None:
            raise DyadnetError(f"{self.path}: only a callback can stop a run, while it is trained")
        self._stop(reason)

    def stoppable(self, stop: Callable[[str], None] | None) -> None:
        """Have `stop` do this; None: it is over."""
        self._stop = stop

    def forget(self) -> None:
        """Read everything anew when it is asked for the next time: the run goes on."""
        for name in ("config", "summary", "history", "weights", "_epochs", "_manifest", "_arrays", "_scaling"):
            self.__dict__.pop(name, None)

    def __fspath__(self) -> str:
        """Its folder: a run may stand wherever a path of one may."""
        return str(self.path)

    def __repr__(self) -> str:
        epochs = f"{len(self._epochs)} of {self.config.learning.epochs} epochs"
        told = f", {self.summary.told}" if self._epochs else ""
        return f"Run({str(self.path)!r}, {self.status.state}, {epochs}{told})"

    def _repr_html_(self) -> str:
        """In a notebook."""
        from dyadnet.notebook import html

        return html.run(self)

    @cached_property
    def _epochs(self) -> list[Epoch]:
        """The record's lines of epochs, the newest of each."""
        return epochs(read_metrics(self.path))

    @property
    def _spent(self) -> list[Spent]:
        return spendings(read_machinery(self.path)) if (self.path / MACHINERY).exists() else []

    @cached_property
    def _manifest(self) -> Mapping[str, Any]:
        return saved.read_manifest(saved_weights(self.path, self.which))

    @cached_property
    def _arrays(self) -> Arrays:
        return trained.read(saved_weights(self.path, self.which), self.config.network, self._manifest)

    @cached_property
    def _scaling(self) -> tuple[float, str]:
        """What raw values are multiplied by, and their type in the data that were trained on."""
        about = self._manifest
        if isinstance(about.get("input_scale"), float) and isinstance(about.get("input_dtype"), str):
            return about["input_scale"], about["input_dtype"]
        # Of a run of before these were written down.
        dataset = load_data(self.config)
        return dataset.scale, dataset.train.images.dtype.name


def _new_axes() -> Axes:
    from matplotlib import pyplot

    return pyplot.subplots()[1]


def _listed(field: str, value: Any, legal: list[Any]) -> None:
    if value not in legal:
        raise ConfigError(field, value, f"one of {', '.join(map(str, legal)) or '(there is none in this run)'}")
