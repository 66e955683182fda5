"""Write trained weights to one file, and read them back; ``docs/export.md`` describes the layout."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from dyadnet.config import RunConfig
from dyadnet.data import input_scale
from dyadnet.errors import ConfigError, RunFolderError, UsageError
from dyadnet.files import access as files
from dyadnet.files import arrays
from dyadnet.network.description import Network
from dyadnet.network.topology import Topology
from dyadnet.runs import weights
from dyadnet.runs.export.layout import Arrays, joined, split
from dyadnet.runs.folder import read_config, saved_weights, whole

FORMATS = ("npz", "safetensors")
LAYOUT = "dyadnet weights"
VERSION = 1
MANIFEST = "manifest"


@dataclass(frozen=True)
class Exported:
    """Weights from an exported file, with their manifest.

    Attributes
    ----------
    manifest
        ``format``, ``version``, ``weights_sha256``, ``epoch``, ``couplings``, ``input_scale``, ``config`` and more.
    arrays
        Arrays by name: ``weights/<pre>-><post>`` and ``bias/<population>``.
    config
        Configuration of the run that trained them.
    """

    manifest: dict[str, Any]
    arrays: Arrays
    config: RunConfig

    @property
    def network(self) -> Network:
        """The network's description."""
        return self.config.network

    @property
    def couplings(self) -> tuple[float, ...]:
        """κ of each projection between populations when the weights were saved."""
        return tuple(self.manifest["couplings"])

    def parameters(self) -> dict[str, Arrays]:
        """Return the arrays by block, then by name, as `dyadnet.engines.local.LocalEngine.load` expects them."""
        return split(self.arrays, Topology(self.network))


def export(run: Path, path: Path, name: str = "best", kind: str = "npz") -> Exported:
    """Write a run's saved weights to a file, atomically.

    Parameters
    ----------
    run
        The run's folder.
    name
        ``best`` or ``last``.
    kind
        ``npz`` or ``safetensors``.

    Raises
    ------
    UsageError
        If the folder holds no run or no sound weights, or the file cannot be written.
    """
    if kind not in FORMATS:
        raise ConfigError("--format", kind, f"one of {', '.join(FORMATS)}")
    config = read_config(run)
    topology = Topology(config.network)
    folder = saved_weights(run, name)
    manifest = weights.read_manifest(folder)
    arrays = joined(weights.read(folder, topology.blocks), topology)
    if weights.sha256(split(arrays, topology)) != manifest["weights_sha256"]:
        raise RunFolderError(f"{folder}: the weights do not match their manifest's hash; they were altered")
    about = {
        **manifest,
        "format": LAYOUT,
        "version": VERSION,
        "dyadnet": version("dyadnet"),
        "weights": name,
        "input_scale": manifest.get("input_scale", input_scale(config.data.name, config.data.memory)),
        "config": config.model_dump(mode="json"),
    }
    exported = Exported(about, arrays, config)
    with whole(path) as fresh:
        path.parent.mkdir(parents=True, exist_ok=True)
        (_write_npz if kind == "npz" else _write_safetensors)(exported, fresh)
    return exported


def read(path: Path) -> Exported:
    """Read a file that `export` wrote. The file extension determines the format.

    Raises
    ------
    UsageError
        If the file was not exported by dyadnet, is damaged, or its weights do not match its hash.
    """
    kind = path.suffix.removeprefix(".")
    if kind not in FORMATS:
        raise ConfigError("weights file", str(path), f"a name that ends in .{' or .'.join(FORMATS)}")
    manifest, found = (_read_npz if kind == "npz" else _read_safetensors)(path)
    about = manifest if isinstance(manifest, dict) else {}
    if about.get("format") != LAYOUT or about.get("version") != VERSION:
        raise RunFolderError(f"{path}: not weights that dyadnet exported in layout {VERSION}")
    try:
        exported = Exported(about, found, RunConfig.read(about["config"], "config"))
        if not weights.TOLD["couplings"](about["couplings"]):
            raise RunFolderError("couplings are no numbers from -1 to 1")
        sha256 = weights.sha256(exported.parameters())
    except KeyError as problem:
        raise RunFolderError(f"{path}: damaged, {problem} is missing") from None
    except IndexError:
        raise RunFolderError(f"{path}: damaged, an array has another shape") from None
    except UsageError as problem:
        raise RunFolderError(f"{path}: damaged ({problem})") from None
    if sha256 != about.get("weights_sha256"):
        raise RunFolderError(f"{path}: the weights do not match their hash; they were altered")
    return exported


def _write_npz(exported: Exported, path: Path) -> None:
    arrays = {key: np.asarray(array, dtype=array.dtype.newbyteorder("<")) for key, array in exported.arrays.items()}
    with path.open("wb") as file:
        np.savez(file, **{MANIFEST: np.asarray(json.dumps(exported.manifest))}, **arrays)  # type: ignore[arg-type]


def _read_npz(path: Path) -> tuple[dict[str, Any], Arrays]:
    try:
        found = arrays.read(path)
        return files.unpacked(str(found.pop(MANIFEST))), found
    except FileNotFoundError:
        raise RunFolderError(f"{path}: no such file") from None
    except KeyError:
        raise RunFolderError(f"{path}: not weights that dyadnet exported in layout {VERSION}") from None
    except (OSError, ValueError) as problem:
        raise RunFolderError(f"{path}: damaged ({problem})") from None


def _write_safetensors(exported: Exported, path: Path) -> None:
    # The library's own file writer raises errors that are not an OSError.
    path.write_bytes(_safetensors().save(exported.arrays, {MANIFEST: json.dumps(exported.manifest)}))


def _read_safetensors(path: Path) -> tuple[dict[str, Any], Arrays]:
    library = _safetensors()
    from safetensors import SafetensorError

    if not path.is_file():
        raise RunFolderError(f"{path}: no such file")
    try:
        found = library.load_file(path)
        with path.open("rb") as file:
            header = files.unpacked(file.read(int.from_bytes(file.read(8), "little")))
        return files.unpacked(header.get("__metadata__", {}).get(MANIFEST, "{}")), found
    except (OSError, ValueError, SafetensorError) as problem:
        raise RunFolderError(f"{path}: damaged ({problem})") from None


def _safetensors() -> Any:
    try:
        from safetensors import numpy as library
    except ImportError:
        needed = "npz, or install the other: pip install 'dyadnet[safetensors]'"
        raise ConfigError("--format", "safetensors", needed) from None
    return library
