"""The delay experiment: the recursion foretells where the network itself turns unstable."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from dyadnet.analysis.delays import CEILING, GAMMAS, WAYS, Cost, Experiment, Limit, Rest, measure
from dyadnet.data import load
from tests.cli.test_main import complaint, run

Measured = tuple[list[Limit], list[Cost], list[Rest]]
QUICK = Experiment(kappas=(-1.0, -0.5, 1.0), delays=(1, 4), hidden=(30, 30), epochs=3, cap=1500)


@pytest.fixture(scope="module")
def measured() -> Measured:
    told: list[str] = []
    found = measure(QUICK, load("digits"), told.append)
    assert len(told) == QUICK.work
    return found


def test_theory_and_simulation_agree_within_a_tenth(measured: Measured) -> None:
    limits, costs, _ = measured
    points = [(k, g, d) for k in QUICK.kappas for g in GAMMAS for d in QUICK.delays]
    assert [(limit.kappa, limit.gamma, limit.delay) for limit in limits] == points
    for limit in limits:
        assert 0 < limit.theory <= CEILING
        assert limit.simulated == pytest.approx(limit.theory, rel=0.1)
        assert limit.rightmost < 1
    for cost in costs:
        assert cost.simulated == pytest.approx(cost.theory, rel=0.1)


def test_delay_costs_negative_feedback_its_step_and_positive_feedback_nothing(
    measured: Measured,
) -> None:
    step = {(limit.kappa, limit.delay): limit.simulated for limit in measured[0] if limit.gamma == 0}
    assert step[-1.0, 4] < 0.5 * step[-1.0, 1]
    assert step[-1.0, 4] < step[-0.5, 4] < step[1.0, 4]
    assert step[1.0, 4] == pytest.approx(step[1.0, 1], rel=0.05)


def test_prospective_neurons_pay_less_for_delay(measured: Measured) -> None:
    assert [(one.kappa, one.delay, one.gamma > 0) for one in measured[1]] == [
        (k, d, prospective) for k in (-1.0, -0.5) for prospective in (False, True) for d in QUICK.delays
    ]
    cost = {(one.kappa, one.delay, one.gamma > 0): one.simulated for one in measured[1]}
    assert 2 * cost[-1.0, 4, True] < cost[-1.0, 4, False]
    ticks = {rest.way: rest.ticks for rest in measured[2] if (rest.kappa, rest.delay) == (-1.0, 4)}
    assert ticks["prospective"] is not None
    assert ticks["tuned"] is not None
    assert 1.3 * ticks["prospective"] < ticks["tuned"]


def test_stretching_the_clock_restores_settling(measured: Measured) -> None:
    _, _, rests = measured
    assert [(r.kappa, r.delay, r.way) for r in rests] == [(k, d, w) for k in (-1.0, 1.0) for d in (1, 4) for w in WAYS]
    ticks = {(rest.delay, rest.way): rest.ticks for rest in rests if rest.kappa == -1.0}
    one, four = ticks[1, "stretched"], ticks[4, "stretched"]
    assert one is not None
    assert four == 4 * one  # the same sweeps, each four times as long
    tuned = ticks[4, "tuned"]
    assert tuned is not None
    assert tuned > four


def test_the_command_writes_data_and_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new"
    options = ["--kappas", "-1", "--delays", "1,3", "--epochs", "1", "--out", str(out), "--json"]
    assert run("delay-limits", *options) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    with (out / "limits.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["theory"]) for row in rows] == pytest.approx([r["theory"] for r in found["limits"]], rel=1e-5)
    assert {path.name for path in out.iterdir()} == {"limits.csv", "costs.csv", "rests.csv", "delay.png"}
    assert np.isin([r["way"] for r in found["rests"]], list(WAYS)).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--kappas", "-2,1"], ["--kappas", "from −1 to 1"]),
        (["--kappas", "a"], ["--kappas", "numbers"]),
        (["--delays", "0"], ["--delays", "at least 1"]),
        (["--delays", "1.5"], ["--delays", "whole numbers"]),
    ],
)
def test_what_makes_no_sense_is_refused(
    options: list[str], words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = complaint(capsys, "delay-limits", *options, "--out", str(tmp_path / "new"))
    assert all(word in line for word in words), line
    assert not (tmp_path / "new").exists()
