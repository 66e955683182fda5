"""Operations on settings as plain values, before validation: read a file, merge, and set single values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dyadnet.errors import ConfigError
from dyadnet.files import documents as document
from dyadnet.files.documents import DEPTH, DocumentError


def read_yaml(path: Path, field: str = "CONFIG") -> dict[str, Any]:
    """Read plain values from a YAML file. Error messages call the file `field`.

    Raises
    ------
    ConfigError
        If the file is missing, not YAML, or not a mapping.
    """
    try:
        values = document.read(path).values
    except OSError as problem:
        raise ConfigError(field, str(path), f"the file cannot be read ({problem.strerror})") from None
    except DocumentError as problem:
        raise ConfigError(field, str(path), f"not YAML that dyadnet reads: {problem}") from None
    if not isinstance(values, dict):
        what = "it is empty; " if values is None else ""
        raise ConfigError(field, str(path), f"{what}a mapping of settings is expected")
    return values


def located(problem: ConfigError, path: Path | None) -> ConfigError:
    """Add to an error the file and line that it is about, if the file contains such a line."""
    # A pipe or another special file can be read only once.
    if path is None or not path.is_file():
        return problem
    try:
        line = document.read(path).line(problem.field, problem.value)
    except (OSError, DocumentError):
        return problem
    if line is None:
        return problem
    return ConfigError(problem.field, problem.value, f"{problem.legal} ({path}, line {line})")


def spelled_out(values: dict[str, Any]) -> dict[str, Any]:
    """Expand ``data``, if it is only the name of a data set, to a mapping with that name."""
    return {**values, "data": {"name": values["data"]}} if isinstance(values.get("data"), str) else values


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return `base` updated with `over`. Mappings are merged recursively unless they name another ``kind``."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        if isinstance(old, dict) and isinstance(value, dict) and old.get("kind") == value.get("kind", old.get("kind")):
            result[key] = merged(old, value)
        else:
            result[key] = value
    return result


def assigned(values: dict[str, Any], assignment: str) -> dict[str, Any]:
    """Return `values` with one assignment ``key.path=value`` applied. The value is read as YAML.

    Raises
    ------
    ConfigError
        If the assignment has no ``=`` or no legal path, or if the value is not YAML.
    """
    path, sign, text = assignment.partition("=")
    if not sign or not path.strip():
        raise ConfigError("--set", assignment, "write key.path=value")
    try:
        value = document.parse(text).values
    except DocumentError as problem:
        raise ConfigError("--set", assignment, f"the value is not YAML that dyadnet reads: {problem}") from None
    keys = path.strip().split(".")
    if not all(keys) or len(keys) > DEPTH:
        raise ConfigError("--set", assignment, "write key.path=value")
    for key in reversed(keys):
        value = {key: value}
    return merged(values, spelled_out(value))


def flattened(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return settings by dotted path. Mappings are flattened unless they are empty or name a ``kind``."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict) and value and "kind" not in value:
            found |= flattened(value, f"{path}.")
        else:
            found[path] = value
    return found
