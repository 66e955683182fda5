"""Evaluation of saved weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dyadnet import weights
from dyadnet.coordinator import Coordinator, checkpoint
from dyadnet.engine.local import LocalEngine
from dyadnet.errors import RunFolderError
from dyadnet.record import read_config
from dyadnet.relaxation import Part
from dyadnet.train import load_data


def evaluate(run: Path, name: str = "best", part: Part = "test", data_dir: Path | None = None) -> dict[str, Any]:
    """Loss, accuracy and settling at β = 0 of the weights that a run saved.

    Parameters
    ----------
    run
        The run's folder.
    name
        ``best`` or ``last``.
    part
        Of the data.
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
    folder = checkpoint(run, name)
    manifest = weights.read_manifest(folder)
    couplings = tuple(manifest["couplings"])
    dataset = load_data(config)
    engine = LocalEngine(config, dataset)
    try:
        coordinator = Coordinator(config, dataset.shape, engine)
        engine.load(weights.read(folder, engine.blocks))
        if engine.weights_sha256() != manifest["weights_sha256"]:
            raise RunFolderError(f"{folder}: the weights do not match their manifest's hash; they were altered")
        found = {"run": str(run), "weights": name, "part": part, **coordinator.evaluate(part, couplings).summary()}
        if not config.imperfections.ideal():
            found["ideal"] = coordinator.evaluate(part, couplings, ideal=True).summary()
        return found
    finally:
        engine.close()
