"""Targets that are numbers: the same network learns them, and everything says R² and errors where it said accuracy."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import dyadnet as dn
from dyadnet.data import Dataset, as_dataset
from dyadnet.dynamics.request import Phase
from dyadnet.engines.local import LocalEngine
from dyadnet.errors import ConfigError
from dyadnet.reporting import report
from dyadnet.reporting.contents import contents
from dyadnet.reporting.reading import read
from dyadnet.runs.loading import check_fit, shape_for
from dyadnet.study import run_trial
from dyadnet.telemetry.collector import RunsCollector
from dyadnet.telemetry.snapshot import Snapshot
from dyadnet.telemetry.view import view
from dyadnet.training.coordinator import Coordinator
from dyadnet_actors.cli.screen import board, overview, rates
from tests.actors.cli.test_screen import drawn
from tests.cli.test_main import complaint, run
from tests.study.definitions import tiny
from tests.support import EXACT, Settler

Array = NDArray[Any]

_DRAWS = np.random.default_rng(0)
X = _DRAWS.standard_normal((240, 4))
Y = np.column_stack([np.tanh(X[:, 0] - X[:, 1]), 0.5 * X[:, 2] * X[:, 3], X[:, 0]])
PICTURES = np.clip(_DRAWS.random((60, 1, 4, 4)), 0, 1)
"""Images that are to become themselves."""


def config(**values: Any) -> dn.RunConfig:
    """A short run with linear outputs, of sizes that come from the data."""
    given: dict[str, Any] = {"learning": {"epochs": 3, "minibatch": 20, "learning_rate": 0.01}, "seed": 1}
    given |= {"engine": "local", "network": dn.layered(hidden=[16], output_activation="linear")}
    return dn.RunConfig(**(given | values))


def r2(targets: Array, found: Array) -> float:
    """scikit-learn's ``r2_score(…, multioutput="variance_weighted")``."""
    targets, found = (np.reshape(array, (len(array), -1)) for array in (targets, found))
    return float(1 - np.sum((targets - found) ** 2) / np.sum((targets - targets.mean(axis=0)) ** 2))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dn.Run:
    """A finished run on three numbers a sample."""
    return dn.train(config(), tmp_path_factory.mktemp("runs") / "numbers", data=(X, Y))


def test_a_run_learns_numbers_and_records_their_scores(trained: dn.Run) -> None:
    history = trained.history
    assert not any("accuracy" in name for name in history)
    assert history["train_r2"][-1] > history["train_r2"][0]
    assert trained.test_r2 > 0.4
    assert math.isnan(trained.test_accuracy)
    best = int(np.argmin(history["validation_loss"]))
    assert trained.best_epoch == best + 1
    assert trained.test_r2 == history["test_r2"][best]
    assert trained.test_mae == history["test_mae"][best]
    # ℓ = ½‖s−y‖² of each sample, summed over three outputs.
    assert np.allclose(history["test_loss"], 1.5 * history["test_squared_error"])
    assert "test R² 0." in repr(trained)


def test_scores_are_those_of_the_predictions(trained: dn.Run) -> None:
    test = as_dataset((X, Y)).test
    found = trained.predict(test.images)
    assert found.shape == test.labels.shape
    assert trained.test_r2 == pytest.approx(r2(test.labels, found), abs=1e-3)
    assert trained.test_mae == pytest.approx(np.mean(np.abs(found - test.labels)), rel=1e-2)
    assert trained.test_squared_error == pytest.approx(np.mean((found - test.labels) ** 2), rel=1e-2)


@pytest.mark.parametrize(
    ("targets", "shape"), [(Y[:, 0], ()), (Y[:, :1], ()), (Y[:, :2], (2,)), (Y[:, None, :], (1, 3))]
)
def test_predictions_have_the_shape_of_the_targets(targets: Array, shape: tuple[int, ...], tmp_path: Path) -> None:
    found = dn.train(config(learning={"epochs": 1}), tmp_path / "run", data=(X, targets))
    assert found.config.network.classes == math.prod(shape)
    assert found.target_shape == shape
    assert found.predict(X[:5]).shape == (5, *shape)
    assert found.labels == ()
    memory = found.config.data.memory
    assert memory is not None
    assert (memory.classes, memory.targets, memory.target_dtype) == (None, list(shape), "float64")


