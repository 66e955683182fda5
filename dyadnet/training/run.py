"""The class `Run`: reads a run's folder, predicts with its weights, and plots its results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.config import RunConfig
from dyadnet.data import Data
from dyadnet.errors import ConfigError, DyadnetError, RunFolderError
from dyadnet.files.arrays import read
from dyadnet.network.topology import Topology
from dyadnet.numerics.histogram import AGES
from dyadnet.runs import weights as saved
from dyadnet.runs.export.layout import split
from dyadnet.runs.folder import BEST, IMAGES, read_machinery
from dyadnet.runs.maps import image_of
from dyadnet.runs.record_lines import numbers as numbers  # its old place
from dyadnet.runs.recorded import RecordedRun
from dyadnet.runs.summary import Summary
from dyadnet.training.inference import means, network_inputs, precise

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame


def load(path: str | Path, *, weights: str = BEST) -> Run:
    """Load a run from its folder, finished or not, trained on any engine.

    Parameters
    ----------
    path
        The run's folder.
    weights
        Weights to predict with: ``best`` (on validation) or ``last``.

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


class Run(RecordedRun):
    """A run and the contents of its folder. Each item is read when it is first needed, and cached.

    Parameters
    ----------
    path
        The run's folder.
    weights
        ``best`` or ``last``.
    summary
        The run's summary, if it is known; read from the record otherwise.

    Attributes
    ----------
    path
        The run's folder.
    which
        ``best`` or ``last``: the weights that `weights`, `predict` and `outputs` use.
    """

    def __init__(self, path: str | Path, weights: str = BEST, *, summary: Summary | None = None) -> None:
        super().__init__(path, weights, summary=summary)
        self._stop: Callable[[str], None] | None = None

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict the label of each sample, shape (samples,): the label of the output with the highest settled mean.

        Where targets are numbers, return the outputs themselves, in the shape `target_shape` for each sample.

        Parameters
        ----------
        X
            See `outputs`.
        """
        return self.meant(self.outputs(X))

    def meant(self, outputs: NDArray[np.float64]) -> NDArray[Any]:
        """Convert outputs of shape (samples, outputs) to labels or targets; see `predict`."""
        if self.target_shape is not None:
            return outputs.reshape(len(outputs), *self.target_shape)
        labels: NDArray[Any] = np.array(self.labels)
        return np.asarray(labels[outputs.argmax(axis=1)])

    def outputs(self, X: Any) -> NDArray[np.float64]:
        """Settle the network at β = 0 in this process and return the means of the output dyads, (samples, outputs).

        The network settles to the fixed point itself, under the run's imperfections. Under noise, or with a fixed
        number of sweeps, it settles as in the run's evaluations.

        Parameters
        ----------
        X
            Samples of shape (samples, …), of the same kind as the training data: bytes if the run was trained on bytes.
            A run that denoises also accepts floats, as noisy images with a pixel range of 1; no noise is added.

        Raises
        ------
        DataError
            If X has another number of features or another kind of numbers, or holds values that are not finite.
        RunFolderError
            If no weights were saved, or they are damaged.
        DivergedError
            If a relaxation diverges.
        """
        return self.settled(precise(self.config), *network_inputs(X, self.config, *self._scaling))

    def settled(
        self, config: RunConfig, inputs: NDArray[Any], scale: float = 1.0, population: str | None = None
    ) -> NDArray[np.float64]:
        """Settle the network at β = 0 under a configuration of the same network; return the means of a population.

        Parameters
        ----------
        config, inputs, scale
            See `dyadnet.training.inference.means`.
        population
            Name of the population; default: the output.
        """
        parameters = split(self._arrays, Topology(config.network))
        how = tuple(self._manifest["couplings"]), inputs, scale, saved.normalised_by(self._manifest)
        name = config.network.output if population is None else population
        return means(config, parameters, *how, of=[name])[name]

    def plot(self, ax: Axes | None = None, what: str = "both") -> Axes:
        """Plot the metrics of the run's epochs.

        Parameters
        ----------
        ax
            Axes to draw on; default: those of a new pyplot figure.
        what
            ``both``: losses, and accuracies on a second axis. ``loss``, ``error`` (per cent; PSNR for images),
            ``sweeps`` (to settle a minibatch, with the spectral radius on a second axis) or ``saturation`` (per cent,
            by block): the respective panel of ``curves.png``.

        Returns
        -------
        matplotlib.axes.Axes
            The axes that were drawn on; the left ones where there are two.

        Raises
        ------
        ConfigError
            If `what` is none of these.
        """
        from dyadnet.reporting.plots import CURVES, both, literal, mark

        if what != "both" and what not in CURVES:
            raise ConfigError("what", what, f"one of both, {', '.join(CURVES)}")
        ax = _new_axes() if ax is None else ax
        (both if what == "both" else CURVES[what])(ax, self._epochs)
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
        """Plot the trajectories of a block's probed neurons, tick by tick, one colour per neuron.

        Parameters
        ----------
        block
            Name of a probed block.
        ax
            Axes to draw on; default: those of a new pyplot figure.
        what
            ``compartments`` (a⁺ and, dashed, a⁻), ``mean`` (m) or ``difference`` (d).
        relaxation
            Number of a relaxation in `probes`; default: the last.
        sample
            Index of the probed sample, from 0.

        Returns
        -------
        matplotlib.axes.Axes
            The axes that were drawn on.

        Raises
        ------
        RunFolderError
            If the run has no probes.
        ConfigError
            If the probes have no such block, relaxation or sample, or `what` is none of these.
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

    def plot_ages(self, ax: Axes | None = None, *, what: str = "age_updates") -> Axes:
        """Plot the age of the messages that updates read, for a run in real time, one curve per edge between actors.

        Parameters
        ----------
        ax
            Axes to draw on; default: those of a new pyplot figure.
        what
            Unit of the age: ``age_updates`` (updates of the sender) or ``age_ms`` (milliseconds).

        Returns
        -------
        matplotlib.axes.Axes
            The axes that were drawn on.

        Raises
        ------
        RunFolderError
            If the run was in virtual time, where the delays determine all ages, or has no finished epoch.
        ConfigError
            If `what` is none of these.
        """
        from dyadnet.reporting.plots import age_curves, literal, read_ages

        _listed("what", what, list(AGES))
        edges = read_ages(read_machinery(self.path))
        if not edges:
            raise RunFolderError(f"{self.path}: no ages here; they are measured where dynamics.mode is free")
        ax = _new_axes() if ax is None else ax
        age_curves(ax, edges, what)
        ax.legend(frameon=False, title="from → to")
        ax.set_title(literal(self.path.resolve().name))
        return ax

    def plot_images(self, ax: Axes | None = None, *, data: Data | None = None) -> Axes:
        """Draw the first test images: inputs, the network's outputs under its best weights, and targets.

        Parameters
        ----------
        ax
            Axes to draw on; default: those of a new pyplot figure.
        data
            The same data again, if the run was trained on data in memory and drew no pictures.

        Returns
        -------
        matplotlib.axes.Axes
            The axes that were drawn on.

        Raises
        ------
        DataError
            If the run's targets are not images.
        UsageError
            If the run's weights or data cannot be read.
        """
        from dyadnet.reporting.plots import strip
        from dyadnet.training.strip import images

        kept = self.path / IMAGES
        shown = read(kept) if kept.exists() and data is None else images(self, data)
        ax = _new_axes() if ax is None else ax
        strip(ax, shown)
        return ax

    def plot_kernels(self, projection: str, ax: Axes | None = None) -> Axes:
        """Draw a projection's trained weights.

        Parameters
        ----------
        projection
            Name of the projection, ``pre->post``. A convolution, or a dense projection from images, is drawn as tiles,
            with one row for each postsynaptic channel or neuron, and in colour if the input has three channels. Sparse
            synapses are drawn as the pattern of connected pairs, all others as the matrix θ.
        ax
            Axes to draw on; default: those of a new pyplot figure.

        Returns
        -------
        matplotlib.axes.Axes
            The axes that were drawn on.

        Raises
        ------
        ConfigError
            If there is no such projection, or it has no trained weights.
        """
        from dyadnet.reporting.plots import shown
        from dyadnet.reporting.tiles import of_weights

        found = {one.name: one for one in self.config.network.projections}
        _listed("projection", projection, list(found))
        picture = of_weights(self.config.network, found[projection], self.weights, image_of(self.path))
        return shown(picture, _new_axes() if ax is None else ax)

    def plot_maps(self, population: str, x: Any, ax: Axes | None = None) -> Axes:
        """Draw the settled means of a population for a sample, one tile for each channel.

        Parameters
        ----------
        population
            Name of a population with a shape (channels, height, width).
        x
            The sample; see `outputs`.
        ax
            Axes to draw on; default: those of a new pyplot figure.

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
        inputs, scale = network_inputs(np.asarray(x)[None], self.config, *self._scaling)
        values = self.settled(precise(self.config), inputs, scale, population)
        picture = of_maps(population, values.reshape(found[population].extent), found[population].f.bounds)
        return shown(picture, _new_axes() if ax is None else ax)

    def to_pandas(self) -> DataFrame:
        """Return `history` as a table with one row per epoch, indexed by ``epoch``.

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
        """End the run after the current minibatch or epoch, with a checkpoint. To be called from a callback.

        Parameters
        ----------
        reason
            The reason in one line, for the run's status.

        Raises
        ------
        DyadnetError
            If this program is not training the run with callbacks.
        """
        if self._stop is None:
            raise DyadnetError(f"{self.path}: only a callback can stop a run, while it is trained")
        self._stop(reason)

    def stoppable(self, stop: Callable[[str], None] | None) -> None:
        """Set the function that `stop` calls; None: the run is over."""
        self._stop = stop

    def __repr__(self) -> str:
        epochs = f"{len(self._epochs)} of {self.config.learning.epochs} epochs"
        told = f", {self.summary.told}" if self._epochs else ""
        return f"Run({str(self.path)!r}, {self.status.state}, {epochs}{told})"

    def _repr_html_(self) -> str:
        """Return the HTML that a notebook shows."""
        from dyadnet.notebook import html

        return html.run(self)


def _new_axes() -> Axes:
    from matplotlib import pyplot

    return pyplot.subplots()[1]


def _listed(field: str, value: Any, legal: list[Any]) -> None:
    if value not in legal:
        raise ConfigError(field, value, f"one of {', '.join(map(str, legal)) or '(there is none in this run)'}")
