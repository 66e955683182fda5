"""Chaos: every kind of fault at random points of a small run, which ends with the undisturbed run's bits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.chaos import plan
from dyadnet.cli import main
from dyadnet.config import RunConfig


def tried(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """What ``dyadnet chaos`` says at its end."""
    with pytest.raises(SystemExit) as ended:
        main(["chaos", "--json", *arguments])
    assert ended.value.code == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return told


@given(st.integers(1, 40), st.integers(0, 2**31))
def test_every_trial_has_a_fault_that_can_happen(count: int, seed: int) -> None:
    trials = plan.trials(count, seed)
    assert [trial.kind for trial in trials] == [plan.KINDS[number % len(plan.KINDS)] for number in range(count)]
    for trial in trials:
        config = RunConfig.read(plan.settings() | {"faults": [str(trial.fault)]})
        assert 1 <= trial.fault.minibatch <= plan.MINIBATCHES
        assert 1 <= trial.fault.tick <= plan.TICKS
        assert config.faults == [trial.fault]
    assert plan.trials(count, seed) == trials


def test_kinds_are_spread_over_the_whole_run() -> None:
    trials = plan.trials(600, 0)
    for kind in plan.KINDS:
        minibatches = {trial.fault.minibatch for trial in trials if trial.kind == kind}
        assert len(minibatches) > plan.MINIBATCHES / 2


def test_what_nothing_inside_a_run_can_do_to_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    told = tried(capsys, "--trials", "2", "--kinds", "node,driver", "--out", str(tmp_path))
    assert (told["ended"], told["same_bits"], told["wrong"]) == (2, 2, [])
    assert told["by_kind"].keys() == {"node", "driver"}


@pytest.mark.slow
def test_fifty_runs_with_one_fault_each(capsys: pytest.CaptureFixture[str]) -> None:
    told = tried(capsys, "--trials", "50")
    assert (told["ended"], told["same_bits"], told["wrong"]) == (50, 50, [])


def test_another_kind_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["chaos", "--kinds", "actor,earthquake"])
    assert ended.value.code == 2
    assert (
        "--kinds: 'actor,earthquake' is not legal; with commas between, of actor, coordinator"
        in capsys.readouterr().err
    )