def test_images_of_bytes_are_met_as_fractions(tmp_path: Path) -> None:
    raw = (255 * PICTURES).astype(np.uint8)
    for kind, targets in (("bytes", raw), ("floats", raw / 255.0)):
        dn.train(config(learning={"epochs": 1}), tmp_path / kind, data=(raw, targets))
    one, other = (dn.load(tmp_path / kind) for kind in ("bytes", "floats"))
    assert one.target_shape == (1, 4, 4)
    assert one.predict(raw[:3]).shape == (3, 1, 4, 4)
    assert np.allclose(one.predict(raw[:3]), other.predict(raw[:3]), atol=1e-6)
    assert one.test_squared_error == pytest.approx(other.test_squared_error)


def test_bounded_outputs_take_targets_within_their_bounds(tmp_path: Path) -> None:
    network = dn.layered(hidden=[16])
    found = dn.train(config(network=network, learning={"epochs": 1}), tmp_path / "run", data=(X, (Y > 0).astype(float)))
    assert found.config.network.by_name["out"].activation == "tempered-hard-sigmoid"
    with pytest.raises(ConfigError, match=r"activation of the output 'out': .* go from -.* use linear"):
        dn.train(config(network=network), tmp_path / "other", data=(X, Y))
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"network": dn.layered(hidden=[4], loss="cross-entropy")}, r"network.loss: 'cross-entropy' .* squared-error"),
        ({"network": dn.layered(4, [4], 2, output_activation="linear")}, r"memory has 3 numbers a target"),
        ({"learning": {"early_stopping": {"monitor": "validation_accuracy"}}}, r"monitor: .* targets are numbers"),
    ],
)
def test_what_numbers_do_not_have_is_refused(values: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        dn.train(config(**values), tmp_path / "run", data=(X, Y))
    assert not (tmp_path / "run").exists()


def test_classes_have_no_r2() -> None:
    stopping = config(network=dn.layered(4, [4], 3), learning={"early_stopping": {"monitor": "validation_r2"}})
    labels = as_dataset((X, np.arange(240) % 3))
    with pytest.raises(ConfigError, match="targets are classes: name their loss or accuracy"):
        check_fit(stopping, labels.sizes)


def test_early_stopping_watches_the_loss_of_numbers(tmp_path: Path) -> None:
    learning = {
        "epochs": 30,
        "minibatch": 20,
        "learning_rate": 1e-9,
        "early_stopping": {"patience": 2, "min_delta": 0.1},
    }
    found = dn.train(config(learning=learning), tmp_path / "run", data=(X, Y))
    assert len(found.history["epoch"]) == 3
    assert found.summary.stopped.startswith("no better validation_loss than ")


def test_a_run_that_is_stopped_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    class Stop(dn.Callback):
        def on_minibatch_end(self, run: dn.Run, record: Mapping[str, Any]) -> None:
            assert {"loss", "r2", "mae", "squared_error"} <= record.keys()
            if (record["epoch"], record["minibatch"]) == (2, 3):
                run.stop("halfway")

    straight = dn.train(config(), tmp_path / "straight", data=(X, Y))
    stopped = dn.train(config(), tmp_path / "stopped", data=(X, Y), callbacks=[Stop()])
    assert stopped.summary.stopped == "halfway"
    found = dn.resume(tmp_path / "stopped", data=(X, Y))
    assert found.weights_sha256 == straight.weights_sha256
    lines = [(tmp_path / name / "metrics.jsonl").read_bytes() for name in ("straight", "stopped")]
    assert lines[0] == lines[1]
    with pytest.raises(dn.ConfigError, match=r"data.memory.sha256"):
        dn.resume(tmp_path / "stopped", {"learning": {"epochs": 4}}, data=(X, Y + 1e-9))


def test_back_propagation_learns_them_too(tmp_path: Path) -> None:
    found = dn.train(config(baseline="backprop", network=dn.layered(hidden=[16], lam=0.5, output_activation="linear")),
                     tmp_path / "run", data=(X, Y))  # fmt: skip
    assert found.test_r2 > 0.6


def write(path: Path, **arrays: Array) -> str:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return str(path)


def test_the_command_line_trains_on_a_file_of_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "file.npz", x=X, y=Y, x_test=X[:40], y_test=Y[:40])
    out = str(tmp_path / "run")
    quick = ["--data", file, "--hidden", "8", "--epochs", "1", "--engine", "local", "--no-report", "--json"]
    assert run("train", *quick, "--out", out) == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out.splitlines()[-1])
    assert {"test_r2", "test_mae", "test_squared_error", "validation_r2", "train_loss"} <= result.keys()
    assert "test_accuracy" not in result
    assert "test R² " in captured.err
    assert "accuracy" not in captured.err

    assert run("evaluate", out, "--json") == 0
    evaluated = json.loads(capsys.readouterr().out)
    assert evaluated["r2"] == pytest.approx(result["test_r2"], abs=1e-3)

    assert run("predict", out, file, "--json") == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert np.shape(found["predictions"]) == (240, 3)
    assert found["r2"] == pytest.approx(r2(Y, np.array(found["predictions"])))
    assert "R² " in captured.err

    assert run("predict", out, file, "--out", str(tmp_path / "found.csv")) == 0
    assert (tmp_path / "found.csv").read_text().splitlines()[0] == "row,output_0,output_1,output_2"
    assert run("export", out, "--out", str(tmp_path / "weights.npz")) == 0
    with np.load(tmp_path / "weights.npz") as exported:
        assert json.loads(str(exported["manifest"]))["target_shape"] == [3]
    capsys.readouterr()

    other = write(tmp_path / "other.npz", x=X, y=Y[:, 0])
    assert f"{other}: 240 samples, and targets of shape (240,)" in complaint(capsys, "predict", out, other)


