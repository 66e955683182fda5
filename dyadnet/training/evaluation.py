"""Load and evaluate saved weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, get_args

from dyadnet.config import RunConfig
from dyadnet.config.dynamics import FreeRunning
from dyadnet.config.memory import check_room
from dyadnet.config.overrides import flattened, merged
from dyadnet.data import Data, Dataset
from dyadnet.dynamics.request import Part
from dyadnet.engines.local import LocalEngine
from dyadnet.errors import ConfigError, RunFolderError
from dyadnet.runs import weights
from dyadnet.runs.folder import read_config, saved_weights
from dyadnet.runs.loading import check_fit, load_data, shape_for
from dyadnet.training.coordinator import Coordinator


@dataclass(frozen=True)
class Saved:
    """Weights that a run saved, and everything that is needed to use them.

    Attributes
    ----------
    config
        The run's configuration.
    dataset
        The run's data set.
    couplings
        κ of each projection when the weights were saved.
    parameters
        Arrays by block, then by name.
    manifest
        The manifest that the run saved with the weights.
    """

    config: RunConfig
    dataset: Dataset
    couplings: tuple[float, ...]
    parameters: weights.Parameters
    manifest: dict[str, Any]


OPEN = ("imperfections", "dynamics", "data", "learning.evaluation_batch")
"""Settings that may be changed to analyse saved weights. The weights depend on all other settings."""


def load(
    run: str | PathLike[str],
    name: str = "best",
    data_dir: Path | None = None,
    *,
    data: Data | None = None,
    changes: Mapping[str, Any] | None = None,
) -> Saved:
    """Read the weights that a run saved, on any engine.

    Parameters
    ----------
    run
        The run's folder.
    name
        ``best`` or ``last``.
    data_dir
        Folder of the image sets, if it is not the one that the run used.
    data
        The same data again, if the run was trained on data in memory. Their hash is checked.
    changes
        Settings that replace the run's own, as plain values: imperfections, dynamics and limits of the data (`OPEN`).

    Raises
    ------
    UsageError
        If the folder holds no run, its weights are damaged or belong to another network, a setting may not be changed,
        or the data cannot be read.
    """
    run = Path(run)
    if name not in ("best", "last"):
        raise ConfigError("weights", name, "one of best, last")
    config = read_config(run)
    if data_dir is not None:
        config = config.model_copy(update={"data": config.data.model_copy(update={"dir": data_dir})})
    folder = saved_weights(run, name)
    manifest = weights.read_manifest(folder)
    shown = changed(config, changes or {})
    check_room(config)
    dataset = load_data(shown, data)
    check_fit(config, dataset.sizes)
    if len(manifest["couplings"]) != len(config.network.recurrent):
        raise RunFolderError(f"{folder}: these are weights of another network")
    engine = LocalEngine(config, dataset, threads=1)
    try:
        engine.load(weights.read(folder, engine.blocks))
        if engine.weights_sha256() != manifest["weights_sha256"]:
            raise RunFolderError(f"{folder}: the weights do not match their manifest's hash; they were altered")
        parameters = {
            block: {key: array.copy() for key, array in named.items()} for block, named in engine.parameters().items()
        }
        return Saved(shown, dataset, tuple(manifest["couplings"]), parameters, manifest)
    finally:
        engine.close()


def changed(config: RunConfig, changes: Mapping[str, Any]) -> RunConfig:
    """Return a run's configuration with some of its settings (`OPEN`) replaced.

    Raises
    ------
    ConfigError
        If a value is not legal, or the setting is not one of `OPEN`.
    """
    if not changes:
        return config
    for path, value in flattened(dict(changes)).items():
        # `RunConfig.read` below refuses unknown keys as misspelt.
        known = path.partition(".")[0] in RunConfig.model_fields
        if known and not any(path == key or path.startswith(f"{key}.") for key in OPEN):
            legal = f"the weights depend on it, or it means nothing here; only {', '.join(OPEN)} may be set"
            raise ConfigError(path, value, legal)
    new = RunConfig.read(merged(config.model_dump(mode="json"), dict(changes)))
    if isinstance(new.dynamics.mode, FreeRunning) and new.dynamics.mode != config.dynamics.mode:
        raise ConfigError("dynamics.mode", "free", "saved weights are evaluated in virtual time; leave it out")
    return new


def evaluate(
    run: str | PathLike[str],
    weights: str = "best",
    part: Part = "test",
    data_dir: Path | None = None,
    *,
    data: Data | None = None,
    changes: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Evaluate a run's saved weights at β = 0: loss, accuracy (R² and errors for numbers) and settling.

    Parameters
    ----------
    run
        A run, or its folder.
    weights
        ``best`` or ``last``.
    part
        Part of the data: ``test``, ``validation`` or ``train``.
    data_dir, data, changes
        See `load`.

    Returns
    -------
    dict
        ``loss``, ``accuracy`` (or ``r2``, ``mae`` and ``squared_error``, where targets are numbers), ``samples``,
        ``sweeps`` and more, with the same fields as the record has for a part. For a run with imperfections, ``ideal``
        holds the same values without imperfections.

    Raises
    ------
    UsageError
        See `load`.
    DivergedError
        If a relaxation diverges.
    """
    if part not in get_args(Part):
        raise ConfigError("part", part, f"one of {', '.join(get_args(Part))}")
    saved = load(run, weights, data_dir, data=data, changes=changes)
    engine = LocalEngine(saved.config, saved.dataset)
    try:
        engine.load(saved.parameters)
        coordinator = Coordinator(saved.config, shape_for(saved.config, saved.dataset), engine)
        found = coordinator.evaluate(part, saved.couplings).summary()
        if not saved.config.imperfections.ideal():
            found["ideal"] = coordinator.evaluate(part, saved.couplings, ideal=True).summary()
        return {"run": str(run), "weights": weights, "part": part, **found}
    finally:
        engine.close()
