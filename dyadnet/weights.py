"""Weights in files: one ``.npz`` a block and a manifest, in a folder that is there whole or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.errors import RunFolderError

MANIFEST = "manifest.json"
FORMAT = 1
TOLD = ("epoch", "weights_sha256", "couplings", "validation_accuracy", "test_accuracy")
"""What a manifest says beside its format; see `described`."""

Parameters = Mapping[str, Mapping[str, NDArray[Any]]]
"""Arrays by block, then by name."""


def described(line: Mapping[str, Any], couplings: Iterable[float]) -> dict[str, Any]:
    """What a manifest says of the weights at the end of an epoch, from its line of the record."""
    return {
        "epoch": line["epoch"],
        "weights_sha256": line["weights_sha256"],
        "couplings": list(couplings),
        "validation_accuracy": line["validation"]["accuracy"],
        "test_accuracy": line["test"]["accuracy"],
    }


def digest(named: Mapping[str, NDArray[Any]]) -> bytes:
    """SHA-256 over one block's parameters as little-endian bytes in C order, one after the other."""
    total = hashlib.sha256()
    for array in named.values():
        total.update(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes())
    return total.digest()


def sha256(parameters: Parameters) -> str:
    """Hash of all weights: SHA-256 over the digests of the blocks, in their order."""
    return hashlib.sha256(b"".join(digest(named) for named in parameters.values())).hexdigest()


def save(folder: Path, manifest: dict[str, Any], parameters: Parameters) -> None:
    """Fill `folder` with weights and a manifest, replacing what it held.

    Parameters
    ----------
    manifest
        Beside the weights: what they are of.
    parameters
        Each block goes to ``<block>.npz``, as little-endian arrays by name.
    """
    fresh = folder.with_name(f".{folder.name}-{uuid.uuid4().hex[:8]}")
    old = folder.with_name(f".{folder.name}-old-{uuid.uuid4().hex[:8]}")
    fresh.mkdir(parents=True)
    try:
        for block, named in parameters.items():
            arrays = {key: np.asarray(w, dtype=w.dtype.newbyteorder("<")) for key, w in named.items()}
            np.savez(fresh / f"{block}.npz", **arrays)  # type: ignore[arg-type]
        (fresh / MANIFEST).write_text(json.dumps({"format": FORMAT, **manifest}, indent=1), encoding="utf-8")
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
    finally:
        shutil.rmtree(old, ignore_errors=True)
        shutil.rmtree(fresh, ignore_errors=True)


def read(folder: Path, blocks: Iterable[str]) -> dict[str, dict[str, NDArray[Any]]]:
    """The weights of the named blocks.

    Raises
    ------
    RunFolderError
        If a file is missing or damaged.
    """
    return {block: _read_block(folder / f"{block}.npz") for block in blocks}


def _read_block(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {key: stored[key] for key in stored.files}
    except FileNotFoundError:
        raise RunFolderError(f"{path}: not found; these are weights of another network, or damaged") from None
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as problem:
        raise RunFolderError(f"{path}: damaged ({problem}); use other weights of this run, or train anew") from None


def read_manifest(folder: Path) -> dict[str, Any]:
    """What the weights in `folder` are of.

    Raises
    ------
    RunFolderError
        If there is no manifest, or not a whole one of this format.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        missing = f"no weights here ({MANIFEST} is missing); a run saves them after every epoch"
        raise RunFolderError(f"{folder}: {missing}") from None
    except OSError as problem:
        raise RunFolderError(f"{path}: it cannot be read ({problem.strerror})") from None
    except (ValueError, RecursionError):
        raise RunFolderError(f"{path}: damaged; use other weights of this run, or train anew") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise RunFolderError(f"{path}: not a manifest of format {FORMAT}")
    lacking = [key for key in TOLD if key not in manifest]
    if lacking:
        what = f"damaged, {', '.join(lacking)} missing"
        raise RunFolderError(f"{path}: {what}; use other weights of this run, or train anew")
    return manifest
