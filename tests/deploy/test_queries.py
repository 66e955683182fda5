"""Rules and dashboard ask for documented metrics only, and pass Prometheus' own checks."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from tests.deploy.manifests import PROMETHEUS, documented, panel_queries, rule_queries

PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="needs promtool (Debian package prometheus)")
COMMANDS = (("check", "config", "prometheus.yml"), ("check", "rules", "rules.yml"), ("test", "rules", "rules_test.yml"))


@pytest.mark.parametrize(("name", "expression"), [*panel_queries(), *rule_queries()])
def test_a_query_asks_for_documented_metrics(name: str, expression: str) -> None:
    types = documented()
    recorded = {rule for rule, _ in rule_queries()}
    for metric in re.findall(r"[\w:]*\bdyadnet_\w+[\w:]*|\w+:dyadnet_[\w:]+", expression):
        if ":" in metric:
            assert metric in recorded
        else:
            bare = re.sub(r"_(bucket|sum|count)$", "", metric)
            histogram = bare != metric and types.get(bare) == "histogram"
            assert histogram or metric in types, f"{name} asks for {metric}"


@needs_promtool
@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: " ".join(arguments))
def test_promtool_passes(arguments: tuple[str, ...]) -> None:
    command = [str(PROMTOOL), *arguments]
    finished = subprocess.run(command, cwd=PROMETHEUS, capture_output=True, text=True, timeout=60, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
