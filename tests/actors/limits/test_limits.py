"""The smallest stable time constant: found where it is, and beside theory on real actors."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dyadnet as dn
from dyadnet.cli.main import main
from dyadnet.config import RunConfig
from dyadnet.config.overrides import merged
from dyadnet.config.presets import preset
from dyadnet_actors.limits.bisection import WIDENINGS, edge
from dyadnet_actors.limits.measure import Edge
from dyadnet_actors.limits.report import report


@given(
    where=st.floats(0.1, 1e4),
    wrong=st.floats(2.0 ** (1 - WIDENINGS), 2.0 ** (WIDENINGS - 1)),
    precision=st.floats(0.01, 0.5),
)
def test_the_edge_lies_between_the_two_that_are_found(where: float, wrong: float, precision: float) -> None:
    found = edge(lambda value: value >= where, where * wrong, precision)
    assert found is not None
    low, high = found
    assert low < where <= high <= low * (1.0 + precision) * (1 + 1e-9)


def test_where_all_settles_or_nothing_does_there_is_no_edge() -> None:
    assert edge(lambda value: True, 1.0, 0.1) is None
    assert edge(lambda value: False, 1.0, 0.1) is None


def test_the_table_and_the_picture_hold_every_edge(tmp_path: Path) -> None:
    edges = [Edge(delay, delay + 2.0, 2.0, 3.3 * delay, 3.0 * delay, 3.2 * delay) for delay in (10.0, 20.0)]
    table, picture = report(tmp_path, edges)
    rows = list(csv.DictReader(table.open()))
    assert [float(row["stable"]) for row in rows] == [32.0, 64.0]
    assert picture.stat().st_size > 10_000


def trained(model: str, folder: Path) -> Path:
    """A run that learned a little, without actors."""
    small = {"engine": "local", "learning": {"epochs": 6}, "network": {"layered": {"hidden": [40, 40]}}}
    dn.train(RunConfig.read(merged(preset("digits", model), small)), folder)
    return folder


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What is said of a mistake, in one line."""
    with pytest.raises(SystemExit) as ended:
        main(["real-limits", *arguments])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said


def test_mistakes_are_told_before_any_actor_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no saved weights here" in complaint(capsys, str(tmp_path))
    run = trained("ffm", tmp_path / "ffm")
    assert "nothing else circles" in complaint(capsys, str(run))
    for wrong in ("0,5", "soon", "nan"):
        assert "milliseconds above 0" in complaint(capsys, str(run), "--delays", wrong)


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_actors_in_real_time_obey_the_theory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Within a factor: δ is nearly the largest delay and not the mean one, and machines are busy."""
    run = trained("sshm", tmp_path / "sshm")
    with pytest.raises(SystemExit) as ended:
        main(["real-limits", str(run), "--delays", "40", "--samples", "2", "--json"])
    assert ended.value.code == 0
    (found,) = json.loads(capsys.readouterr().out.splitlines()[-1])["edges"]
    assert found["delay"] > 40
    assert 0.4 < found["stable"] / found["theory"] < 1.4
    assert (run / "real.png").exists()
