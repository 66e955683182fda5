"""Chaos: every kind of fault at random points of a small run, which ends with the undisturbed run's bits."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer import Typer
from typer.testing import CliRunner

from dyadnet.cli.main import main
from dyadnet.config import RunConfig
from dyadnet.errors import ConfigError
from dyadnet_actors.chaos import disk, plan, strike
from dyadnet_actors.chaos.kept import KeptTrials
from dyadnet_actors.chaos.strike import Ending
from dyadnet_actors.cli import chaos as cli

app = Typer()
app.command()(cli.chaos)


def tried(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """What ``dyadnet chaos`` says at its end."""
    with pytest.raises(SystemExit) as ended:
        main(["chaos", "--json", *arguments])
    assert ended.value.code == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return told


def refused(*arguments: str) -> tuple[int, str]:
    """Exit code and line of a ``dyadnet chaos`` that does not begin."""
    done = CliRunner().invoke(app, arguments)
    assert isinstance(done.exception, ConfigError)
    return done.exception.exit_code, str(done.exception)


@settings(deadline=None)
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


@pytest.mark.parametrize("kind", ["node", pytest.param("driver", marks=pytest.mark.slow)])
def test_what_nothing_inside_a_run_can_do_to_it(
    kind: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Ray leaves this in a process that has started it.
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    told = tried(capsys, "--trials", "1", "--kinds", kind, "--out", str(tmp_path))
    assert (told["ended"], told["same_bits"], told["wrong"]) == (1, 1, [])
    assert told["by_kind"].keys() == {kind}


def test_ray_itself_is_struck_in_every_way() -> None:
    trials = plan.trials(600, 0, ["ray-dies", "ray-hangs"])
    assert {(trial.kind, trial.victims) for trial in trials} == set(
        itertools.product(("ray-dies", "ray-hangs"), plan.RAYS)
    )
    assert all(trial.victims == () for trial in plan.trials(100, 0, ["actor", "disk-full"]))


def ended(trial: plan.FaultTrial, weights: str = "right") -> Ending:
    """A trial that ended so."""
    return Ending(trial, weights, True, 1.0, "" if weights else "dyadnet: it went wrong")


def test_trials_in_pieces_are_the_same_as_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run: list[plan.FaultTrial] = []

    def struck(trial: plan.FaultTrial, folder: Path) -> Ending:
        run.append(trial)
        return ended(trial)

    monkeypatch.setattr(strike, "struck", struck)
    monkeypatch.setattr(strike, "undisturbed", lambda folder: "right")
    arguments = ["--trials", "5", "--seed", "7", "--kinds", "actor,hang-up", "--out", str(tmp_path / "out")]
    assert tried(capsys, *arguments, "--at-most", "2")["left"] == 3
    with (tmp_path / "out" / "trials.jsonl").open("a") as file:
        # A piece that was killed while it wrote.
        file.write('{"trial": 2, "ki')
    told = tried(capsys, *arguments)
    assert run == plan.trials(5, 7, ["actor", "hang-up"])
    assert (told["left"], told["ended"], told["same_bits"], told["wrong"]) == (0, 5, 5, [])
    assert [sums["trials"] for sums in told["by_kind"].values()] == [3, 2]
    assert tried(capsys, *arguments) == told
    assert len(run) == 5


@pytest.mark.parametrize("other", [["--seed", "8"], ["--kinds", "actor"]])
def test_a_folder_of_other_trials_is_refused(other: list[str], tmp_path: Path) -> None:
    KeptTrials(tmp_path, 7, ["hang-up"]).expect("right")
    code, line = refused("--seed", "7", "--kinds", "hang-up", *other, "--out", str(tmp_path))
    assert code == 2
    assert "it holds trials of seed 7 and kinds hang-up; name another folder" in line


def test_pieces_need_a_folder() -> None:
    code, line = refused("--at-most", "3")
    assert code == 2
    assert "--at-most: 3 is not legal; with --out, where the trials are kept" in line


def test_a_disk_is_not_filled_without_the_right_to_mount_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "possible", lambda: False)
    code, line = refused("--kinds", "disk-full")
    assert code == 2
    assert "disk-full as root on Linux only" in line
    assert "disk-full" not in cli._kinds(None)


@pytest.mark.skipif(not disk.possible(), reason="needs root, to mount a small disk")
def test_a_small_disk_is_full_and_free_again_and_keeps_what_was_on_it(tmp_path: Path) -> None:
    with disk.Disk(tmp_path / "disk") as small:
        small.place.mkdir()
        small.fill()
        with pytest.raises(OSError, match="No space left"):
            (small.place / "file").write_bytes(b"x" * 100_000)
        small.free()
        (small.place / "file").write_bytes(b"x" * 100_000)
    assert (tmp_path / "disk" / "run" / "file").read_bytes() == b"x" * 100_000


def test_what_went_wrong_is_told(tmp_path: Path) -> None:
    kept = KeptTrials(tmp_path, 0, ["hang-up"])
    kept.expect("right")
    (one,) = plan.trials(1, 0, ["hang-up"])
    found = [kept.add(ending) for ending in (ended(one), ended(one, "wrong"), ended(one, ""), ended(one))]
    kept.close()
    assert [line["why"] for line in found] == ["", "other bits", "dyadnet: it went wrong", ""]


@pytest.mark.slow
def test_what_happens_to_ray_the_disk_the_log_and_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    kinds = [kind for kind in plan.KINDS[6:] if kind != "disk-full" or disk.possible()]
    told = tried(capsys, "--trials", str(len(kinds)), "--kinds", ",".join(kinds))
    assert told["wrong"] == []
    assert told["same_bits"] == len(kinds)


@pytest.mark.slow
def test_fifty_runs_with_one_fault_each(capsys: pytest.CaptureFixture[str]) -> None:
    told = tried(capsys, "--trials", "50")
    assert (told["ended"], told["same_bits"], told["wrong"]) == (50, 50, [])


def test_another_kind_is_refused() -> None:
    code, line = refused("--kinds", "actor,earthquake")
    assert code == 2
    assert "--kinds: 'actor,earthquake' is not legal; with commas between, of actor, coordinator" in line
