"""The files of deploy/, read."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
PROMETHEUS = DEPLOY / "prometheus"
RULES = PROMETHEUS / "rules.yml"
DASHBOARD = DEPLOY / "grafana" / "dashboards" / "dyadnet.json"


def read(path: Path) -> Any:
    """A file's one document."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def schema(name: str) -> Any:
    """A schema that lies beside the tests."""
    return read(Path(__file__).with_name("schemas") / f"{name}.yaml")


def project() -> dict[str, Any]:
    """What pyproject.toml says of the project."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        return dict(tomllib.load(file)["project"])


def locked(package: str) -> str:
    """Version of a package in the lock."""
    found = re.search(rf"^{package}==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert found, f"{package} is not in constraints.txt"
    return found[1]


def nested(value: Any, key: str) -> Iterator[Any]:
    """Every value of a key, however deep."""
    if isinstance(value, dict):
        for name, entry in value.items():
            if name == key:
                yield entry
            yield from nested(entry, key)
    elif isinstance(value, list):
        for entry in value:
            yield from nested(entry, key)


def panel_queries() -> list[tuple[str, str]]:
    """(title, expression) of every query of the dashboard."""
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return [(panel["title"], target["expr"]) for panel in panels for target in panel.get("targets", [])]


def rule_queries() -> list[tuple[str, str]]:
    """(name, expression) of every rule."""
    rules = [rule for group in read(RULES)["groups"] for rule in group["rules"]]
    return [(rule.get("record") or rule["alert"], rule["expr"]) for rule in rules]


def documented() -> dict[str, str]:
    """Type of every metric that docs/metrics.md lists."""
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| `(dyadnet_\w+)` \| (\w+) \|", text, re.MULTILINE))
