"""The baseline by back-propagation: exact gradients, the run's own beginnings and order, the same report and table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dyadnet as dn
from dyadnet.baselines import BackpropEngine
from dyadnet.data import load
from dyadnet.dynamics.request import Phase, Relaxation
from dyadnet.errors import ConfigError, StoppedError
from dyadnet.network.losses import LOSSES
from dyadnet.reporting.contents import contents
from dyadnet.reporting.reading import read
from dyadnet.training.coordinator import Coordinator
from tests import support
from tests.checkpoint.runs import Watching, checkpoints, outcome, settings, stopping, uninterrupted
from tests.cli.test_main import QUICK, complaint
from tests.cli.test_main import run as command

SKIPPING = {
    "inputs": 6,
    "populations": [
        {"name": "a", "size": 5, "activation": "tanh", "blocks": 2},
        {"name": "b", "size": 4, "activation": "logistic"},
        {"name": "o", "size": 3, "activation": "linear"},
    ],
    "projections": [
        {"pre": "input", "post": "a"},
        {"pre": "input", "post": "o"},
        {"pre": "a", "post": "b", "lam": 0.0},
        {"pre": "a", "post": "o", "lam": 1.0},
        {"pre": "b", "post": "o", "lam": 0.3},
    ],
}


def engine(loss: str) -> BackpropEngine:
    """Over random data, in float64."""
    values = {"network": SKIPPING | {"loss": loss}, "dynamics": {"dtype": "float64"}, "baseline": "backprop", "seed": 3}
    config = dn.RunConfig.read(values)
    return BackpropEngine(config, support.data(config.network))


def forward(one: Any) -> Relaxation:
    """A pass of all five samples."""
    return Relaxation(1, "train", np.arange(5), (Phase("free", 0.0, 1),), (0.0, 0.0, 0.0), 1.0)


@pytest.mark.parametrize("loss", ["squared-error", "cross-entropy"])
def test_its_gradient_is_that_of_finite_differences(loss: str) -> None:
    one = engine(loss)

    def mean_loss() -> float:
        return sum(found.loss for found in one.relax(forward(one)).reports.predictions) / 5

    one.relax(forward(one))
    found = {
        (name, key): gradient.copy() for name, named in one.gradients(5).items() for key, gradient in named.items()
    }
    for (name, key), gradient in found.items():
        weights = one.blocks[name].parameters()[key]
        for index in np.ndindex(weights.shape):
            before = weights[index]
            values = []
            for step in (1e-5, -1e-5):
                weights[index] = before + step
                values.append(mean_loss())
            weights[index] = before
            assert gradient[index] == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-5, abs=1e-9), (name, key)
    one.close()


def test_it_is_what_feedforward_dyads_learn_at_a_small_nudge() -> None:
    network = dn.layered(6, [5, 4], 3, lam=0.5, activation="tanh", loss="cross-entropy")
    dyads = support.engine(network)
    settler = support.Settler(dyads)
    settler.nudged(1e-5)
    config = dn.RunConfig.read(dyads.config.model_dump(mode="json") | {"baseline": "backprop"})
    one = BackpropEngine(config, support.data(network))
    one.load(dyads.parameters())
    one.relax(Relaxation(1, "train", np.arange(5), (Phase("free", 0.0, 1),), (0.0, 0.0), 1.0))
    exact = one.gradients(5)
    for (name, key), gradient in settler.gradients(1e-5).items():
        assert np.abs(gradient - exact[name][key]).max() < 1e-6 * max(np.abs(exact[name][key]).max(), 1e-3)
    one.close()
    dyads.close()


def test_it_begins_and_goes_through_the_data_as_the_run_does(tmp_path: Path) -> None:
    still = {"learning": {"epochs": 1, "learning_rate": 0.0}}
    one = dn.train(settings(**still), tmp_path / "dyads")
    other = dn.train(settings(**still, baseline="backprop"), tmp_path / "backprop")
    assert other.weights_sha256 == one.weights_sha256
    dataset = load("digits").limited(150, 40)
    orders = [
        [rows.tolist() for rows in Coordinator(run.config, dataset.sizes, engine("squared-error")).shuffled(0)]
        for run in (one, other)
    ]
    assert orders[0] == orders[1]


def test_it_learns(tmp_path: Path) -> None:
    learning = {"epochs": 12, "minibatch": 20, "learning_rate": 5e-3}
    chain = {"inputs": 64, "hidden": [40], "outputs": 10, "activation": "tanh", "loss": "cross-entropy"}
    whole = {"limit_train": None, "limit_test": None}
    config = settings(network={"layered": chain}, data=whole, learning=learning, baseline="backprop")
    run = dn.train(config, tmp_path / "run")
    assert run.test_accuracy > 0.93
    assert run.history["train_loss"][-1] < run.history["train_loss"][0] / 3
    assert run.history["train_sweeps"].tolist() == [1.0] * 12
    test = load("digits").test
    assert np.mean(run.predict(test.images) == test.labels) == pytest.approx(run.test_accuracy, abs=2 / 360)
    assert dn.evaluate(run.path)["accuracy"] == pytest.approx(run.test_accuracy, abs=2 / 360)


def test_it_is_stopped_and_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    expected = uninterrupted(settings(baseline="backprop"), tmp_path / "straight")
    with pytest.raises(StoppedError):
        dn.train(settings(baseline="backprop"), tmp_path / "run", stopping(9))
    assert checkpoints(tmp_path / "run")
    assert outcome(dn.resume(tmp_path / "run"), tmp_path / "run") == expected


def test_it_is_in_the_same_report_and_says_what_has_no_meaning_for_it(tmp_path: Path) -> None:
    watching = Watching()
    dn.train(settings(), tmp_path / "dyads")
    dn.train(settings(baseline="backprop"), tmp_path / "backprop", watching)
    assert any("λ, β and all of dynamics but dtype have no meaning" in text for text in watching.warnings)
    found = [contents(read(tmp_path / name)) for name in ("dyads", "backprop")]
    assert [run["about"]["model"] for run in found] == ["sshm", "backprop"]
    assert [run["state"] for run in found] == ["finished", "finished"]
    assert all(len(run["epochs"]) == 2 for run in found)
    assert "baseline" in found[1]["changed"]
    out = tmp_path / "compared.html"
    assert command("report", str(tmp_path / "dyads"), str(tmp_path / "backprop"), "--out", str(out)) == 0
    assert "backprop" in out.read_text()


def test_it_is_in_the_same_table_of_a_study(tmp_path: Path) -> None:
    from dyadnet.study.trial import run_trial

    dataset = load("digits").limited(150, 40)
    found = [run_trial(settings(baseline=name), dataset, ("curves",)) for name in (None, "backprop")]
    assert [one.status for one in found] == ["ok", "ok"]
    assert set(found[0].values) == set(found[1].values)
    assert found[1].values["messages"] == 0
    assert found[1].values["test_accuracy"] == dn.train(settings(baseline="backprop"), tmp_path / "r").test_accuracy


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quick = [argument for argument in QUICK if argument not in ("--engine", "local")]
    assert command("train", *quick, "--baseline", "backprop", "--out", str(tmp_path / "run"), "--json") == 0
    assert json.loads(capsys.readouterr().out)["state"] == "finished"
    config = dn.load(tmp_path / "run").config
    assert (config.baseline, config.engine) == ("backprop", "local")


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"imperfections": {"channel": {"loss": 0.1}}}, "leave out imperfections"),
        ({"dynamics": {"mode": "free"}, "engine": "ray"}, "leave out mode free"),
        ({"probe": {"neurons": {"h1": [0]}}}, "leave out probe.neurons"),
        ({"metrics": {"cosine": 5}}, "leave out metrics.cosine"),
        (
            {"network": {"inputs": 64, "populations": [{"name": "a", "size": 9}, {"name": "out", "size": 10}],
                         "projections": [{"pre": "input", "post": "a"}, {"pre": "a", "post": "a", "lam": 0.5},
                                         {"pre": "a", "post": "out", "lam": 0.5}]}},
            "without cycles and self-loops; it has a -> a",
        ),
        ({"baseline": "perceptron"}, "baseline: 'perceptron'"),
    ],
)  # fmt: skip
def test_what_it_has_no_use_for_is_refused(values: dict[str, Any], told: str) -> None:
    plain = settings().model_dump(mode="json")
    with pytest.raises(ConfigError) as refused:
        dn.RunConfig.read({**plain, "baseline": "backprop", **values})
    assert refused.value.field == "baseline"
    assert told in str(refused.value)


def test_another_engine_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = complaint(capsys, "train", "--baseline", "backprop", "--engine", "ray", "--out", str(tmp_path / "run"))
    assert "engine: 'ray' is not legal; a baseline is trained in this process" in told
    dn.train(settings(baseline="backprop"), tmp_path / "run")
    with pytest.raises(ConfigError, match="a baseline is trained in this process"):
        dn.resume(tmp_path / "run", {"engine": "ray", "learning": {"epochs": 3}})


def test_losses_of_ones_own_are_nudged_as_dyads_are() -> None:
    m, y = np.random.default_rng(0).normal(size=(4, 3)), np.eye(3)[[0, 1, 2, 0]]
    for loss in LOSSES.values():
        mean, _ = loss.nudge(m, np.zeros_like(m), y)
        for index in np.ndindex(m.shape):
            step = np.zeros_like(m)
            step[index] = 1e-6
            slope = (loss.value(m + step, y).sum() - loss.value(m - step, y).sum()) / 2e-6
            assert mean[index] == pytest.approx(slope, abs=1e-7)
