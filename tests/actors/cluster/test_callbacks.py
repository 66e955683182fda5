"""Callbacks of runs on Ray: called in the driver, at the same minibatches, whoever dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import dyadnet as dn
from dyadnet.training.run import Run
from tests.actors.cluster.test_recovery import Warned
from tests.actors.clusters import named
from tests.checkpoint.runs import settings
from tests.training.test_callbacks import Log, epoch

pytestmark = pytest.mark.usefixtures("ray_session")


def on_ray(**values: Any) -> dn.RunConfig:
    """A small run on one actor of Ray's with a checkpoint every three minibatches: hooks are called in the driver."""
    few = {"engine": "ray", "checkpoint": {"every_minibatches": 3}, "cluster": {"actors": 1}}
    return settings(**(few | values))


class Counting(Log):
    """Counts minibatches, in its state too, and notes where that and the run differ."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.minibatches = 0
        self.wrong: list[tuple[int, int]] = []

    def on_minibatch_end(self, run: Run, record: Mapping[str, Any]) -> None:
        """See `Callback`."""
        self.minibatches += 1
        if self.minibatches != 7 * (record["epoch"] - 1) + record["minibatch"]:
            self.wrong.append((self.minibatches, record["minibatch"]))
        super().on_minibatch_end(run, record)

    def state_dict(self) -> dict[str, Any]:
        """See `Callback`."""
        return {"minibatches": self.minibatches}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Callback`."""
        self.minibatches = state["minibatches"]


def test_the_same_calls_as_on_the_local_engine(tmp_path: Path) -> None:
    local, ray = Log(), Log()
    one = dn.train(settings(checkpoint={"every_minibatches": 3}), tmp_path / "local", callbacks=[local])
    two = dn.train(on_ray(), tmp_path / "ray", callbacks=[ray])
    assert ray.calls == local.calls
    assert two.weights_sha256 == one.weights_sha256
    assert two.status.state == "finished"


@pytest.mark.parametrize("stop", [("minibatch_end", 2, 3), pytest.param(("epoch_end", 1), marks=pytest.mark.slow)])
def test_a_stop_lands_at_the_same_minibatch(stop: tuple[Any, ...], tmp_path: Path) -> None:
    one = dn.train(settings(), tmp_path / "local", callbacks=[Log(stop)])
    two = dn.train(on_ray(), tmp_path / "ray", callbacks=[Log(stop)])
    assert (two.status.state, two.status.why) == (one.status.state, one.status.why)
    assert two.history["train_loss"].tolist() == one.history["train_loss"].tolist()
    ends = [dn.resume(run.path, {"engine": "local"}).weights_sha256 for run in (one, two)]
    assert ends[0] == ends[1]


def test_one_that_raises_ends_the_run_and_loses_nothing(tmp_path: Path) -> None:
    with pytest.raises(dn.CallbackError, match=r"callback Log\.on_minibatch_end raised ValueError") as raised:
        dn.train(on_ray(), tmp_path / "run", callbacks=[Log(fail=("minibatch_end", 2, 3))])
    assert isinstance(raised.value.__cause__, ValueError)
    assert Run(tmp_path / "run").status.state == "failed"
    straight = dn.train(settings(), tmp_path / "straight")
    assert dn.resume(tmp_path / "run", {"engine": "local"}).weights_sha256 == straight.weights_sha256


def test_after_an_actors_death_hooks_are_repeated_with_their_state_restored(tmp_path: Path) -> None:
    counting, warned = Counting(), Warned()
    fault = ["kill:block=h2,minibatch=9,tick=2"]
    run = dn.train(on_ray(faults=fault, cluster={"actors": 3}), tmp_path / "run", warned, callbacks=[counting])
    assert any("died" in text for text in warned.told)
    assert counting.wrong == []
    assert counting.minibatches == 14
    # From the checkpoint of minibatch 7, the best of its epoch.
    repeated = [call for call in counting.calls if counting.calls.count(call) > 1 and call[0] == "minibatch_end"]
    assert set(repeated) == {("minibatch_end", 2, 1)}
    assert run.weights_sha256 == dn.train(settings(), tmp_path / "straight").weights_sha256


def test_after_the_coordinators_death_too(tmp_path: Path) -> None:
    counting = Counting()
    killer = Warned(9, lambda: os.kill(named("ray::CoordinatorActor")[0], signal.SIGKILL))
    run = dn.train(on_ray(), tmp_path / "run", killer, callbacks=[counting])
    assert any("the coordinator" in text for text in killer.told)
    assert counting.wrong == []
    assert counting.minibatches == 14
    assert counting.calls[-4:] == [*epoch(2)[-3:], ("run_end", "finished", 0)] or counting.calls[-2:] == [
        ("checkpoint",),
        ("run_end", "finished", 0),
    ]
    assert run.weights_sha256 == dn.train(settings(), tmp_path / "straight").weights_sha256


def test_early_stopping_lives_in_the_coordinator(tmp_path: Path) -> None:
    learning = {"epochs": 9, "learning_rate": 0.0, "early_stopping": {"patience": 2, "min_delta": 0.5}}
    run = dn.train(on_ray(learning=learning), tmp_path / "run")
    assert run.history["epoch"].tolist() == [1, 2, 3]
    assert run.status.why.endswith("for 2 epochs")
