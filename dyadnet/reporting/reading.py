"""Read a run's folder in any state: a report names missing and damaged parts instead of failing."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dyadnet.config import RunConfig
from dyadnet.errors import RunFolderError, UsageError
from dyadnet.files.access import content, unpacked
from dyadnet.runs import weights
from dyadnet.runs.folder import BEST, CONFIG, LAST, MACHINERY, METRICS, read_config, saved_weights
from dyadnet.runs.status import Status, read_status


@dataclass(frozen=True)
class RunReading:
    """The readable contents of a run's folder.

    Attributes
    ----------
    path
        The folder.
    config
        The configuration; None if it is missing or damaged.
    metrics, machinery
        The intact lines of both records.
    manifests
        Manifests of the saved weights, by name.
    missing
        Messages about missing and damaged parts.
    status
        Status of the run; None if unknown.
    """

    path: Path
    config: RunConfig | None
    metrics: list[dict[str, Any]]
    machinery: list[dict[str, Any]]
    manifests: dict[str, dict[str, Any]]
    missing: list[str] = field(default_factory=list)
    status: Status | None = None

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.resolve().name


def read(run: Path) -> RunReading:
    """Read a run's folder. Damaged parts are reported, not raised.

    Raises
    ------
    RunFolderError
        If the folder has neither a configuration nor a record, or cannot be read.
    """
    try:
        configured, recorded = (run / CONFIG).is_file(), (run / METRICS).is_file()
    except OSError as problem:
        raise RunFolderError(f"{run}: it cannot be read ({problem.strerror}); name a run's folder") from None
    if not configured and not recorded:
        raise RunFolderError(f"{run}: no run here ({CONFIG} and {METRICS} are missing)")
    missing: list[str] = []
    config = None
    if not configured:
        missing.append(f"{CONFIG}: the file is missing, so the network and the number of epochs are unknown")
    else:
        try:
            config = read_config(run)
        except UsageError as problem:
            missing.append(f"the configuration: {problem}")
    metrics = _lines(run / METRICS, missing)
    machinery = _lines(run / MACHINERY, missing)
    manifests = _manifests(run, missing)
    status = None if config is None else read_status(run)
    return RunReading(run, config, metrics, machinery, manifests, missing, status)


def _manifests(run: Path, missing: list[str]) -> dict[str, dict[str, Any]]:
    found = {}
    for name in (BEST, LAST):
        folder = saved_weights(run, name)
        try:
            if folder.is_dir():
                found[name] = weights.read_manifest(folder)
            else:
                missing.append(f"the {name} weights: not saved yet")
        except OSError as problem:
            missing.append(f"the {name} weights: they cannot be read ({problem.strerror})")
        except RunFolderError as problem:
            missing.append(f"the {name} weights: {problem}")
    return found


def _lines(path: Path, missing: list[str]) -> list[dict[str, Any]]:
    try:
        text = content(path).decode("utf-8", errors="replace")
    except OSError:
        missing.append(f"{path.name}: the file is missing")
        return []
    found, damaged = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            values = unpacked(line)
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
    """Return the message of a report about damaged lines."""
    return f"{name}: line{'s' if len(lines) > 1 else ''} {listed(lines)} damaged and left out"


def listed(names: list[str], most: int = 5) -> str:
    """Return the first names, joined by commas."""
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")
