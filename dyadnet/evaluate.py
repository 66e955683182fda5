"""Evaluation of saved weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dyadnet import weights
from dyadnet.config import RunConfig
from dyadnet.coordinator import Coordinator
from dyadnet.data import Dataset
from dyadnet.engine.local import LocalEngine
from dyadnet.errors import RunFolderError
from dyadnet.record import read_config, saved_weights
from dyadnet.relaxation import Part
from dyadnet.train import load_data


@dataclass(frozen=True)
class Saved:
    """Weights that a run saved, and all that is needed to use them.

    Attributes
    ----------
    config
        The run's.
    dataset
        The run's.
    couplings
        κ of each projection when they were saved.
    parameters
        By block, then by name.
    manifest
        What the run wrote beside them.
    """

    config: RunConfig
    dataset: Dataset
    couplings: tuple[float, ...]
    parameters: weights.Parameters
    manifest: dict[str, Any]


def load(run: Path, name: str = "best", data_dir: Path | None = None) -> Saved:
    """Read the weights that a run saved, whatever engine it ran on.

    Parameters
    ----------
    run
        The run's folder.
    name
        ``best`` or ``last``.
    data_dir
        Where the image sets are, if not where the run found them.

    Raises
    ------
    UsageError
        If the folder holds no run, its weights are damaged or of another network, or the data cannot be read.
    """
    config = read_config(run)
    if data_dir is not None:
        config = config.model_copy(update={"data": config.data.model_copy(update={"dir": data_dir})})
    folder = saved_weights(run, name)
    manifest = weights.read_manifest(folder)
    dataset = load_data(config)
    engine = LocalEngine(config, dataset, threads=1)
    try:
        engine.load(weights.read(folder, engine.blocks))
        if engine.weights_sha256() != manifest["weights_sha256"]:
            raise RunFolderError(f"{folder}: the weights do not match their manifest's hash; they were altered")
        parameters = {
            block: {key: array.copy() for key, array in named.items()} for block, named in engine.parameters().items()
        }
        return Saved(config, dataset, tuple(manifest["couplings"]), parameters, manifest)
    finally:
        engine.close()


def evaluate(run: Path, name: str = "best", part: Part = "test", data_dir: Path | None = None) -> dict[str, Any]:
    """Loss, accuracy and settling at β = 0 of the weights that a run saved; see `load`.

    Parameters
    ----------
    part
        Of the data.
    """
    saved = load(run, name, data_dir)
    engine = LocalEngine(saved.config, saved.dataset)
    try:
        engine.load(saved.parameters)
        coordinator = Coordinator(saved.config, saved.dataset.shape, engine)
        found = coordinator.evaluate(part, saved.couplings).summary()
        if not saved.config.imperfections.ideal():
            found["ideal"] = coordinator.evaluate(part, saved.couplings, ideal=True).summary()
        return {"run": str(run), "weights": name, "part": part, **found}
    finally:
        engine.close()