@pytest.mark.parametrize("shape", [(), (2, 2)])
def test_predictions_of_a_file_are_one_a_line(
    shape: tuple[int, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    targets = np.resize(Y, (240, *shape))
    dn.train(config(learning={"epochs": 1}), tmp_path / "run", data=(X, targets), report=False)
    capsys.readouterr()
    assert run("predict", str(tmp_path / "run"), write(tmp_path / "x.npz", x=X[:3])) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [np.shape(json.loads(line)) for line in lines] == [shape] * 3


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        ((np.arange(240) % 3).astype(float), "3 different whole numbers, as float64: they are taken as numbers"),
        (np.eye(3)[np.arange(240) % 3], "holds a single 1 in every row: it is taken as 3 numbers"),
        (1000 * Y, "standard deviation of .*, and networks learn best from about 1"),
    ],
)
def test_targets_that_may_be_meant_otherwise_are_noted(targets: Array, words: str) -> None:
    (note, *_) = as_dataset((X, targets)).notes
    assert np.char.find([note], words.split(".*")[0])[0] >= 0
    assert as_dataset((X, Y)).notes == ()


def test_targets_that_are_all_the_same_have_an_r2_of_nought(tmp_path: Path) -> None:
    found = dn.train(config(learning={"epochs": 1}), tmp_path / "run", data=(X, np.full(240, 0.25)))
    assert found.test_r2 == 0.0


@pytest.mark.pictures
def test_report_and_curves_show_errors_of_numbers(tmp_path: Path) -> None:
    found = dn.train(config(learning={"epochs": 2}), tmp_path / "run", data=(X, Y))
    assert (found.path / "curves.png").exists()
    shown = contents(read(found.path))
    assert shown["missing"] == []
    (first, last) = shown["epochs"]
    assert last["r2"]["test"] == found.history["test_r2"][1]
    assert first["accuracy"] == {}
    assert "Test R²" in report([found.path])
    assert found.plot().figure.axes[1].get_ylabel() == "R² (dashed)"


def dataset() -> Dataset:
    """Numbers in memory, of fixed sizes."""
    return as_dataset((X, Y))


