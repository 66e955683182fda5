"""Save and restore the state that a block carries from minibatch to minibatch.

This state consists of the block's parameters, the optimiser's state, its part of the power iteration's vector, and, if
relaxations start from the previous minibatch's final state, the neurons' A. Channel memories (send-on-delta) and
averages are reset at the beginning of every relaxation, and devices draw from counters, so they have no state to save.
"""

from __future__ import annotations

import hashlib
import io
import socket
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dyadnet.checkpoint.manifest import File, Manifest
from dyadnet.errors import CheckpointError, ConfigError, DivergedError
from dyadnet.files.arrays import ArraysError, read
from dyadnet.files.store import Store
from dyadnet.learning.block import Block

Arrays = dict[str, NDArray[Any]]


class Vector(Protocol):
    """One block's part of the power iteration."""

    vector: NDArray[np.float64]


class KeptNeurons(Protocol):
    """One block's neurons in one lane."""

    A: NDArray[Any]

    @property
    def continues(self) -> bool:
        """Whether a relaxation starts from the final A of the previous one."""

    @property
    def tick(self) -> int:
        """Tick of the last firing."""


PARAMETER = "parameter "
"""Prefix of the names of parameters in a block's file."""


def save(store: Store, folder: str, block: Block, response: Vector, lanes: Sequence[KeptNeurons]) -> File:
    """Write a block's file into a checkpoint's folder.

    Raises
    ------
    StoreError
        If the file cannot be written.
    DivergedError
        If a parameter is not finite, so that the checkpoint would be useless.
    """
    arrays = kept(block, response, lanes)
    for name, array in arrays.items():
        if name.startswith(PARAMETER) and not np.isfinite(array).all():
            why = f"parameter {name.removeprefix(PARAMETER)!r} is no longer finite after the update"
            raise DivergedError(block.name, lanes[0].tick, why, "try a smaller learning rate, or weight decay")
    data = packed(arrays)
    file = File(f"{block.name}.npz", hashlib.sha256(data).hexdigest(), len(data))
    store.write(f"{folder}/{file.name}", data)
    return file


def restore(store: Store, checkpoint: Manifest, block: Block, response: Vector, lanes: Sequence[KeptNeurons]) -> None:
    """Restore a block from its file.

    Raises
    ------
    CheckpointError
        If the file is missing, altered, or belongs to another network.
    """
    file = checkpoint.files.get(block.name)
    if file is None:
        raise CheckpointError(f"checkpoint {checkpoint.name}: it has no block {block.name}; it is of another run")
    data = verified(store, checkpoint.name, file)
    try:
        arrays = unpacked(data)
    except CheckpointError as problem:
        raise CheckpointError(f"checkpoint {checkpoint.name}, {file.name}: {problem}") from None
    put_back(arrays, block, response, lanes)


def find(store: Store, nonce: str, who: str) -> None:
    """Check that this process sees the same folder as the process that wrote the file `nonce`.

    Raises
    ------
    ConfigError
        If it does not; the error names `who`.
    """
    try:
        seen = store.read(nonce) == nonce.encode()
    except CheckpointError:
        seen = False
    if not seen:
        legal = (
            f"{who} on {socket.gethostname()} does not see it; name a folder that all machines share (a mounted path, "
            "or a URL such as s3://...), or do without checkpoints by --set checkpoint=off"
        )
        raise ConfigError("checkpoint.folder", store.folder, legal)


def verified(store: Store, folder: str, file: File) -> bytes:
    """Read a file and verify its size and hash.

    Raises
    ------
    CheckpointError
        If the file is missing, or does not match the manifest.
    """
    data = store.read(f"{folder}/{file.name}")
    if len(data) != file.bytes:
        raise CheckpointError(f"{file.name} has {len(data)} bytes, not {file.bytes}: half written")
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise CheckpointError(f"{file.name} was altered: its checksum differs")
    return data


def kept(block: Block, response: Vector, lanes: Sequence[KeptNeurons]) -> Arrays:
    """Return all arrays of a block's state, by name."""
    snapshot = block.snapshot()
    arrays: Arrays = {PARAMETER + key: weights for key, weights in snapshot["parameters"].items()}
    for key, state in snapshot["states"].items():
        arrays |= {f"{name} of {key}": array for name, array in state.items()}
    arrays["vector"] = response.vector
    arrays |= {f"A of lane {index}": dyads.A for index, dyads in enumerate(lanes) if dyads.continues}
    return arrays


def put_back(arrays: Mapping[str, NDArray[Any]], block: Block, response: Vector, lanes: Sequence[KeptNeurons]) -> None:
    """Restore a block's state from the arrays of `kept`.

    Raises
    ------
    CheckpointError
        If an array is missing or does not fit.
    """
    present = kept(block, response, lanes)
    if set(present) != set(arrays):
        raise CheckpointError(f"block {block.name}: not the arrays of this network; it is a checkpoint of another run")
    for name, array in arrays.items():
        own = present[name]
        fits = array.shape[1:] == own.shape[1:] if name.startswith("A of") else array.shape == own.shape
        if not fits or array.dtype != own.dtype:
            raise CheckpointError(
                f"block {block.name}: {name} is {array.dtype}{list(array.shape)}, not {own.dtype}{list(own.shape)}; "
                "it is a checkpoint of another run"
            )
    block.restore(
        {
            "parameters": {key: arrays[PARAMETER + key] for key in block.parameters()},
            "states": {
                key: {name: arrays[f"{name} of {key}"] for name in state} for key, state in block.states.items()
            },
        }
    )
    response.vector = arrays["vector"].copy()
    for index, dyads in enumerate(lanes):
        if dyads.continues:
            dyads.A = arrays[f"A of lane {index}"].copy()


def packed(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Encode arrays as a little-endian ``.npz``."""
    buffer = io.BytesIO()
    plain = {name: np.asarray(array, dtype=array.dtype.newbyteorder("<")) for name, array in arrays.items()}
    np.savez(buffer, **plain)  # type: ignore[arg-type]
    return buffer.getvalue()


def unpacked(data: bytes) -> Arrays:
    """Decode the arrays of an ``.npz`` without unpickling anything.

    Raises
    ------
    CheckpointError
        If the data are not an ``.npz``.
    """
    try:
        return read(data)
    except ArraysError as problem:
        raise CheckpointError(f"no arrays in it ({problem})") from None
