"""Settings as plain values, before they are checked: read from a file, laid over each other, set one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from dyadnet.errors import ConfigError


def read_yaml(path: Path, field: str = "CONFIG") -> dict[str, Any]:
    """Plain values of a YAML file, called `field` in complaints.

    Raises
    ------
    ConfigError
        If it is missing, not YAML, or not a mapping.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise ConfigError(field, str(path), f"the file cannot be read ({problem.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as problem:
        raise ConfigError(field, str(path), f"not YAML: {' '.join(str(problem).split())}") from None
    if not isinstance(values, dict):
        raise ConfigError(field, str(path), "a mapping of settings is expected")
    return values


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
        If it has no ``=`` or the value is not YAML.
    """
    path, sign, text = assignment.partition("=")
    if not sign or not path.strip():
        raise ConfigError("--set", assignment, "write key.path=value")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError("--set", assignment, "the value is not YAML") from None
    for key in reversed(path.strip().split(".")):
        value = {key: value}
    return merged(values, value)
