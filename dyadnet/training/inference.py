"""Inference with trained weights: prepare inputs, settle the network without a nudge, and read the means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.config import RunConfig
from dyadnet.config.dynamics import FreeRunning, Lockstep
from dyadnet.data import Dataset, Split
from dyadnet.data.images import Normalisation
from dyadnet.dynamics.outcome import Outcome
from dyadnet.dynamics.request import Part
from dyadnet.engines.local import LocalEngine
from dyadnet.errors import DataError
from dyadnet.network.description import INPUT
from dyadnet.network.topology import Topology
from dyadnet.runs import trained
from dyadnet.runs.export.layout import split
from dyadnet.runs.folder import BEST, read_config, saved_weights
from dyadnet.runs.observer import Unobserved
from dyadnet.runs.weights import Parameters, read_manifest
from dyadnet.training.coordinator import Coordinator

EXACT = {"dtype": "float64", "tolerance": 1e-10, "patience": 5000, "sweeps": 5000}
"""Dynamics settings for predictions. A sample settles to the fixed point itself, so that its result does not depend
on the other samples of the batch or on their order."""


def precise(config: RunConfig) -> RunConfig:
    """Return the run's configuration with `EXACT` dynamics, on one lane and in virtual time.

    Under noise or a fixed number of sweeps, the dynamics stay as they are, but on one lane. A run in real time is
    evaluated in virtual time, because both settle to the same fixed point.
    """
    settles = not config.imperfections.noisy(config.network) and not config.dynamics.fixed
    return as_evaluated(config, EXACT if settles else {})


def as_evaluated(config: RunConfig, dynamics: Mapping[str, Any] | None = None) -> RunConfig:
    """Return the run's configuration for evaluations, but on one lane and in virtual time.

    Parameters
    ----------
    dynamics
        Settings of the dynamics to replace.
    """
    mode = Lockstep() if isinstance(config.dynamics.mode, FreeRunning) else config.dynamics.mode
    settled = config.dynamics.model_copy(update={"lanes": 1, "mode": mode, **(dynamics or {})})
    learning = config.learning.model_copy(update={"early_stopping": None})
    return config.model_copy(update={"dynamics": settled, "learning": learning})


def network_inputs(X: Any, config: RunConfig, scale: float, dtype: str) -> tuple[NDArray[Any], float]:
    """Check the samples of a user. Return them as rows, with the factor that turns them into network inputs.

    Parameters
    ----------
    X
        Samples of shape (samples, …).
    config
        The run's configuration.
    scale, dtype
        Factor that turns raw values of the training data into network inputs, and the type of these raw values.

    Raises
    ------
    DataError
        If X has another number of features or another kind of numbers, or holds values that are not finite.
    """
    try:
        array = np.asarray(X)
    except Exception as problem:  # X may be of any library.
        raise DataError(f"X is no array ({type(X).__name__}: {' '.join(str(problem).split())[:200]})") from None
    if array.ndim < 2 or len(array) == 0 or array.dtype.kind not in "uif":
        what = f"X has shape {array.shape} and type {array.dtype}"
        raise DataError(f"{what}; expected numbers of shape (samples, features)")
    flat = np.ascontiguousarray(array.reshape(len(array), -1))
    features = config.network.inputs
    if flat.shape[1] != features:
        raise DataError(f"X has {flat.shape[1]} features a sample, the network {features}")
    if flat.dtype.kind == "f" and not np.isfinite(flat).all():
        row = int(np.flatnonzero(~np.isfinite(flat).all(axis=1))[0])
        raise DataError(f"X holds NaN or infinite values, the first in row {row}")
    if dtype == "uint8":
        if flat.dtype.kind == "f" and config.data.noise is not None:
            # Noisy pixels are floats in units of the pixel range.
            return flat, 1.0
        if flat.dtype.kind == "f" or flat.min() < 0 or flat.max() > 255:
            why = f"the run was trained on bytes, which are multiplied by {scale:.4g}"
            raise DataError(f"X holds {flat.dtype}; {why}: give it bytes (uint8) too")
        return flat.astype(np.uint8), scale
    if flat.dtype == np.uint8:
        raise DataError(f"X holds bytes (uint8), the run was trained on {dtype}; make both the same")
    return flat, scale


def outputs(
    config: RunConfig,
    parameters: Parameters,
    couplings: tuple[float, ...],
    inputs: NDArray[Any],
    scale: float = 1.0,
    normalisation: Normalisation | None = None,
) -> NDArray[np.float64]:
    """Return the means of the output dyads, shape (samples, outputs); see `means`."""
    return means(config, parameters, couplings, inputs, scale, normalisation)[config.network.output]


def means(
    config: RunConfig,
    parameters: Parameters,
    couplings: tuple[float, ...],
    inputs: NDArray[Any],
    scale: float = 1.0,
    normalisation: Normalisation | None = None,
    *,
    of: Sequence[str] = (),
) -> dict[str, NDArray[np.float64]]:
    """Settle the network at β = 0 in this process and return the means m of populations.

    Parameters
    ----------
    config
        A configuration from `precise` or `as_evaluated`.
    parameters
        Arrays by block, then by name.
    couplings
        κ of each projection between populations.
    inputs
        Samples, shape (samples, features).
    scale
        Factor that turns samples into network inputs.
    normalisation
        Normalisation of the network inputs, if there is one.
    of
        Names of populations; default: the output only.

    Returns
    -------
    dict
        Means of each population by name, shape (samples, neurons).
    """
    network = config.network
    samples = Split(inputs, np.zeros(len(inputs), dtype=np.int64))
    unused = Split(inputs[:1].repeat(2, axis=0), np.zeros(2, dtype=np.int64))
    shown = Dataset("X", unused, samples, scale, network.classes, normalisation=normalisation)
    with closing(LocalEngine(config, shown)) as engine:
        reader = _Reader(engine, of or [network.output])
        engine.load(parameters)
        Coordinator(config, shown.sizes, engine, observer=reader).evaluate("test", couplings)
    return {name: np.concatenate(parts).astype(np.float64) for name, parts in reader.means.items()}


def feature_maps(run: Path, dataset: Dataset) -> dict[str, NDArray[np.float32]]:
    """Return the first test sample as an image, and the settled means of populations under the run's best weights.

    Returns
    -------
    dict
        ``input`` if samples are images, and each population that has a shape. Arrays have the shape (channels, height,
        width).

    Raises
    ------
    DyadnetError
        If no weights were saved, or the relaxation diverges.
    """
    config = as_evaluated(read_config(run))
    network = config.network
    # Normalisation follows below, so leave it out here.
    inputs = replace(dataset, normalisation=None).inputs("test", np.arange(1), np.dtype(np.float64))
    found: dict[str, NDArray[Any]] = {}
    shape = network.input_shape or dataset.shape
    if shape is not None:
        found[INPUT] = inputs.reshape(shape)
    mapped = [population for population in network.populations if population.shape is not None]
    if mapped:
        folder = saved_weights(run, BEST)
        manifest = read_manifest(folder)
        parameters = split(trained.read(folder, network, manifest), Topology(network))
        how = tuple(manifest["couplings"]), inputs, 1.0, dataset.normalisation
        settled = means(config, parameters, *how, of=[population.name for population in mapped])
        found |= {population.name: settled[population.name].reshape(population.extent) for population in mapped}
    return {name: np.asarray(array, dtype=np.float32) for name, array in found.items()}


class _Reader(Unobserved):
    """Collects the means of populations after each relaxation."""

    def __init__(self, engine: LocalEngine, populations: Sequence[str]) -> None:
        self.means: dict[str, list[NDArray[Any]]] = {name: [] for name in populations}
        blocks = Topology(engine.config.network).of_population
        self._lanes = {
            name: [lane for spec in blocks[name] for lane in engine.group.all_lanes(spec.name)] for name in populations
        }

    def relaxed(self, part: Part, outcome: Outcome) -> None:
        """See `dyadnet.runs.observer.MetricsCallback`."""
        for name, lanes in self._lanes.items():
            self.means[name].append(np.concatenate([lane.readout[0] for lane in lanes], axis=1))
