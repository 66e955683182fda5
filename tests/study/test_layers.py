"""Studies of networks that are written as layers, and of presets by name."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from dyadnet.errors import ConfigError
from dyadnet.study import StudyFolder, plan, run_trial
from dyadnet.study.outcome import draw, write_table
from dyadnet.training.api import load_data
from tests.study.definitions import tiny

BASE = """
network: {inputs: [1, 8, 8], layers: [conv 4 3x3, pool 2, dense 10], activation: tanh}
data: {name: digits, limit_train: 60, limit_test: 20}
dynamics: {sweeps: 10, nudged_sweeps: 5}
engine: local
"""
LAYERS = [["conv 4 3x3", "pool 2", "dense 10"], ["sparse 20 0.2", "dense 10"]]


def test_lambda_and_layers_are_axes_as_any_other(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(BASE)
    axes = [{"key": "network.lam", "grid": [0.5, 0.0]}, {"key": "network.layers", "grid": LAYERS}]
    study = tiny(base={"config": tmp_path / "base.yaml"}, axes=axes, models=[], seeds=1, reference=False)
    trials = plan(study)
    found = [(t.config.network.recurrent[0].name, t.config.network.recurrent[0].lam) for t in trials]
    assert found == [(name, lam) for lam in (0.5, 0.0) for name in ("conv1->dense2", "sparse1->dense2")]
    dataset = load_data(trials[0].config)
    results = {trial.number: run_trial(trial.config, dataset) for trial in trials}
    folder = StudyFolder(tmp_path / "out", study, trials)
    write_table(folder, trials, results)
    draw(folder, trials, results)
    folder.close()
    with (tmp_path / "out" / "results.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [row["status"] for row in table] == ["ok"] * 4
    assert [json.loads(row["network.layers"]) for row in table] == LAYERS * 2
    assert list((tmp_path / "out").glob("*.png"))


def test_a_study_starts_from_a_preset_by_name() -> None:
    study = tiny(base={"preset": "conv-mnist"}, models=["sshm", "asymmetric"], seeds=1)
    kinds = {t.model: [p.connectivity.kind for p in t.config.network.projections] for t in plan(study)}
    assert {t.config.data.name for t in plan(study)} == {"mnist"}
    assert kinds["sshm"] == ["convolution", "convolution", "dense"]
    assert kinds["asymmetric"] == ["convolution", "convolution", "transposed", "dense", "dense"]


def test_a_preset_that_is_none_and_one_beside_a_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"base.preset: 'conv-mnits' is not legal; .*did you mean conv-mnist\?"):
        tiny(base={"preset": "conv-mnits"})
    with pytest.raises(ConfigError, match=r"base.preset: 'mnist' is not legal; config gives all settings already"):
        tiny(base={"preset": "mnist", "config": tmp_path / "base.yaml"})


def test_lambda_of_layers_is_no_axis_where_the_study_names_models() -> None:
    with pytest.raises(ConfigError, match=r"network.lam.* is not legal; the study's own 'models' sets it"):
        tiny(base={"preset": "conv-mnist"}, axes=[{"key": "network.lam", "grid": [0.0, 0.5]}])
