"""Weights in files: one ``.npz`` a block and a manifest, in a folder that is there whole or not at all."""

from __future__ import annotations

import json
import shutil
import uuid
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from dyadnet.block import Block
from dyadnet.errors import RunFolderError

MANIFEST = "manifest.json"
FORMAT = 1


def write_block(folder: Path, block: Block) -> None:
    """Write one block's parameters, as little-endian arrays by name, to ``<block>.npz``."""
    arrays = {key: np.asarray(w, dtype=w.dtype.newbyteorder("<")) for key, w in block.parameters().items()}
    np.savez(folder / f"{block.name}.npz", **arrays)  # type: ignore[arg-type]


def read_block(folder: Path, block: Block) -> None:
    """Read one block's parameters.

    Raises
    ------
    RunFolderError
        If the file is missing or damaged, or holds weights of another network.
    """
    path = folder / f"{block.name}.npz"
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in stored.files}
    except FileNotFoundError:
        raise RunFolderError(f"{path}: not found; these are weights of another network, or damaged") from None
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as problem:
        raise RunFolderError(f"{path}: damaged ({problem}); use other weights of this run, or train anew") from None
    block.load(arrays)


def save(folder: Path, manifest: dict[str, Any], write: Callable[[Path], None]) -> None:
    """Fill `folder` with weights and a manifest, replacing what it held.

    Parameters
    ----------
    manifest
        Beside the weights: what they are of.
    write
        Writes the blocks' files into the folder that it is given.
    """
    fresh = folder.with_name(f".{folder.name}-{uuid.uuid4().hex[:8]}")
    old = folder.with_name(f".{folder.name}-old-{uuid.uuid4().hex[:8]}")
    fresh.mkdir(parents=True)
    try:
        write(fresh)
        (fresh / MANIFEST).write_text(json.dumps({"format": FORMAT, **manifest}, indent=1), encoding="utf-8")
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
    finally:
        shutil.rmtree(old, ignore_errors=True)
        shutil.rmtree(fresh, ignore_errors=True)


def read_manifest(folder: Path) -> dict[str, Any]:
    """What the weights in `folder` are of.

    Raises
    ------
    RunFolderError
        If there is no manifest, or not one of this format.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise RunFolderError(f"{folder}: no weights here ({MANIFEST} is missing)") from None
    except ValueError:
        raise RunFolderError(f"{path}: damaged; use other weights of this run, or train anew") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise RunFolderError(f"{path}: not a manifest of format {FORMAT}")
    return manifest
