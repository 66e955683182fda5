"""The parts of a checkpoint: one file per block, and a manifest that is written last.

The manifest contains a hash of itself and of every file, so that incomplete or altered checkpoints are detected. It is
JSON; nothing in a checkpoint is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from dyadnet.checkpoint.position import Position, finite, whole_number
from dyadnet.errors import CheckpointError
from dyadnet.files.access import unpacked
from dyadnet.files.store import checked

FORMAT = 1
MANIFEST = "manifest.json"
_NAME = re.compile(r"(\d{8,})-[0-9a-f]{8}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class File:
    """One file of a checkpoint: its name, and its expected hash and size."""

    name: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """The manifest of one checkpoint.

    Attributes
    ----------
    name
        Name of its folder: number of updates so far, and random hexadecimal digits.
    config
        The run's resolved configuration, as plain values.
    position
        State of the coordinator.
    files
        Files by block.
    lengths
        Size of each record in bytes when the checkpoint was written; a resumed run continues the records there.
    faults
        Injected faults that have fired.
    written
        When it was written, in seconds since 1970.
    versions
        Versions of the software that wrote it.
    """

    name: str
    config: Mapping[str, Any]
    position: Position
    files: Mapping[str, File]
    lengths: Mapping[str, int]
    faults: tuple[str, ...] = ()
    written: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Total size of all blocks' files in bytes."""
        return sum(file.bytes for file in self.files.values())

    def encoded(self) -> bytes:
        """Return the contents of the file `MANIFEST`."""
        body = {
            "name": self.name,
            "config": dict(self.config),
            "position": self.position.plain(),
            "files": {block: asdict(file) for block, file in self.files.items()},
            "lengths": dict(self.lengths),
            "faults": list(self.faults),
            "written": self.written,
            "versions": dict(self.versions),
        }
        return json.dumps({"format": FORMAT, "sha256": _hash(body), "checkpoint": body}, indent=1).encode()


def decoded(name: str, data: bytes) -> Manifest:
    """Decode and check the manifest in the folder `name`.

    Raises
    ------
    CheckpointError
        If it is damaged or altered, has another format, or names a file outside its folder.
    """
    try:
        whole = unpacked(data)
        if whole["format"] != FORMAT:
            raise CheckpointError(f"a manifest of format {str(whole['format'])[:20]}, not {FORMAT}")
        body = whole["checkpoint"]
        if whole["sha256"] != _hash(body) or body["name"] != name:
            raise CheckpointError("its manifest was altered")
        files = {block: _file(values) for block, values in body["files"].items()}
        lengths = {record: whole_number(length) for record, length in body["lengths"].items()}
        position = Position.from_plain(body["position"])
        faults, versions = tuple(str(fault) for fault in body["faults"]), dict(body["versions"])
        return Manifest(name, dict(body["config"]), position, files, lengths, faults, finite(body["written"]), versions)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise CheckpointError("its manifest is damaged") from None


def order(name: str) -> int | None:
    """Return the number of updates in the name of a checkpoint's folder; None for other names."""
    found = _NAME.fullmatch(name)
    return int(found[1]) if found else None


def _file(values: Mapping[str, Any]) -> File:
    name, sha256, size = values["name"], values["sha256"], values["bytes"]
    if not isinstance(name, str) or "/" in name:
        raise CheckpointError(f"file name {str(name)[:80]!r}: it leads out of the checkpoint, and is not followed")
    if not (isinstance(sha256, str) and _SHA256.fullmatch(sha256)) or type(size) is not int or size < 0:
        raise CheckpointError("its manifest is damaged")
    return File(checked(name), sha256, size)


def _hash(body: Any) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
