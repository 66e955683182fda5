"""One trial: what is measured, and what goes wrong."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from dyadnet.errors import ConfigError
from dyadnet.study import Trial, plan, run_trial
from dyadnet.study.columns import METRICS, REST
from dyadnet.training.api import load_data, train
from tests.study.definitions import tiny
from tests.support import cyclic, data


def trial(**point: object) -> Trial:
    """The first trial of a study of skew-symmetric networks."""
    axes = [{"key": key.replace("__", "."), "grid": [value]} for key, value in point.items()]
    axes = axes or [{"key": "learning.beta", "grid": [0.1]}]
    return next(t for t in plan(tiny(axes=axes, models=["sshm"], epochs=2)) if t.point)


def test_a_trial_measures_what_a_run_records(tmp_path: Path) -> None:
    config = trial().config
    result = run_trial(config, load_data(config))
    summary = train(config, tmp_path / "run")
    assert (result.status, result.error) == ("ok", "")
    assert set(result.values) <= {*METRICS, *REST}
    assert result.values["weights_sha256"] == summary.weights_sha256
    assert result.values["test_accuracy"] == summary.test_accuracy
    assert result.values["train_loss"] == summary.train_loss
    assert result.values["epochs"] == 2
    assert result.values["chance"] == 0.1
    assert 0 <= result.values["capped"] <= 1
    assert result.values["sweeps_mean"] <= result.values["sweeps_max"]
    assert result.values["messages"] > 0
    assert math.isclose(result.values["gap"], result.values["train_accuracy"] - result.values["test_accuracy"])


def test_imperfections_are_counted_and_accuracy_without_them_is_reported() -> None:
    ideal = run_trial(trial().config, load_data(trial().config)).values
    assert (ideal["ideal_accuracy"], ideal["saved"]) == (ideal["test_accuracy"], 0)
    assert ideal["suppressed"] == ideal["dropped"] == 0
    config = trial(imperfections__channel__loss__p=0.3, imperfections__channel__send_on_delta__threshold=0.01).config
    found = run_trial(config, load_data(config)).values
    assert found["dropped"] > 0.2 * found["messages"]
    assert found["saved"] == found["suppressed"] / (found["suppressed"] + found["values"]) > 0
    config = trial(imperfections__channel__additive__mean=3.0).config
    found = run_trial(config, load_data(config)).values
    assert found["ideal_accuracy"] != found["test_accuracy"]


def test_a_diverging_trial_is_a_result() -> None:
    config = trial(dynamics__step=2.0, dynamics__clock="every-tick", dynamics__sweeps=400).config
    result = run_trial(config, load_data(config))
    assert result.status == "diverged"
    assert "diverging in block" in result.error
    assert "test_accuracy" not in result.values
    assert result.values["epochs"] < 2


def test_whatever_else_goes_wrong_is_a_result() -> None:
    result = run_trial(trial().config, data(cyclic()))
    assert result.status == "failed"
    assert result.error.startswith(ConfigError.__name__)
    assert "\n" not in result.error


@pytest.mark.parametrize("model", ["hm", "ffm"])
def test_settled_phases_are_not_capped(model: str) -> None:
    study = tiny(models=[model])
    settings = study.base.set | {"dynamics": {"sweeps": 3000, "nudged_sweeps": 3000}}
    found = plan(study.model_copy(update={"base": study.base.model_copy(update={"set": settings})}))[0]
    assert run_trial(found.config, load_data(found.config)).values["capped"] == 0
