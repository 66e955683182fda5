"""What a trial keeps beside its row of the table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dyadnet.analysis.analyse import Questions, analyse
from dyadnet.runs.folder import read_metrics
from dyadnet.study import Result, plan, run_trial
from dyadnet.training.api import load_data, train
from dyadnet.training.evaluation import evaluate, load
from tests.study.definitions import tiny

ALL = ["curves", "constants", "generalisation"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    """A trial that keeps everything, and the folder of the same run."""
    config = next(t for t in plan(tiny(models=["sshm"], epochs=3, keep=ALL)) if t.point).config
    folder = tmp_path_factory.mktemp("kept") / "run"
    train(config, folder)
    return run_trial(config, load_data(config), ("curves", "constants", "generalisation")), folder


def test_curves_are_those_of_the_record(run: tuple[Result, Path]) -> None:
    curves = run[0].values["curves"]
    lines = [line for line in read_metrics(run[1]) if line["kind"] == "epoch"]
    for part in ("train", "validation", "test"):
        assert curves[f"{part}_loss"] == [line[part]["loss"] for line in lines]
        assert curves[f"{part}_accuracy"] == [line[part]["accuracy"] for line in lines]
    # One hidden layer: its neurons are all that count, and the output's do not.
    assert curves["saturated"] == [line["validation"]["blocks"]["h1"]["saturated"] for line in lines]
    assert curves["lambda"] == [[0.0]] * 3
    assert np.all(np.diff(curves["seconds"]) > 0)


def test_constants_and_the_gap_are_those_of_the_best_weights(run: tuple[Result, Path]) -> None:
    values: dict[str, Any] = run[0].values
    sections = analyse(load(run[1]), Questions(samples=5, epsilons=(0.0,), sigmas=(0.0,), equilibria=5)).sections
    assert values["constants"]["linear"] == pytest.approx(sections["lipschitz"]["linear"])
    assert values["constants"]["local"]["output"] == pytest.approx(sections["lipschitz"]["local"]["output"]["mean"])
    assert values["generalisation"]["accuracy"] == evaluate(run[1], part="train")["accuracy"]
    json.dumps(values, allow_nan=False)


def test_a_trial_keeps_nothing_that_is_not_asked_for_and_learns_the_same(run: tuple[Result, Path]) -> None:
    config = next(t for t in plan(tiny(models=["sshm"], epochs=3)) if t.point).config
    plain = run_trial(config, load_data(config))
    assert not {*ALL} & set(plain.values)
    assert plain.values["weights_sha256"] == run[0].values["weights_sha256"]
    assert plain.values["test_accuracy"] == run[0].values["test_accuracy"]


def test_a_trial_that_diverges_keeps_the_curves_so_far() -> None:
    axes = [{"key": "dynamics.step", "grid": [2.0]}]
    base = tiny().base.model_dump()
    base["set"]["dynamics"] = {"clock": "every-tick", "sweeps": 400, "nudged_sweeps": 400}
    config = next(t for t in plan(tiny(axes=axes, models=["sshm"], base=base)) if t.point).config
    found = run_trial(config, load_data(config), ("curves", "constants"))
    assert found.status == "diverged"
    assert found.values["curves"]["beta"] == []
    assert "constants" not in found.values
