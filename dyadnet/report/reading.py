"""What can be read of a run's folder, whatever state it is in: a report says what is missing instead of giving up."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dyadnet import weights
from dyadnet.config import RunConfig
from dyadnet.errors import RunFolderError, UsageError
from dyadnet.record import CONFIG, MACHINERY, METRICS, read_config, saved_weights


@dataclass(frozen=True)
class Reading:
    """A run's folder as it was found.

    Attributes
    ----------
    config
        None if it is missing or damaged.
    metrics, machinery
        The sound lines of both records.
    manifests
        What the weights that were saved say of themselves, by name.
    missing
        In words, what is not there or damaged.
    """

    path: Path
    config: RunConfig | None
    metrics: list[dict[str, Any]]
    machinery: list[dict[str, Any]]
    manifests: dict[str, dict[str, Any]]
    missing: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The folder's."""
        return self.path.resolve().name


def read(run: Path) -> Reading:
    """Read a run's folder; only one that holds no run at all is refused.

    Raises
    ------
    RunFolderError
        If there is neither a configuration nor a record.
    """
    if not (run / CONFIG).is_file() and not (run / METRICS).is_file():
        raise RunFolderError(f"{run}: no run here ({CONFIG} and {METRICS} are missing)")
    missing: list[str] = []
    config = None
    if not (run / CONFIG).is_file():
        missing.append(
            f"{CONFIG}: the file is missing, and with it what the network looks like and how long it was to train"
        )
    else:
        try:
            config = read_config(run)
        except UsageError as problem:
            missing.append(f"the configuration: {problem}")
    metrics = _lines(run / METRICS, missing)
    machinery = _lines(run / MACHINERY, missing)
    manifests = {}
    for name in ("best", "last"):
        folder = saved_weights(run, name)
        try:
            manifests[name] = weights.read_manifest(folder)
        except RunFolderError as problem:
            why = str(problem) if folder.is_dir() else "not saved yet"
            missing.append(f"the {name} weights: {why}")
    return Reading(run, config, metrics, machinery, manifests, missing)


def _lines(path: Path, missing: list[str]) -> list[dict[str, Any]]:
    try:
        text = path.read_bytes().decode("utf-8", errors="replace")
    except OSError:
        missing.append(f"{path.name}: the file is missing")
        return []
    found, damaged = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except ValueError:
            values = None
        if isinstance(values, dict) and isinstance(values.get("kind"), str):
            found.append(values)
        else:
            damaged.append(str(number))
    if damaged:
        missing.append(left_out(path.name, damaged))
    return found


def left_out(name: str, lines: list[str]) -> str:
    """What a report says of damaged lines."""
    shown = ", ".join(lines[:5]) + (", …" if len(lines) > 5 else "")
    return f"{name}: line{'s' if len(lines) > 1 else ''} {shown} damaged and left out"
