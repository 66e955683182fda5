"""The documents say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dyadnet.activations import ACTIVATIONS
from dyadnet.config import ClusterSpec, DataSpec, Dynamics, FreeRunning, Learning, ProbeSpec, RecordSpec
from dyadnet.metrics.settings import MetricsSpec
from dyadnet.spec import Spec

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize(
    "spec", [ClusterSpec, DataSpec, Dynamics, FreeRunning, Learning, ProbeSpec, RecordSpec, MetricsSpec]
)
def test_every_setting_is_documented(spec: type[Spec]) -> None:
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    for field in set(spec.model_fields) - {"kind"}:
        assert re.search(rf"`(\w+\.)?{field}`", text), field


def test_every_activation_is_documented() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in ACTIVATIONS)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (document.parent / target).exists(), target
