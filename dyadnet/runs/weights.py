"""Save and read weights: a folder with one ``.npz`` per block and a manifest, written atomically."""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.data.images import Normalisation
from dyadnet.errors import RunFolderError
from dyadnet.files import access as files
from dyadnet.files import arrays
from dyadnet.files.access import is_finite
from dyadnet.files.arrays import ArraysError
from dyadnet.numerics.hashing import digest
from dyadnet.numerics.scores import SCORES, scores

MANIFEST = "manifest.json"
FORMAT = 1


TOLD: dict[str, Callable[[Any], bool]] = {
    "epoch": lambda value: type(value) is int and value >= 0,
    "weights_sha256": lambda value: isinstance(value, str),
    "couplings": lambda value: isinstance(value, list) and all(is_finite(one) and abs(one) <= 1 for one in value),
}
"""Required keys of a manifest beside its format, with a check of each value; see `described`."""
SCORED = {f"{part}_{name}": is_finite for part in ("validation", "test") for name in SCORES}
"""Optional scores in a manifest, with a check of each value: the accuracy for classes, the others for numbers."""
NORMALISED = ("input_mean", "input_std")
"""Keys of a manifest if inputs are normalised; each value is a list by channel."""

Parameters = Mapping[str, Mapping[str, NDArray[Any]]]
"""Arrays by block, then by name."""


def described(
    line: Mapping[str, Any],
    couplings: Iterable[float],
    scale: float | None = None,
    dtype: str | None = None,
    target_shape: tuple[int, ...] | None = None,
    normalisation: Normalisation | None = None,
) -> dict[str, Any]:
    """Create the manifest of the weights at the end of an epoch.

    Parameters
    ----------
    line
        The epoch's line of the record.
    couplings
        κ of each projection between populations.
    scale, dtype
        Factor that turns raw values of the data into network inputs, and the type of raw values; omitted if unknown.
    target_shape
        Shape of one sample's target, if targets are numbers.
    normalisation
        Normalisation by channel of the scaled network inputs, if there is one.
    """
    more: dict[str, Any] = {} if scale is None else {"input_scale": scale, "input_dtype": dtype}
    if target_shape is not None:
        more["target_shape"] = list(target_shape)
    if normalisation is not None:
        more |= {"input_mean": list(normalisation.mean), "input_std": list(normalisation.std)}
    return {
        "epoch": line["epoch"],
        "weights_sha256": line["weights_sha256"],
        "couplings": list(couplings),
        **{f"{part}_{name}": value for part in ("validation", "test") for name, value in scores(line[part]).items()},
    } | more


def _is_shape(value: Any) -> bool:
    return isinstance(value, list) and all(type(size) is int and 1 <= size < 2**31 for size in value)


def normalised_by(manifest: Mapping[str, Any]) -> Normalisation | None:
    """Return the normalisation of the network inputs from the manifest of weights, or None."""
    if "input_mean" not in manifest:
        return None
    return Normalisation(tuple(manifest["input_mean"]), tuple(manifest["input_std"]))


def _is_normalisation(manifest: Mapping[str, Any]) -> bool:
    mean, std = (manifest.get(key, []) for key in NORMALISED)
    lists = isinstance(mean, list) and isinstance(std, list) and len(mean) == len(std)
    return lists and all(map(is_finite, [*mean, *std])) and all(one > 0 for one in std)


def sha256(parameters: Parameters) -> str:
    """Return the hash of all weights: SHA-256 over the digests of the blocks, in their order."""
    return hashlib.sha256(b"".join(digest(named) for named in parameters.values())).hexdigest()


def save(folder: Path, manifest: dict[str, Any], parameters: Parameters) -> None:
    """Write weights and their manifest to `folder`, replacing its contents.

    Parameters
    ----------
    manifest
        Description of the weights; see `described`.
    parameters
        Arrays by block, then by name. Each block is written to ``<block>.npz``, as little-endian arrays by name.
    """
    fresh = folder.with_name(f".{folder.name}-{uuid.uuid4().hex[:8]}")
    old = folder.with_name(f".{folder.name}-old-{uuid.uuid4().hex[:8]}")
    fresh.mkdir(parents=True)
    try:
        for block, named in parameters.items():
            stored = {key: np.asarray(w, dtype=w.dtype.newbyteorder("<")) for key, w in named.items()}
            np.savez(fresh / f"{block}.npz", **stored)  # type: ignore[arg-type]
        (fresh / MANIFEST).write_text(json.dumps({"format": FORMAT, **manifest}, indent=1), encoding="utf-8")
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
    finally:
        shutil.rmtree(old, ignore_errors=True)
        shutil.rmtree(fresh, ignore_errors=True)


def read(folder: Path, blocks: Iterable[str]) -> dict[str, dict[str, NDArray[Any]]]:
    """Read the weights of the named blocks.

    Raises
    ------
    RunFolderError
        If a file is missing or damaged.
    """
    return {block: _read_block(folder / f"{block}.npz") for block in blocks}


def _read_block(path: Path) -> dict[str, NDArray[Any]]:
    try:
        return arrays.read(path)
    except FileNotFoundError:
        raise RunFolderError(f"{path}: not found; these are weights of another network, or damaged") from None
    except (OSError, ArraysError) as problem:
        raise RunFolderError(f"{path}: damaged ({problem}); use other weights of this run, or train anew") from None


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read and check the manifest of the weights in `folder`.

    Raises
    ------
    RunFolderError
        If there is no manifest, or it is damaged or has another format.
    """
    path = folder / MANIFEST
    try:
        manifest = files.unpacked(files.content(path))
    except (FileNotFoundError, NotADirectoryError):
        missing = f"no weights here ({MANIFEST} is missing); a run saves them after every epoch"
        raise RunFolderError(f"{folder}: {missing}") from None
    except OSError as problem:
        raise RunFolderError(f"{path}: it cannot be read ({problem.strerror})") from None
    except ValueError:
        raise RunFolderError(f"{path}: damaged; use other weights of this run, or train anew") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise RunFolderError(f"{path}: not a manifest of format {FORMAT}")
    lacking = [key for key in TOLD if key not in manifest]
    if not SCORED.keys() & manifest.keys():
        lacking.append("test_accuracy")
    if lacking:
        what = f"damaged, {', '.join(lacking)} missing"
        raise RunFolderError(f"{path}: {what}; use other weights of this run, or train anew")
    wrong = [key for key, fits in (TOLD | SCORED).items() if key in manifest and not fits(manifest[key])]
    if not _is_shape(manifest.get("target_shape", [])):
        wrong.append("target_shape")
    if not _is_normalisation(manifest):
        wrong.append("input_std")
    if wrong:
        what = f"damaged, {wrong[0]} is {str(manifest.get(wrong[0]))[:40]!r}"
        raise RunFolderError(f"{path}: {what}; use other weights of this run, or train anew")
    return manifest
