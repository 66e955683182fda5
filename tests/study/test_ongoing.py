"""A long trial that is cut off goes on where its last checkpoint was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dyadnet.config import RunConfig
from dyadnet.study import Result, plan, run_trial
from dyadnet.study.definition import Keep
from dyadnet.study.ongoing import LONG, is_long
from dyadnet.training.api import load_data
from dyadnet.training.checkpoint_writer import CheckpointWriter
from tests.study.definitions import tiny

ALL: tuple[Keep, ...] = ("curves", "constants", "generalisation")
SECONDS = ("seconds", "curves")


@pytest.fixture(scope="module")
def config() -> RunConfig:
    """Of three epochs of four minibatches, each with a checkpoint."""
    study = tiny(models=["sshm"], epochs=3)
    settings = study.base.set | {"checkpoint": {"every_minibatches": 1}, "learning": {"minibatch": 30}}
    return plan(study.model_copy(update={"base": study.base.model_copy(update={"set": settings})}))[0].config


@pytest.fixture(scope="module")
def whole(config: RunConfig) -> Result:
    """The trial in one go, without a folder."""
    return run_trial(config, load_data(config), ALL)


def told(result: Result) -> dict[str, Any]:
    """What the same trial says whenever it is run."""
    assert result.status == "ok"
    curves = {name: values for name, values in result.values["curves"].items() if name != "seconds"}
    return {name: value for name, value in result.values.items() if name not in SECONDS} | curves


class CutOff(BaseException):
    """As if the process had ended."""


def cut(monkeypatch: pytest.MonkeyPatch, after: int) -> list[int]:
    """End whatever trains after so many minibatches; the numbers of those that were trained."""
    minibatch, done = CheckpointWriter.minibatch, []

    def counted(keeper: CheckpointWriter, blocks: Any, updates: int, position: Any) -> None:
        minibatch(keeper, blocks, updates, position)
        done.append(updates)
        if updates == after:
            raise CutOff

    monkeypatch.setattr(CheckpointWriter, "minibatch", counted)
    return done


@pytest.mark.parametrize("after", [2, 4, 7])
def test_a_trial_goes_on_to_the_same_result(
    config: RunConfig, whole: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    place, dataset = tmp_path / "00000", load_data(config)
    cut(monkeypatch, after)
    with pytest.raises(CutOff):
        run_trial(config, dataset, ALL, place)
    monkeypatch.undo()
    done = cut(monkeypatch, 0)
    result = run_trial(config, dataset, ALL, place)
    assert told(result) == told(whole)
    # An epoch's end looks once more.
    assert min(done) in (after, after + 1)
    assert len(result.values["curves"]["seconds"]) == 3
    assert result.values["seconds"] >= result.values["curves"]["seconds"][-1], "those before it was cut off, too"


def test_what_is_no_use_is_thrown_away(config: RunConfig, whole: Result, tmp_path: Path) -> None:
    place = tmp_path / "00000"
    place.mkdir()
    (place / "config.yaml").write_text("no: run")
    (place / "something").write_text("else")
    assert told(run_trial(config, load_data(config), ALL, place)) == told(whole)
    assert not (place / "something").exists()


def test_a_folder_of_other_settings_is_begun_anew(config: RunConfig, whole: Result, tmp_path: Path) -> None:
    place, dataset = tmp_path / "00000", load_data(config)
    run_trial(config.model_copy(update={"seed": 5}), dataset, (), place)
    assert told(run_trial(config, dataset, ALL, place)) == told(whole)


def test_only_long_trials_are_worth_it(config: RunConfig) -> None:
    shape = load_data(config).sizes
    assert not is_long(config, shape)
    epochs = -(-LONG // shape.train)
    long = config.model_copy(update={"learning": config.learning.model_copy(update={"epochs": epochs})})
    assert is_long(long, shape)
    off = long.checkpoint.model_copy(update={"enabled": False})
    assert not is_long(long.model_copy(update={"checkpoint": off}), shape)
