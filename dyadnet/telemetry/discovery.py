"""The file for Prometheus file-based service discovery: runs add themselves to it and remove themselves again."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dyadnet.errors import ConfigError

Group = dict[str, Any]
"""``{"targets": [...], "labels": {...}}``."""


@contextlib.contextmanager
def listed(path: Path | None, target: str) -> Iterator[None]:
    """List a target in the file while the context lasts.

    Raises
    ------
    ConfigError
        If the file cannot be written, or is not a list of targets in JSON.
    """
    if path is None:
        yield
        return
    _change(path, target, present=True)
    try:
        yield
    finally:
        with contextlib.suppress(ConfigError):
            _change(path, target, present=False)


def _change(path: Path, target: str, *, present: bool) -> None:
    """Add or remove a target atomically, under a lock that excludes other runs."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_name(f".{path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            groups = [group for group in _read(path) if target not in group.get("targets", [])]
            if present:
                groups.append({"targets": [target], "labels": {"job": "dyadnet"}})
            _write(path, groups)
    except OSError as problem:
        raise ConfigError("metrics.file_sd", str(path), f"a file that can be written ({problem.strerror})") from None


def _read(path: Path) -> list[Group]:
    try:
        groups = json.loads(path.read_text(encoding="utf-8") or "[]")
    except FileNotFoundError:
        return []
    except ValueError:
        groups = None
    if not isinstance(groups, list) or not all(isinstance(group, dict) for group in groups):
        raise ConfigError("metrics.file_sd", str(path), "a new file, or a list of targets in JSON")
    return groups


def _write(path: Path, groups: list[Group]) -> None:
    handle, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(groups, file, indent=1)
        Path(fresh).chmod(0o644)
        Path(fresh).replace(path)
    except BaseException:
        Path(fresh).unlink(missing_ok=True)
        raise
