"""Pictures of weights and of a sample in a report: kernels, patterns of sparse synapses, and feature maps."""

from __future__ import annotations

from typing import Any

from dyadnet.config import RunConfig
from dyadnet.errors import RunFolderError
from dyadnet.files.arrays import ArraysError
from dyadnet.network.description import INPUT, Network, Projection
from dyadnet.reporting.reading import RunReading
from dyadnet.reporting.tiles import Picture, of_image, of_maps, of_weights
from dyadnet.runs import maps, trained
from dyadnet.runs.export.layout import Arrays
from dyadnet.runs.folder import BEST, MAPS, saved_weights
from dyadnet.synapses.base import Shape
from dyadnet.synapses.convolution import Convolution
from dyadnet.synapses.sparse import Sparse
from dyadnet.synapses.transposed import Transposed

MOST = 12
"""Largest number of pictures of weights, and of maps; the first ones are shown."""


def pictures(reading: RunReading, missing: list[str]) -> dict[str, list[dict[str, str]]]:
    """Return the pictures of a report by section, each with ``title``, ``note`` and ``src``.

    Parameters
    ----------
    missing
        Messages about damaged data are appended to this list.

    Returns
    -------
    dict
        ``weights``: pictures of projections with kernels or sparse synapses, input projections first. ``maps``:
        pictures of populations with a shape, the input first.
    """
    config = reading.config
    if config is None:
        return {"weights": [], "maps": []}
    found = _maps(reading, missing)
    image = None if INPUT not in found else found[INPUT].shape
    kept = [_map(config.network, name, found[name]) for name in found if _fits(config.network, name, found[name].shape)]
    kept = kept if set(found) - {INPUT} else []
    return {"weights": _plain(_weights(reading, config, image, missing)), "maps": _plain(kept)}


def _plain(found: list[Picture]) -> list[dict[str, str]]:
    return [{"title": one.title, "note": one.note, "src": one.uri} for one in found[:MOST]]


def _maps(reading: RunReading, missing: list[str]) -> Arrays:
    try:
        return maps.read(reading.path)
    except (ArraysError, OSError) as problem:
        missing.append(f"{MAPS}: damaged ({' '.join(str(problem).split())[:200]})")
        return {}


def _fits(network: Network, name: str, shape: Shape) -> bool:
    return name == INPUT or (name in network.by_name and network.by_name[name].shape == shape)


def _map(network: Network, name: str, values: Any) -> Picture:
    return of_image(name, values) if name == INPUT else of_maps(name, values, network.by_name[name].f.bounds)


def _weights(reading: RunReading, config: RunConfig, image: Shape | None, missing: list[str]) -> list[Picture]:
    network = config.network
    chosen = [projection for projection in network.projections if _tells(network, projection, image)]
    if BEST not in reading.manifests or not chosen:
        return []
    try:
        arrays = trained.read(saved_weights(reading.path, BEST), network, reading.manifests[BEST])
    except RunFolderError as problem:
        missing.append(f"the {BEST} weights: {problem}")
        return []
    arrays = {name.removeprefix("weights/"): array for name, array in arrays.items()}
    chosen.sort(key=lambda projection: not projection.from_input)
    return [of_weights(network, projection, arrays, image) for projection in chosen[:MOST]]


def _tells(network: Network, projection: Projection, image: Shape | None) -> bool:
    """Return whether a picture of the weights is informative: kernels, weights of images, or sparse synapses."""
    kind, ends = projection.connectivity, network.ends(projection)
    inner = kind.of if isinstance(kind, Transposed) else kind
    images = len(ends.pre) == 3 or (projection.from_input and image is not None)
    return isinstance(inner, Convolution | Sparse) or (projection.is_dense and images)
