"""The trained weights of a run's folder, whole projections and populations, and what they are of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dyadnet.errors import RunFolderError
from dyadnet.network.description import Network
from dyadnet.network.topology import Topology
from dyadnet.runs import weights
from dyadnet.runs.export.layout import Arrays, joined, split


def read(folder: Path, network: Network, manifest: Mapping[str, Any] | None = None) -> Arrays:
    """The arrays of saved weights; see `dyadnet.runs.export.layout.joined`.

    Parameters
    ----------
    folder
        Of the weights; see `dyadnet.runs.folder.saved_weights`.
    manifest
        Theirs, if it has been read.

    Raises
    ------
    RunFolderError
        If none were saved, or they are damaged or of another network.
    """
    topology = Topology(network)
    manifest = weights.read_manifest(folder) if manifest is None else manifest
    arrays = joined(weights.read(folder, topology.blocks), topology)
    if weights.sha256(split(arrays, topology)) != manifest["weights_sha256"]:
        raise RunFolderError(f"{folder}: the weights do not match their manifest's hash; they were altered")
    if len(manifest["couplings"]) != len(network.recurrent):
        raise RunFolderError(f"{folder}: these are weights of another network")
    return arrays
