"""Looks for the newest checkpoint that is intact; one that is not falls back to the one before, and says so."""

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
    """What a folder of checkpoints holds.

    Attributes
    ----------
    newest
        The newest that is intact; None if there is none.
    kept
        It and all before it, oldest first.
    unusable
        Folders that are half written, altered, or further than the records.
    """

    newest: Manifest | None
    kept: tuple[CheckpointRef, ...]
    unusable: tuple[str, ...]


def look(store: Store, sizes: Mapping[str, int] | None = None, say: Callable[[str], None] = lambda text: None) -> Found:
    """Find the newest intact checkpoint.

    Parameters
    ----------
    sizes
        Bytes of each record that there are; a checkpoint that has seen more of them is no use. None: not looked at.
    say
        Is told of every one that cannot be used, and why.
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
    """One checkpoint, verified.

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
