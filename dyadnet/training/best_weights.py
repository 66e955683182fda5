"""Restore a run's saved best weights to those that its checkpoint records as the best."""

from __future__ import annotations

from typing import Any

from dyadnet.checkpoint.blocks import PARAMETER, unpacked, verified
from dyadnet.checkpoint.finding import named
from dyadnet.checkpoint.resume_point import ResumePoint
from dyadnet.config import RunConfig
from dyadnet.dynamics.request import PhasePlan
from dyadnet.errors import CheckpointError, RunFolderError
from dyadnet.runs import weights
from dyadnet.runs.folder import BEST, RunFolder, read_config, saved_weights
from dyadnet.runs.watcher import ProgressCallback


def put_back_best(folder: RunFolder, beginning: ResumePoint, watcher: ProgressCallback) -> None:
    """Restore the best weights of the checkpoint, if the run had found better ones after it was written.

    The resumed run is expected to find the better ones again; in free-running mode it may not.
    """
    start, store = beginning.start, beginning.store
    if start is None or store is None or start.position.best is None:
        return
    best = start.position.best
    there: dict[str, Any] = {}
    try:
        there = weights.read_manifest(saved_weights(folder.path, BEST))
        if there["weights_sha256"] == best.line["weights_sha256"]:
            return
    except RunFolderError:
        pass
    try:
        if best.checkpoint is None:
            raise CheckpointError("no checkpoint of them could be written")
        holding = named(store, best.checkpoint)
        parameters = {
            block: {
                name.removeprefix(PARAMETER): array
                for name, array in unpacked(verified(store, holding.name, file)).items()
                if name.startswith(PARAMETER)
            }
            for block, file in holding.files.items()
        }
    except CheckpointError as problem:
        watcher.warning(f"the best weights so far, of epoch {best.line['epoch']}, are lost: {problem}")
        return
    config: RunConfig = read_config(folder.path)
    couplings = PhasePlan(config).couplings(holding.position.at)
    shape = there.get("target_shape")
    targets = None if shape is None else tuple(shape)
    known = there.get("input_scale"), there.get("input_dtype"), targets, weights.normalised_by(there)
    about = weights.described(best.line, couplings, *known)
    folder.save(BEST, about, parameters)
