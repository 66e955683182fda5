"""Load the weights of another run as the initial weights of a run, instead of drawing them from its seed."""

from __future__ import annotations

import numpy as np

from dyadnet.config import RunConfig
from dyadnet.errors import ConfigError, UsageError
from dyadnet.network.topology import Topology
from dyadnet.runs import weights
from dyadnet.runs.export.layout import joined, shapes, split
from dyadnet.runs.folder import read_config, saved_weights


def initial_weights(config: RunConfig) -> tuple[RunConfig, weights.Parameters | None]:
    """Load the initial weights that `RunConfig.init_from` names.

    The two networks must have the same populations and projections of the same sizes; blocks, λ, activations, data,
    dynamics, imperfections and everything else may differ.

    Returns
    -------
    config
        The configuration, with the hash of those weights.
    parameters
        Arrays by block, then by name; None if they are to be drawn from the seed.

    Raises
    ------
    ConfigError
        If there is no such run, its weights do not match the recorded hash, or an array does not fit.
    """
    init = config.init_from
    if init is None:
        return config, None
    folder = saved_weights(init.run, init.weights)
    try:
        topology = Topology(read_config(init.run).network)
        manifest = weights.read_manifest(folder)
        arrays = joined(weights.read(folder, topology.blocks), topology)
    except UsageError as problem:
        raise ConfigError(
            "init_from", str(init.run), f"name the folder of a run with intact weights ({problem})"
        ) from None
    sha256 = weights.sha256(split(arrays, topology))
    if sha256 != manifest["weights_sha256"]:
        legal = f"its {init.weights} weights do not match their manifest's hash; they were altered"
        raise ConfigError("init_from", str(init.run), legal)
    if init.sha256 not in (None, sha256):
        legal = f"the {init.weights} weights of {init.run} have {sha256}; leave it out to start from these"
        raise ConfigError("init_from.sha256", init.sha256, legal)
    own = Topology(config.network)
    wanted, there = shapes(config.network), {name: array.shape for name, array in arrays.items()}
    differing = [
        f"{name} should be {_size(wanted.get(name))} and is {_size(there.get(name))}"
        for name in dict.fromkeys([*wanted, *there])
        if wanted.get(name) != there.get(name)
    ]
    if differing:
        more = f", and {len(differing) - 3} more" if len(differing) > 3 else ""
        legal = f"a run of the same populations and projections: {'; '.join(differing[:3])}{more}"
        raise ConfigError("init_from", str(init.run), legal)
    arrays = {name: array.astype(np.dtype(config.dynamics.dtype)) for name, array in arrays.items()}
    written = config.model_copy(update={"init_from": init.model_copy(update={"sha256": sha256})})
    return written, split(arrays, own)


def _size(shape: tuple[int, ...] | None) -> str:
    return "not there" if shape is None else "×".join(map(str, shape))
