"""Tables, summaries and plots of results."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from rich.console import Console

from dyadnet.config.pictures import also_as
from dyadnet.errors import ConfigError, RunFolderError
from dyadnet.runs.folder import MACHINERY
from dyadnet.study import Result, Study, StudyFolder, load, plan, progress
from dyadnet.study.intervals import Interval, margin
from dyadnet.study.outcome import draw, write_table
from dyadnet.study.progress import Estimate, StudyBar, duration
from dyadnet.study.table import cell, columns, rows
from tests.study.definitions import tiny


def measured(accuracy: float, **more: Any) -> Result:
    """A trial that ended well."""
    return Result("ok", "", {"test_accuracy": accuracy, "chance": 0.1, "epochs": 1, "seconds": 2.0} | more)


def written(study: Study, tmp_path: Path, results: dict[int, Result]) -> list[dict[str, str]]:
    """Rows of the table that a study with these results leaves, with its plots."""
    trials = plan(study)
    folder = StudyFolder(tmp_path / "out", study, trials)
    write_table(folder, trials, results)
    draw(folder, trials, results)
    folder.close()
    return list(csv.DictReader(io.StringIO((tmp_path / "out" / "results.csv").read_text())))


def test_the_table_is_tidy(tmp_path: Path) -> None:
    study = tiny(axes=[{"key": "dynamics.clock", "grid": ["every-tick", {"kind": "bernoulli", "p": 0.5}], "name": "c"}])
    trials = plan(study)
    results = {trial.number: measured(0.5, gap=0.125) for trial in trials}
    results[3] = Result("diverged", 'block "h1", at tick 3', {"epochs": 0, "chance": 0.1, "seconds": 0.5})
    del results[5]
    table = written(study, tmp_path, results)
    assert len(table) == len(trials) - 1
    assert list(table[0]) == columns(study)
    assert [row["trial"] for row in table] == [str(t.number) for t in trials if t.number != 5]
    broken = table[3]
    assert (broken["status"], broken["error"], broken["test_accuracy"]) == ("diverged", 'block "h1", at tick 3', "")
    assert {row["c"] for row in table} == {"", "every-tick", '{"kind": "bernoulli", "p": 0.5}'}
    assert {row["gap"] for row in table if row["status"] == "ok"} == {"0.125"}


def test_cells_count_only_what_ended_well() -> None:
    study = tiny()
    trials = plan(study)
    results = {trial.number: measured(0.5 + 0.1 * trial.seed) for trial in trials}
    results[2] = Result("failed", "x", {})
    found = rows(study, trials, results)
    point = {"model": "ffm", "delay": 1, "learning.beta": 0.1}
    partly = cell(found, "test_accuracy", point)
    assert (partly.mean, partly.margin, partly.ok, partly.trials) == (0.6, None, 1, 2)
    whole = cell(found, "test_accuracy", point | {"delay": 3})
    assert whole.mean == pytest.approx(0.55)
    assert whole.margin == pytest.approx(12.706 * 0.05, rel=1e-3)


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=40), st.floats(-5, 5), st.floats(0.1, 3))
def test_a_margin_does_not_move_with_its_values_and_grows_with_their_spread(
    values: list[float], shift: float, factor: float
) -> None:
    plain = margin(values)
    assert plain is not None
    moved = margin([shift + factor * value for value in values])
    assert moved == pytest.approx(factor * plain, abs=1e-9)


def test_margins_hold_the_mean_19_times_in_20() -> None:
    draws = np.random.default_rng(0).normal(size=(4000, 3))
    held = [abs(row.mean()) <= (margin(list(row)) or 0.0) for row in draws]
    assert 0.94 < np.mean(held) < 0.96


def test_intervals_are_what_they_are_called() -> None:
    values = [1.0, 2.0, 6.0]
    deviation = np.std(values, ddof=1)
    assert margin(values, "sd") == pytest.approx(deviation)
    assert margin(values, "se") == pytest.approx(deviation / np.sqrt(3))
    assert margin(values, "t95") == pytest.approx(4.303 * deviation / np.sqrt(3))
    assert margin(values, "none") is None
    assert [margin([1.0], interval) for interval in get_args(Interval)] == [None] * 4


def paired(study: Study) -> dict[int, Result]:
    """Seeds that lie ten points apart, and a delay of 3 that costs each of them one point."""
    return {t.number: measured(0.5 + 0.1 * t.seed - 0.01 * (t.point.get("delay") == 3)) for t in plan(study)}


def test_differences_to_the_base_are_paired_by_seed(tmp_path: Path) -> None:
    study = tiny(differences=True, interval="se")
    results = paired(study)
    broken = next(t for t in plan(study) if not t.point and (t.model, t.seed) == ("ffm", 1))
    results[broken.number] = Result("diverged", "runs away", {})
    table = written(study, tmp_path, results)
    assert {row["test_accuracy_difference"] for row in table if (row["model"], row["seed"]) == ("ffm", "1")} == {""}
    assert (tmp_path / "out" / "map-test-accuracy-difference.png").exists()
    page = (tmp_path / "out" / "summary.md").read_text()
    assert "± the standard error of the mean" in page
    plain, difference = page.split("## test accuracy − the base's, paired by seed")
    assert "54.0 ± 5.0 %" in plain
    assert "| −1.0 ± 0.0 |" in difference
    assert "| −1.0 † |" in difference
    found = load(tmp_path / "out")
    far = found.cell("test_accuracy_difference", model="sshm", delay=3)
    assert far.mean == pytest.approx(-0.01)
    assert far.ok == 4
    assert far.margin == pytest.approx(0.0, abs=1e-12)


def test_a_map_and_its_table_have_the_same_order(tmp_path: Path) -> None:
    study = tiny()
    written(study, tmp_path, paired(study))
    axes = load(tmp_path / "out").plot(ax=Figure().subplots(), model="sshm")
    assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "3"]
    heights = {text.get_text(): axes.transData.transform(text.get_position())[1] for text in axes.get_yticklabels()}
    down = sorted(heights, key=lambda name: -heights[name])
    assert down == ["0.1", "0.5"]
    rows = [line for line in (tmp_path / "out" / "summary.md").read_text().splitlines() if line.startswith("| **")]
    assert [line.split("|")[1].strip(" *") for line in rows[:2]] == down


def test_every_picture_of_a_study_is_there_for_print_too(tmp_path: Path) -> None:
    for name, changes in (("map", {}), ("lines", {"axes": ALONE})):
        study = tiny(**changes)
        with also_as("svg"):
            written(study, tmp_path / name, paired(study))
        pictures = {path.stem for path in (tmp_path / name / "out").glob("*.png")}
        assert pictures
        assert pictures == {path.stem for path in (tmp_path / name / "out").glob("*.svg")}


def test_logarithmic_axes_say_so(tmp_path: Path) -> None:
    study = tiny(axes=ALONE, metrics=["messages"])
    results = {trial.number: measured(0.5, messages=10 ** (1 + trial.number % 5)) for trial in plan(study)}
    written(study, tmp_path, results)
    axes = load(tmp_path / "out").plot(ax=Figure().subplots())
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("learning.beta, log", "messages sent, log")
    accuracy = load(tmp_path / "out").plot("test_accuracy", Figure().subplots())
    assert accuracy.get_ylabel() == "test accuracy (%)"


def test_what_a_study_did_not_measure_is_refused(tmp_path: Path) -> None:
    study = tiny(reference=False)
    written(study, tmp_path, paired(study))
    found = load(tmp_path / "out")
    for arguments, words in (
        ({"metric": "accuracy"}, "metric: 'accuracy' is not legal; one of test_accuracy"),
        ({"metric": "gap_difference"}, "did not run its base alone"),
        ({"model": "hm"}, "model: 'hm' is not legal; one of ffm, sshm"),
        ({"variant": "x"}, "the study names none"),
        ({"axis": "loss"}, "axis: 'loss' is not legal; one of delay, learning.beta"),
        ({"axis": "delay", "model": "ffm"}, "curves show all models"),
    ):
        with pytest.raises(ConfigError, match=re.escape(words)):
            found.plot(ax=Figure().subplots(), **arguments)
    (tmp_path / "out" / "results.csv").write_text("trial,status\n0,ok\n")
    with pytest.raises(RunFolderError, match="damaged"):
        load(tmp_path / "out")
    with pytest.raises(RunFolderError, match="no results of a study here"):
        load(tmp_path)
    with pytest.raises(ConfigError, match="set reference: true"):
        tiny(reference=False, differences=True)


ALONE = [{"key": "learning.beta", "grid": [0.1, 0.5, 1.0], "scale": "log"}]
CLOCKS = [{"key": "dynamics.clock", "random": {"kind": "choice", "values": ["every-tick", "red-black"]}}]
DRAWN = [{"key": "learning.beta", "random": {"kind": "loguniform", "low": 0.1, "high": 1}}, *CLOCKS]


@pytest.mark.parametrize(
    ("changes", "plots"),
    [
        ({}, ["map-test-accuracy.png", "map-messages.png"]),
        ({"variants": {"a": {}, "b": {"set": {"dynamics.step": 0.1}}}}, ["map-test-accuracy.png"]),
        ({"axes": ALONE}, ["lines.png"]),
        ({"axes": [*ALONE, {"key": "dynamics.delay", "grid": [1, 2]}, *CLOCKS], "samples": 2}, ["lines.png"]),
        ({"axes": DRAWN, "samples": 5}, ["map-test-accuracy.png", "map-messages.png"]),
        ({"axes": DRAWN[:1], "samples": 5, "models": [], "reference": False}, ["lines.png"]),
    ],
)
def test_plots_and_summary_are_made_whatever_ended(changes: dict[str, Any], plots: list[str], tmp_path: Path) -> None:
    study = tiny(metrics=["test_accuracy", "messages"], title="A title", **changes)
    trials = plan(study)
    results = {t.number: measured(0.9 - 0.01 * t.number % 0.7, messages=10 ** (t.number % 5)) for t in trials}
    for number in (1, len(trials) // 2, len(trials) - 1):
        results[number] = Result("diverged", "runs away", {"epochs": 0})
    written(study, tmp_path, results)
    for plot in plots:
        assert (tmp_path / "out" / plot).read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "out" / "summary.md").read_text()
    assert page.startswith("# A title")
    assert "3 diverged" in page
    assert "runs away" in page


def test_plots_are_made_of_nothing_but_failures(tmp_path: Path) -> None:
    study = tiny()
    written(study, tmp_path, {trial.number: Result("failed", "no", {}) for trial in plan(study)})
    assert (tmp_path / "out" / "map-test-accuracy.png").exists()


def test_time_left_is_estimated_from_trials_of_the_same_point() -> None:
    trials = plan(tiny())
    estimate = Estimate()
    assert estimate.left(trials, 2) is None
    slow, again = (
        next(t for t in trials if t.point.get("delay") == 3 and t.model == "sshm" and t.seed == seed) for seed in (0, 1)
    )
    quick, other = (next(t for t in trials if t.model == "ffm" and t.point and t.seed == seed) for seed in (0, 1))
    estimate.learn(slow, 30.0)
    estimate.learn(quick, 1.0)
    assert estimate.left([again], 2) == 30.0
    assert estimate.left([again, again], 2) == 30.0
    assert estimate.left([other], 1) == 1.0
    estimate.goes(again, 0.25, 20.0)
    assert estimate.left([again], 2) == 60.0, "what it has come so far says more than other seeds"
    assert estimate.left([again, other], 2) == 60.0, "no trial is shared between workers"
    estimate.forget(again)
    assert estimate.left([again], 2) == 30.0
    estimate.learn(again, 90.0)
    assert estimate.left([again], 1) == 90.0
    assert [duration(s) for s in (12, 600, 9000)] == ["12 s", "10 min", "2.5 h"]


def test_long_trials_under_way_are_followed_epoch_by_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LOOKED_EVERY", 0.0)
    monkeypatch.setattr(progress, "LONG_TOLD_EVERY", 0.0)
    log = io.StringIO()
    trials = plan(
        tiny(models=["ffm"], seeds=2, reference=False, axes=[{"key": "learning.beta", "grid": [0.1]}], epochs=4)
    )
    bar = StudyBar(trials, {}, 1, Console(file=log, width=200))
    bar.goes({0: tmp_path, 1: None})
    assert bar.note == "0 ok · 0 diverged · 0 failed"
    line = json.dumps({"kind": "epoch", "epoch": 1, "seconds": {"training": 8.0, "evaluation": 2.0}})
    (tmp_path / MACHINERY).write_text(line + "\n")
    bar.goes({0: tmp_path, 1: None})
    said = "0 ok · 0 diverged · 0 failed · epochs 1/4 · about 70 s left"
    assert bar.note == said
    (tmp_path / MACHINERY).write_text(line + "\n" + line[:20])
    bar.goes({0: tmp_path, 1: None})
    assert bar.note == said, "a line that is just being written"
    assert f"0 ended · {said}" in log.getvalue()
    bar.ended(trials[0], Result("ok", "", {"seconds": 50.0}))
    assert bar.note == "1 ok · 0 diverged · 0 failed · about 50 s left"
