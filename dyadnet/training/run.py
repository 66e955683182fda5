"""A run as an object: what its folder holds, and what its weights say of new samples."""

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


class Run(RecordedRun):
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
        super().__init__(path, weights, summary=summary)
        self._stop: Callable[[str], None] | None = None

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
            Samples of shape (samples, …), as those that the run was trained on: bytes where it was trained on bytes. A
            run that denoises also takes floats, noisy images whose pixels have a range of 1; it adds no noise.

        Raises
        ------
        DataError
            If X has other features, another kind of numbers, or values that are none.
        RunFolderError
            If no weights were saved, or they are damaged.
        DivergedError
            If a relaxation runs away.
        """
        return self.settled(precise(self.config), *network_inputs(X, self.config, *self._scaling))

    def settled(
        self, config: RunConfig, inputs: NDArray[Any], scale: float = 1.0, population: str | None = None
    ) -> NDArray[np.float64]:
        """Means of a population's dyads, the output's unless it is named, under a configuration of the same network.

        Parameters
        ----------
        config, inputs, scale
            See `dyadnet.training.inference.means`.
        """
        parameters = split(self._arrays, Topology(config.network))
        how = tuple(self._manifest["couplings"]), inputs, scale, saved.normalised_by(self._manifest)
        name = config.network.output if population is None else population
        return means(config, parameters, *how, of=[name])[name]

    def plot(self, ax: Axes | None = None, what: str = "both") -> Axes:
        """Draw what the run's epochs tell, on one pair of axes.

        Parameters
        ----------
        ax
            Where; a new figure's of pyplot unless given.
        what
            ``both``: losses, and accuracies on a second axis; ``loss``, ``error`` (per cent; of images the PSNR),
            ``sweeps`` (to settle a minibatch, with the spectral radius on a second axis) or ``saturation`` (per cent,
            by block), as ``curves.png`` has them.

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

    def plot_ages(self, ax: Axes | None = None, *, what: str = "age_updates") -> Axes:
        """Draw how old the messages were that updates read, of a run in real time, one curve an edge of actors.

        Parameters
        ----------
        ax
            Where; a new figure's of pyplot unless given.
        what
            In which unit: ``age_updates`` (updates of its sender) or ``age_ms`` (milliseconds).

        Returns
        -------
        matplotlib.axes.Axes
            The axes that were drawn on.

        Raises
        ------
        RunFolderError
            If the run was in virtual time, where ages are what its delays say, or has no finished epoch.
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
        """Draw the first test images: inputs, what the network makes of them under its best weights, and targets.

        Parameters
        ----------
        ax
            Where; a new figure's of pyplot unless given.
        data
            Of a run whose data were in memory and which drew no pictures: the same data.

        Returns
        -------
        matplotlib.axes.Axes
            The axes that were drawn on.

        Raises
        ------
        DataError
            If the run's targets are no images.
        UsageError
            If its weights or data cannot be read.
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
        inputs, scale = network_inputs(np.asarray(x)[None], self.config, *self._scaling)
        values = self.settled(precise(self.config), inputs, scale, population)
        picture = of_maps(population, values.reshape(found[population].extent), found[population].f.bounds)
        return shown(picture, _new_axes() if ax is None else ax)

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

    def __repr__(self) -> str:
        epochs = f"{len(self._epochs)} of {self.config.learning.epochs} epochs"
        told = f", {self.summary.told}" if self._epochs else ""
        return f"Run({str(self.path)!r}, {self.status.state}, {epochs}{told})"

    def _repr_html_(self) -> str:
        """In a notebook."""
        from dyadnet.notebook import html

        return html.run(self)


def _new_axes() -> Axes:
    from matplotlib import pyplot

    return pyplot.subplots()[1]


def _listed(field: str, value: Any, legal: list[Any]) -> None:
    if value not in legal:
        raise ConfigError(field, value, f"one of {', '.join(map(str, legal)) or '(there is none in this run)'}")