def test_metrics_screen_and_page_show_r2() -> None:
    sized = config().sized(4, 3)
    snapshot = Snapshot(sized, "numbers")
    data = dataset()
    engine = LocalEngine(sized, data)
    try:
        Coordinator(sized, shape_for(sized, data), engine, observer=snapshot).run()
    finally:
        engine.close()
    families = {family.name: family for family in RunsCollector(lambda: [snapshot]).collect()}
    assert "dyadnet_accuracy_ratio" not in families
    for name in ("r2", "mean_absolute_error", "mean_squared_error"):
        parts = {sample.labels["part"] for sample in families[f"dyadnet_{name}"].samples}
        assert parts == {"train", "validation", "test"}
    shown = view(snapshot)
    assert shown["scores"]["r2"].keys() == {"train", "validation", "test"}
    assert shown["epoch_curve"][-1]["squared_error_test"] > 0
    glance = shown | {"places": {}}
    assert f"R² {shown['scores']['r2']['validation']:.4f}" in drawn(overview([("a-run", glance)]), 200)
    assert "R² " in drawn(board(glance, rates(glance)), 200)


def test_a_trial_of_a_study_has_r2_and_errors() -> None:
    found = run_trial(config(learning={"epochs": 1}).sized(4, 3), dataset(), keep=["curves", "generalisation"])
    assert found.status == "ok", found.error
    assert found.complete(["curves", "generalisation"])
    assert {"test_r2", "validation_r2", "train_r2", "ideal_r2", "test_mae", "test_squared_error"} <= found.values.keys()
    assert not {"test_accuracy", "gap", "chance"} & found.values.keys()
    assert len(found.values["curves"]["test_r2"]) == 1
    assert found.values["generalisation"]["r2"] > -1


def test_a_study_measures_what_its_targets_have() -> None:
    assert tiny().scored(numbers=True).metrics == ["test_r2"]
    assert tiny().scored(numbers=False).metrics == ["test_accuracy"]
    assert tiny(metrics=["test_mae", "train_loss"]).scored(numbers=True).metrics == ["test_mae", "train_loss"]
    with pytest.raises(ConfigError, match=r"metrics: 'test_accuracy' .* targets are numbers; name one of test_r2"):
        tiny(metrics=["test_accuracy"]).scored(numbers=True)
    with pytest.raises(ConfigError, match=r"metrics: 'test_r2' .* targets are classes"):
        tiny(metrics=["test_r2"]).scored(numbers=False)


@pytest.mark.pictures
def test_an_analysis_tells_squared_errors_of_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "file.npz", x=X, y=Y)
    sized = config(data={"name": file}, learning={"epochs": 1})
    dn.train(sized, tmp_path / "run", report=False)
    few = ["--samples", "4", "--epsilons", "0,0.5", "--sigmas", "0.2", "--json"]
    assert run("analyse", str(tmp_path / "run"), *few) == 0
    captured = capsys.readouterr()
    assert "squared error, adversary" in captured.err
    found = json.loads(captured.out.splitlines()[-1])
    one, two = found["robustness"]["adversarial"]
    assert 0 < one["pgd"] < two["pgd"]
    assert found["robustness"]["noise"][0]["squared_error"] > 0
    test = found["generalisation"]["test"]
    assert test["r2_gap"] == pytest.approx(found["generalisation"]["train"]["r2"] - test["r2"])
    assert (tmp_path / "run" / "analysis.png").exists()


@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
def test_the_contrast_is_the_gradient_of_the_squared_error(lam: float) -> None:
    network = dn.layered(4, [6], 3, lam=lam, output_activation="linear", gain=0.5)
    few = as_dataset((X[:8], Y[:8], X[:2], Y[:2]))
    engine = LocalEngine(dn.RunConfig.read({"network": network, "dynamics": EXACT, "seed": 1}), few)
    try:
        settler = Settler(engine, samples=8)
        settler.nudged(1e-4)
        gradient = settler.gradients(1e-4)["out", "bias"].copy()
        bias = engine.blocks["out"].bias
        for index in range(3):
            losses = []
            for change in (1e-5, -2e-5):
                bias[index] += change
                losses.append(settler.loss())
            bias[index] += 1e-5
            assert gradient[index] == pytest.approx((losses[0] - losses[1]) / 2e-5, rel=1e-4)
        assert settler.run(Phase("free", 0.0, 5000)).capped == 0
    finally:
        engine.close()
