"""Every metric has a name that Prometheus' users expect, and an entry in the documents."""

from __future__ import annotations

import re
from pathlib import Path

from dyadnet.telemetry.catalogue import AGES, CATALOGUE, OF_RUN, PREFIX, SWEEPS

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "metrics.md"
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| (.*?) \| (.*?) \| (.*) \|$", re.MULTILINE)


def documented() -> dict[str, tuple[str, tuple[str, ...], str, str]]:
    """Type, labels, unit and meaning by name, as `docs/metrics.md` tells them."""
    rows = ROW.findall(DOCUMENT.read_text(encoding="utf-8"))
    return {
        name: (kind, tuple(re.findall(r"`(\w+)`", labels)), unit, meaning.replace("\\|", "|"))
        for name, kind, labels, unit, meaning in rows
    }


def test_code_and_document_list_the_same_metrics_and_say_the_same_of_each() -> None:
    coded = {PREFIX + m.name: (m.kind, m.labels, m.unit, m.meaning) for m in CATALOGUE.values()}
    assert documented() == coded


def test_names_follow_the_conventions() -> None:
    for metric in CATALOGUE.values():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", metric.name)
        assert (metric.kind == "counter") == metric.name.endswith("_total")
        assert not re.search(r"percent|_ms|milli|kilo|minutes", metric.name)
        assert not set(metric.labels) & {*OF_RUN, "le", "quantile", "job", "instance"}
        assert metric.meaning.endswith(".")


def test_bounds_of_histograms_rise() -> None:
    for bounds in (SWEEPS, AGES):
        assert list(bounds) == sorted(set(bounds))
