"""Read the trained weights of a run's folder, by projection and population."""

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
    """Read the arrays of saved weights; see `dyadnet.runs.export.layout.joined`.

    Parameters
    ----------
    folder
        Folder of the weights; see `dyadnet.runs.folder.saved_weights`.
    manifest
        Manifest of the weights, if it is already read.

    Raises
    ------
    RunFolderError
        If no weights were saved, or they are damaged or belong to another network.
    """
    topology = Topology(network)
    manifest = weights.read_manifest(folder) if manifest is None else manifest
    arrays = joined(weights.read(folder, topology.blocks), topology)
    if weights.sha256(split(arrays, topology)) != manifest["weights_sha256"]:
        raise RunFolderError(f"{folder}: the weights do not match their manifest's hash; they were altered")
    if len(manifest["couplings"]) != len(network.recurrent):
        raise RunFolderError(f"{folder}: these are weights of another network")
    return arrays
