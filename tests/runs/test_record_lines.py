"""What the record's lines hold, as their types, their page and real runs say it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dyadnet as dn
from docs.tools.record_tables import keys, pages
from dyadnet.dynamics.block_metrics import RECORDED
from dyadnet.dynamics.outcome import COUNTED
from dyadnet.runs import record_lines
from dyadnet.runs.folder import read_machinery, read_metrics
from dyadnet.runs.record_lines import LINES
from dyadnet_actors.hosts.usage_meter import REASONS
from dyadnet_actors.protocol.stall_diagnosis import Chain, Diagnosis, Wait

DOCUMENT = Path(__file__).parents[2] / "docs" / "record.md"
LINKS = {
    "train": record_lines.PartEntry,
    "validation": record_lines.PartEntry,
    "test": record_lines.PartEntry,
    "validation_ideal": record_lines.PartEntry,
    "test_ideal": record_lines.PartEntry,
    "blocks": record_lines.BlockEntry,
    "edges": record_lines.OfChannel,
    "seconds": record_lines.Seconds,
    "pace": record_lines.PaceEntry,
    "actors": record_lines.OfActor,
    "chains": record_lines.ChainEntry,
    "waits": record_lines.WaitEntry,
}
"""Type of what stands under a key."""
ONES = {"train", "validation", "test", "validation_ideal", "test_ideal", "seconds", "pace"}
"""Keys under which there is one, and not many by name or in a list."""

Found = set[tuple[str, str]]


def config(**sections: Any) -> dn.RunConfig:
    """A short run."""
    given = {
        "network": {"layered": {"inputs": 64, "hidden": [8], "outputs": 10, "lam": 0.0}},
        "data": {"name": "digits", "limit_train": 60, "limit_test": 20},
        "learning": {"epochs": 1, "minibatch": 20},
        "dynamics": {"sweeps": 6},
        "record": {"every": 1},
        "engine": "local",
    }
    return dn.RunConfig.read(given | sections)


def look(line: Mapping[str, Any], kind: type, found: Found) -> None:
    """Note every key that a line has, and check that it is one of its type and that none is lacking."""
    known = keys(kind)
    there = {"dropped" if name.removeprefix("dropped, ") in REASONS else name for name in line}
    assert there <= set(known), (kind, there - set(known))
    assert {name for name, key in known.items() if not key.when} <= there, (kind, set(known) - there)
    found |= {(kind.__name__, name) for name in there}
    for name, value in line.items():
        below = LINKS.get(name)
        if kind is record_lines.Placement and name == "actors":
            below = record_lines.PlaceEntry
        elif kind is record_lines.OfActor and name == "edges":
            below = record_lines.Read
        if below is None or isinstance(value, int | float):
            continue
        entries: Iterable[Mapping[str, Any]] = value if isinstance(value, list) else value.values()
        for entry in [value] if name in ONES else entries:
            look(entry, below, found)


def look_at(run: Path, found: Found) -> None:
    """Note every key of a run's record."""
    for file, lines in (("metrics.jsonl", read_metrics(run)), ("machinery.jsonl", read_machinery(run))):
        assert lines
        for line in lines:
            look(line, LINES[file][line["kind"]], found)


@pytest.mark.usefixtures("ray_session")
def test_runs_write_all_that_is_documented_and_nothing_else(tmp_path: Path) -> None:
    lossy = {"channel": {"loss": 0.1}}
    numbers = np.random.default_rng(0).standard_normal((60, 64))
    found: Found = set()
    dn.train(config(imperfections=lossy), tmp_path / "lossy")
    regression = dn.layered(64, [8], 3, output_activation="linear")
    dn.train(config(network=regression, data={}), tmp_path / "numbers", data=(numbers, numbers[:, :3]))
    images = {"task": "denoise", "limit_train": 60, "limit_test": 20}
    dn.train(config(network=dn.layered(64, [8], 64), data=images), tmp_path / "images")
    extrapolating = {"clock": "every-tick", "delay": 3, "prospective": "auto", "sweeps": 6}
    dn.train(config(dynamics=extrapolating), tmp_path / "prospective")
    # More blocks than actors: they are shared out by what they cost.
    apart = {"engine": "ray", "cluster": {"actors": 2}, "network": dn.layered(64, [8, 8], 10, lam=0.0)}
    dn.train(config(**apart), tmp_path / "ray")
    free = {"mode": {"kind": "free", "budget": 0.05}}
    dn.train(config(**apart, dynamics=free), tmp_path / "free")
    for run in tmp_path.iterdir():
        look_at(run, found)
    # What failures write, which tests/actors provoke.
    waits = (Wait("h1", "out", "feedback", 7),)
    diagnosis = Diagnosis(3.0, (Chain(0, waits, "out", "silent", "out does not answer"),))
    look(json.loads(json.dumps(record_lines.stall(diagnosis.plain()))), record_lines.Stall, found)
    look(record_lines.recovery(1, 0.5), record_lines.RecoveryEntry, found)
    every = [kind for kinds in LINES.values() for kind in kinds.values()] + list(record_lines.PARTS)
    assert found == {(kind.__name__, name) for kind in every for name in keys(kind)}


def test_the_page_has_the_tables_of_the_types() -> None:
    sections = re.split(r"^#{2,3} ", DOCUMENT.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    tables = {}
    for section in sections:
        heading, *lines = section.splitlines()
        if rows := [line for line in lines if line.startswith("|")]:
            tables[heading] = rows
    assert tables == pages()


def test_types_agree_with_what_is_declared_elsewhere() -> None:
    assert list(record_lines.BlockEntry.__annotations__) == [column.recorded for column in RECORDED]
    assert list(record_lines.OfChannel.__annotations__) == list(COUNTED)


def test_of_an_epoch_that_was_written_twice_the_newest_line_counts() -> None:
    lines: list[dict[str, Any]] = [
        {"kind": "epoch", "epoch": 1, "relaxations": 1},
        {"kind": "minibatch", "epoch": 2, "minibatch": 1},
        {"kind": "epoch", "epoch": 1, "relaxations": 2},
    ]
    assert [line["relaxations"] for line in record_lines.epochs(lines)] == [2]
    assert record_lines.ended(lines) == 2
    assert [line["minibatch"] for line in record_lines.minibatches(lines)] == [1]
