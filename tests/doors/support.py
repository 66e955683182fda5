"""Short runs of what a program has registered, on every engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dyadnet as dn
from dyadnet.registry import Registry

SMALL: dict[str, Any] = {
    "network": {"layered": {"inputs": 64, "hidden": [8], "outputs": 10}},
    "data": {"name": "digits", "limit_train": 60, "limit_test": 20},
    "learning": {"epochs": 1, "minibatch": 20},
    "dynamics": {"sweeps": 6},
    "record": {"report": False},
    "seed": 3,
}


def settings(engine: str = "local", **sections: Any) -> dn.RunConfig:
    """A short run; a section that is given takes the place of its own."""
    cluster: dict[str, Any] = {"cluster": {"actors": 2}} if engine == "ray" else {}
    return dn.RunConfig.read({**SMALL, "engine": engine, **cluster, **sections})


def trained(folder: Path, engine: str = "local", **sections: Any) -> dn.Run:
    """The same, trained."""
    return dn.train(settings(engine, **sections), folder / engine)


def alike(folder: Path, **sections: Any) -> dn.Run:
    """A short run that has the same bits on both engines."""
    local, ray = (trained(folder, engine, **sections) for engine in ("local", "ray"))
    assert local.weights_sha256 == ray.weights_sha256
    return local


@contextmanager
def registered(registry: Registry[Any], name: str, thing: Any) -> Iterator[str]:
    """A thing of one's own for a while."""
    dn.register(registry.kind, name)(thing)
    try:
        yield name
    finally:
        registry.forget(name)
