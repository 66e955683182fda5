"""Inspection of the machine: everything on which a run depends."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

from threadpoolctl import threadpool_info

from dyadnet import data
from dyadnet.data import places
from dyadnet.numerics.compilation import place
from dyadnet.numerics.kernels import square

PACKAGES = ("dyadnet", "numpy", "numba", "ray", "msgpack", "prometheus-client", "pydantic", "typer", "matplotlib")


def examine(data_dir: Path | None = None) -> dict[str, dict[str, str]]:
    """Return versions (from package metadata, without heavy imports), BLAS with its threads, and the data found."""
    versions = {"python": platform.python_version(), "platform": platform.platform()}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    blas = {
        f"{info['internal_api']} {info['version']}": (
            f"{info.get('architecture', '?')}, {info['num_threads']} threads (one while dyadnet runs)"
        )
        for info in threadpool_info()
        if info["user_api"] == "blas"
    }
    machine = {"cores": str(os.cpu_count()), **(blas or {"BLAS": "none found by threadpoolctl"})}
    machine["compiled code"] = place(square)
    searched = f"--data-dir, {places.ENVIRONMENT} or {places.cache()}"
    return {"versions": versions, "machine": machine, "data": {"looked for in": searched} | data.available(data_dir)}
