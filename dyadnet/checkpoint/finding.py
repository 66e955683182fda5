"""Find the newest intact checkpoint; report every damaged one and fall back to the one before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dyadnet.checkpoint.blocks import verified
from dyadnet.checkpoint.manifest import MANIFEST, Manifest, decoded, order
from dyadnet.checkpoint.rhythm import CheckpointRef
from dyadnet.errors import CheckpointError
from dyadnet.files.store import Store


@dataclass(frozen=True, slots=True)
class Found:
    """The contents of a folder of checkpoints.

    Attributes
    ----------
    newest
        The newest intact checkpoint; None if there is none.
    kept
        That checkpoint and all before it, oldest first.
    unusable
        Folders of checkpoints that are incomplete, altered, or newer than the records.
    """

    newest: Manifest | None
    kept: tuple[CheckpointRef, ...]
    unusable: tuple[str, ...]


def look(store: Store, sizes: Mapping[str, int] | None = None, say: Callable[[str], None] = lambda text: None) -> Found:
    """Find the newest intact checkpoint.

    Parameters
    ----------
    sizes
        Present size of each record in bytes. A checkpoint whose records were longer cannot be used. None: not checked.
    say
        Receives a message about every checkpoint that cannot be used, with the reason.
    """
    manifests: list[Manifest] = []
    unusable: list[str] = []

    def refused(name: str, problem: CheckpointError) -> None:
        unusable.append(name)
        say(f"checkpoint {name} cannot be used: {problem}; falling back to the one before")

    names = [name for name in store.names() if order(name) is not None]
    for name in sorted(names, key=lambda name: (order(name), name)):
        try:
            manifests.append(_manifest(store, name))
        except CheckpointError as problem:
            refused(name, problem)
    manifests.sort(key=lambda manifest: (manifest.position.updates, manifest.written))
    while manifests:
        newest = manifests[-1]
        try:
            _verify(store, newest, sizes)
        except CheckpointError as problem:
            refused(newest.name, problem)
            manifests.pop()
            continue
        kept = tuple(
            CheckpointRef(one.name, one.position.best.checkpoint if one.position.best else None) for one in manifests
        )
        return Found(newest, kept, tuple(unusable))
    return Found(None, (), tuple(unusable))


def named(store: Store, name: str) -> Manifest:
    """Read and verify the checkpoint of that name.

    Raises
    ------
    CheckpointError
        If it is not intact.
    """
    manifest = _manifest(store, name)
    _verify(store, manifest, None)
    return manifest


def _manifest(store: Store, name: str) -> Manifest:
    try:
        data = store.read(f"{name}/{MANIFEST}")
    except CheckpointError:
        raise CheckpointError("half written: it has no manifest") from None
    return decoded(name, data)


def _verify(store: Store, manifest: Manifest, sizes: Mapping[str, int] | None) -> None:
    for file in manifest.files.values():
        verified(store, manifest.name, file)
    for record, length in manifest.lengths.items():
        if sizes is not None and sizes.get(record, 0) < length:
            raise CheckpointError(f"{record} has {sizes.get(record, 0)} bytes, and had {length} when it was written")
