"""Settings as plain values, before they are checked: read from a file, laid over each other, set one by one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dyadnet.errors import ConfigError
from dyadnet.files import documents as document
from dyadnet.files.documents import DEPTH, DocumentError


def read_yaml(path: Path, field: str = "CONFIG") -> dict[str, Any]:
    """Plain values of a YAML file, called `field` in complaints.

    Raises
    ------
    ConfigError
        If it is missing, not YAML, or not a mapping.
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
    """A complaint with the line of the file that says what it is about, if one does."""
    # What is no plain file could be read only once.
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
    """Settings whose ``data`` is no more than a data set's name, with that name where it belongs."""
    return {**values, "data": {"name": values["data"]}} if isinstance(values.get("data"), str) else values


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over`; mappings are merged unless they name another ``kind``."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        if isinstance(old, dict) and isinstance(value, dict) and old.get("kind") == value.get("kind", old.get("kind")):
            result[key] = merged(old, value)
        else:
            result[key] = value
    return result


def assigned(values: dict[str, Any], assignment: str) -> dict[str, Any]:
    """`values` with one ``key.path=value`` applied; the value is read as YAML.

    Raises
    ------
    ConfigError
        If it has no ``=``, or the value or the whole is not YAML.
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
    """Settings by dotted path, down to values that are no mappings or that name a ``kind``."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict) and value and "kind" not in value:
            found |= flattened(value, f"{path}.")
        else:
            found[path] = value
    return found
