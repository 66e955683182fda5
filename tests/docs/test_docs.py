"""The documents say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dyadnet.config import ClusterSpec, DataSpec, Learning, ProbeSpec, RecordSpec
from dyadnet.config.checkpoints import CheckpointSpec
from dyadnet.config.dynamics import Dynamics, FreeRunning
from dyadnet.config.metrics import MetricsSpec
from dyadnet.imperfections.channel import Channel
from dyadnet.imperfections.device import Device
from dyadnet.network.activations import ACTIVATIONS
from dyadnet.schema import Spec
from dyadnet.study import Study, ready
from dyadnet.study.axes import Axis
from dyadnet.study.columns import IDENTITY, METRICS, REST
from dyadnet.study.definition import Base

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), ROOT / "deploy" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize(
    "spec", [CheckpointSpec, ClusterSpec, DataSpec, Dynamics, FreeRunning, Learning, ProbeSpec, RecordSpec, MetricsSpec]
)
def test_every_setting_is_documented(spec: type[Spec]) -> None:
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    for field in set(spec.model_fields) - {"kind"}:
        assert re.search(rf"`(\w+\.)?{field}`", text), field


@pytest.mark.parametrize("spec", [Channel, Device])
def test_every_imperfection_is_documented_with_all_its_fields(spec: type[Spec]) -> None:
    lines = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8").splitlines()
    for name, record in spec.model_fields.items():
        (row,) = (line for line in lines if line.startswith(f"| `{name}` |") and "imperfect" not in line)
        assert record.annotation is not None
        for field in getattr(record.annotation, "model_fields", ()):
            assert f"`{field}`" in row, (name, field)


def test_everything_about_studies_is_documented() -> None:
    text = (ROOT / "docs" / "studies.md").read_text(encoding="utf-8")
    names = [name for spec in (Study, Base, Axis) for name in spec.model_fields if name != "base"]
    for name in [*names, *METRICS, *IDENTITY, *REST, *ready.names()]:
        assert re.search(rf"`(\w+\.)?{name}`", text), name


def test_every_activation_is_documented() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in ACTIVATIONS.built_in)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (document.parent / target).exists(), target
