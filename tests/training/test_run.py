"""A run as an object: what its folder holds, and what its weights say of new samples."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

import dyadnet as dn
from dyadnet.data import load
from dyadnet.errors import ConfigError, DataError, DyadnetError, RunFolderError
from dyadnet.numerics.histogram import AGES, BINS, lower_edges
from dyadnet.reporting.tiles import of_maps, of_weights
from dyadnet.training.inference import feature_maps
from tests.checkpoint.runs import SMALL, settings, stopping
from tests.cli.test_main import complaint
from tests.cli.test_main import run as command
from tests.data.test_memory import WORDS, X, config


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the digits, which are bytes, with probes."""
    out = tmp_path_factory.mktemp("runs") / "digits"
    dn.train(settings(probe={"neurons": {"h1": [0, 3]}, "every": 5}), out)
    return out


@pytest.fixture(scope="module")
def insects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose data were in memory and whose labels are words."""
    out = tmp_path_factory.mktemp("runs") / "insects"
    dn.train(config(learning={"epochs": 8, "minibatch": 10}), out, data=(X, WORDS))
    return out


def test_what_train_returns_is_what_load_finds(tmp_path: Path) -> None:
    trained = dn.train(settings(), tmp_path / "run")
    found = dn.load(str(tmp_path / "run"))
    for name in ("test_accuracy", "validation_accuracy", "best_epoch", "train_loss", "weights_sha256"):
        assert getattr(trained, name) == getattr(found, name), name
    assert found.out == trained.out == str(tmp_path / "run")
    assert 0 < found.seconds <= trained.seconds
    assert repr(found) == f"Run({found.out!r}, finished, 2 of 2 epochs, test accuracy {found.test_accuracy:.2%})"
    assert found.config == settings()


def test_history_is_the_record_by_epoch(folder: Path) -> None:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    epochs = [line for line in lines if line["kind"] == "epoch"]
    history = dn.load(folder).history
    assert history["epoch"].tolist() == [1, 2]
    for name, part, key in (
        ("train_loss", "train", "loss"),
        ("validation_accuracy", "validation", "accuracy"),
        ("test_sweeps", "test", "sweeps"),
    ):
        assert history[name].tolist() == [line[part][key] for line in epochs]
    assert history["learning_rate"].tolist() == [line["learning_rate"] for line in epochs]
    assert (history["seconds"] > 0).all()
    assert {len(column) for column in history.values()} == {2}


def test_history_as_a_table(folder: Path) -> None:
    run = dn.load(folder)
    table = run.to_pandas()
    assert table.index.tolist() == [1, 2]
    assert table["train_loss"].tolist() == run.history["train_loss"].tolist()


def test_without_pandas_one_line_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(DyadnetError, match=r"to_pandas needs pandas: pip install 'dyadnet\[pandas\]'"):
        dn.load(folder).to_pandas()


def test_weights_are_whole_and_those_that_were_saved(folder: Path) -> None:
    best, last = dn.load(folder), dn.load(folder, weights="last")
    assert {name: array.shape for name, array in best.weights.items()} == {
        "input->h1": (20, 64), "h1->h2": (16, 20), "h2->out": (10, 16), "bias/h1": (20,), "bias/h2": (16,),
        "bias/out": (10,),
    }  # fmt: skip
    with np.load(folder / "checkpoints" / "last" / "h2.npz") as stored:
        assert np.array_equal(last.weights["h1->h2"], stored["h1"])


def test_probes_by_relaxation(folder: Path) -> None:
    probes = dn.load(folder).probes
    assert len(probes) == 3
    assert all(key.startswith("h1/") for recorded in probes.values() for key in recorded)


def test_predictions_are_those_of_the_evaluation(folder: Path) -> None:
    run, test = dn.load(folder), load("digits").limited(150, 40).test
    accuracy = float(np.mean(run.predict(test.images) == test.labels))
    assert accuracy == pytest.approx(run.test_accuracy, abs=1 / 40)
    assert np.array_equal(run.predict(test.images.astype(np.int64)), run.predict(test.images))
    assert np.array_equal(run.predict(test.images.reshape(-1, 8, 8)), run.predict(test.images))


def test_outputs_do_not_depend_on_the_samples_beside(folder: Path) -> None:
    run, images = dn.load(folder), load("digits").test.images
    together, alone = run.outputs(images[:20]), run.outputs(images[7:8])
    assert together.shape == (20, 10)
    assert np.abs(together[7] - alone[0]).max() < 1e-8


def test_predictions_are_the_users_labels(insects: Path) -> None:
    run = dn.load(insects)
    assert run.labels == ("ant", "bee", "wolf")
    found = run.predict(X)
    assert set(found) <= {"ant", "bee", "wolf"}
    assert np.mean(found == WORDS) > 0.8
    assert np.array_equal(run.predict(X.tolist()), found)


@pytest.mark.parametrize(
    ("samples", "complaint_of"),
    [
        (X[:, :3], "X has 3 features a sample, the network 5"),
        (X[0], r"X has shape \(5,\)"),
        (X[:0], r"X has shape \(0, 5\)"),
        ([["a"] * 5], "expected numbers of shape"),
        (np.where(np.arange(200)[:, None] == 9, np.nan, X), "NaN or infinite values, the first in row 9"),
        (X.astype(np.uint8), "X holds bytes .* the run was trained on float64"),
        ([[1, 2], [3]], "X is no array"),
    ],
)
def test_samples_that_cannot_be_used_are_one_line(samples: Any, complaint_of: str, insects: Path) -> None:
    with pytest.raises(DataError, match=complaint_of):
        dn.load(insects).predict(samples)


def test_what_was_trained_on_bytes_wants_bytes(folder: Path) -> None:
    images = load("digits").test.images
    for wrong in (images / 16, images.astype(np.int64) - 1, images.astype(np.int64) + 250):
        with pytest.raises(DataError, match=r"the run was trained on bytes, which are multiplied by 0\.0625"):
            dn.load(folder).outputs(wrong)


def test_a_run_of_before_the_scale_was_written_down_finds_it_in_its_data(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "old")
    path = tmp_path / "old" / "checkpoints" / "best" / "manifest.json"
    manifest = json.loads(path.read_text())
    assert (manifest.pop("input_scale"), manifest.pop("input_dtype")) == (1 / 16, "uint8")
    path.write_text(json.dumps(manifest))
    images = load("digits").test.images[:5]
    assert np.array_equal(dn.load(tmp_path / "old").outputs(images), dn.load(folder).outputs(images))


def test_a_run_in_real_time_is_read_out_in_virtual_time(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "free")
    config = dn.load(folder).config
    values = config.model_dump(mode="json") | {"engine": "ray", "dynamics": {"mode": {"kind": "free"}}}
    (tmp_path / "free" / "config.yaml").write_text(dn.RunConfig.read(values).to_yaml())
    images = load("digits").test.images[:10]
    assert np.abs(dn.load(tmp_path / "free").outputs(images) - dn.load(folder).outputs(images)).max() < 1e-8


def test_it_draws_on_axes_of_the_callers(folder: Path) -> None:
    axes = Figure().add_subplot()
    backend = mpl.get_backend()
    assert dn.load(folder).plot(axes) is axes
    assert [line.get_label() for line in axes.get_lines()] == ["train", "validation", "test"]
    assert axes.get_lines()[0].get_ydata() == pytest.approx(dn.load(folder).history["train_loss"])
    assert mpl.get_backend() == backend


def pixels(axes: Any) -> Any:
    """Of the picture that is drawn there."""
    return np.asarray(axes.images[0].get_array())


def test_it_draws_weights_and_feature_maps(tmp_path: Path) -> None:
    layers = ["conv 5 3x3", "pool 2", "dense 10"]
    network = dn.RunConfig.read({"network": {"layers": layers, "inputs": [1, 8, 8], "lam": 0.0}}).network
    run = dn.train(settings().model_copy(update={"network": network}), tmp_path / "run")
    axes = Figure().subplots(1, 2)
    assert run.plot_kernels("input->conv1", axes[0]) is axes[0]
    wanted = of_weights(network, network.projections[0], run.weights).pixels
    np.testing.assert_array_equal(pixels(axes[0]), wanted)
    sample = load("digits").test.images[0]
    assert run.plot_maps("conv1", sample, axes[1]) is axes[1]
    kept = feature_maps(run.path, load("digits"))
    np.testing.assert_array_equal(kept["input"].reshape(-1), np.float32(sample * load("digits").scale))
    wanted = of_maps("conv1", kept["conv1"], network.by_name["conv1"].f.bounds).pixels
    assert np.abs(pixels(axes[1]) - wanted.astype(int)).max() < 8, "kept as it settles in training, drawn exactly"
    with pytest.raises(ConfigError, match=r"population: 'dense2' is not legal; one of conv1"):
        run.plot_maps("dense2", sample)


def test_only_what_is_there_is_drawn(folder: Path) -> None:
    run, axes = dn.load(folder), Figure().add_subplot()
    run.plot_kernels("input->h1", axes)
    assert pixels(axes).shape[0] % 9 == 8, "tiles of 8x8, as the digits are"
    with pytest.raises(ConfigError, match=r"projection: 'h1' is not legal; one of input->h1, "):
        run.plot_kernels("h1")
    with pytest.raises(ConfigError, match="there is none in this run"):
        run.plot_maps("h1", load("digits").test.images[0])


def test_it_draws_how_old_messages_were(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"no ages here; they are measured where dynamics\.mode is free"):
        dn.load(folder).plot_ages()
    free = Path(shutil.copytree(folder, tmp_path / "free"))
    counts = [0] * BINS
    counts[20], counts[22] = 30, 10
    edges = {"h1": dict.fromkeys(AGES, counts)}
    line = {"kind": "epoch", "epoch": 1, "actors": {"out": {"edges": edges}, "h1": {"edges": {}}}}
    (free / "machinery.jsonl").write_text(json.dumps(line) + "\n" + json.dumps(line | {"epoch": 2}) + "\n")
    axes = Figure().subplots(1, 2)
    for axis, what in zip(axes, ("age_updates", "age_ms"), strict=True):
        assert dn.load(free).plot_ages(axis, what=what) is axis
        steps: Any = axis.patches[0]
        values, (first, *_) = steps.get_data().values, steps.get_data().edges[20:]
        assert (values[20], values[22], values.sum()) == (75.0, 25.0, 100.0)
        assert first == pytest.approx(lower_edges()[20])
        assert steps.get_label() == "h1 → out"
        assert AGES[what] in axis.get_xlabel()
    with pytest.raises(ConfigError, match="one of age_ms, age_updates"):
        dn.load(free).plot_ages(what="seconds")


def test_a_run_that_has_hardly_begun(tmp_path: Path) -> None:
    with pytest.raises(DyadnetError, match="a checkpoint is written"):
        dn.train(settings(), tmp_path / "run", stopping(2))
    run = dn.load(tmp_path / "run")
    assert run.history["epoch"].tolist() == []
    assert repr(run) == f"Run({str(tmp_path / 'run')!r}, stopped, 0 of 2 epochs)"
    with pytest.raises(RunFolderError, match="no epoch of this run has ended"):
        _ = run.test_accuracy
    with pytest.raises(RunFolderError, match="no weights here"):
        run.predict(load("digits").test.images)


def test_what_is_no_run_or_no_name_of_weights(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(RunFolderError, match="no run here"):
        dn.load(tmp_path)
    with pytest.raises(ConfigError, match="weights: 'middle' is not legal; one of best, last"):
        dn.load(folder, weights="middle")
    with pytest.raises(ConfigError, match="part: 'all' is not legal; one of train, validation, test"):
        dn.evaluate(folder, part="all")  # type: ignore[arg-type]


def test_a_run_starts_from_anothers_weights(folder: Path, tmp_path: Path) -> None:
    still = {"learning": {"epochs": 1, "learning_rate": 0.0}}
    for given in (dn.load(folder), folder, str(folder)):
        run = dn.train(settings(**still, seed=9), tmp_path / f"run-{type(given).__name__}", init_from=given)
        assert all(np.array_equal(run.weights[name], array) for name, array in dn.load(folder).weights.items())
    init = dn.load(tmp_path / "run-str").config.init_from
    assert init is not None
    assert (init.run, init.sha256) == (folder, run.weights_sha256)


def test_blocks_precision_and_data_may_be_others(folder: Path, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    network = dn.layered(64, [20, 16], 10, lam=0.5).with_blocks(3)
    other = dn.RunConfig(
        network=network,
        engine="local",
        dynamics=dn.Dynamics(dtype="float64"),
        learning=dn.Learning(epochs=1, learning_rate=0.0),
        init_from=str(folder),
    )
    data = generator.integers(0, 16, (80, 64)).astype(np.uint8), np.arange(80) % 10
    run = dn.train(other, tmp_path / "run", data=data)
    assert all(np.allclose(run.weights[name], array, rtol=1e-6) for name, array in dn.load(folder).weights.items())


def test_the_last_weights_and_the_flag(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(json.dumps(SMALL))
    base = ["train", str(tmp_path / "small.yaml"), "--epochs", "1", "--set", "learning.learning_rate=0"]
    command(*base, "--from", str(folder), "--set", "init_from.weights=last", "--out", str(tmp_path / "run"))
    assert dn.load(tmp_path / "run").weights_sha256 == dn.load(folder).weights_sha256


def test_a_run_that_started_from_weights_is_stopped_and_goes_on(folder: Path, tmp_path: Path) -> None:
    straight = dn.train(settings(seed=4), tmp_path / "straight", init_from=folder)
    with pytest.raises(DyadnetError, match="a checkpoint is written"):
        dn.train(settings(seed=4), tmp_path / "run", stopping(5), init_from=folder)
    assert dn.resume(tmp_path / "run").weights_sha256 == straight.weights_sha256
    assert straight.weights_sha256 != dn.train(settings(seed=4), tmp_path / "drawn").weights_sha256


def test_a_run_of_another_shape_is_refused_with_what_does_not_fit(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = {"layered": {"inputs": 64, "hidden": [20, 18], "outputs": 10}}
    with pytest.raises(
        ConfigError,
        match=r"init_from: .* weights/h1->h2 should be 18×20 and is 16×20; .*bias/h2 should be 18 and is 16",
    ):
        dn.train(settings(network=network), tmp_path / "run", init_from=folder)
    with pytest.raises(
        ConfigError, match=r"weights/h2->out should be not there .*, and 1 more|weights/h1->out should be"
    ):
        dn.train(settings(network={"layered": {"hidden": [20], "lam": 0.5}}), tmp_path / "run", init_from=folder)
    with pytest.raises(ConfigError, match=r"init_from: .* name the folder of a run with intact weights .*no run here"):
        dn.train(settings(), tmp_path / "run", init_from=tmp_path)
    init = {"run": str(folder), "sha256": "0" * 64}
    with pytest.raises(ConfigError, match=r"init_from\.sha256: '0+' is not legal; the best weights of .* have"):
        dn.train(settings(init_from=init), tmp_path / "run")
    trace = {"record": {"trace": str(tmp_path / "t")}, "dynamics": {"mode": "free"}, "engine": "ray"}
    with pytest.raises(ConfigError, match=r"record\.trace: .* leave out --trace or init_from"):
        settings(init_from=str(folder), **trace)
    assert not (tmp_path / "run").exists()
    arguments = ["train", "--from", str(folder), "--engine", "local", "--out", str(tmp_path / "run")]
    assert "init_from" in complaint(capsys, *arguments)


def test_a_trial_of_a_study_starts_from_weights(folder: Path) -> None:
    from dyadnet.study.trial import run_trial

    still = settings(init_from=str(folder), seed=9, learning={"epochs": 1, "learning_rate": 0.0})
    found = run_trial(still, load("digits").limited(150, 40))
    assert found.values["test_accuracy"] == dn.load(folder).test_accuracy


def test_saved_weights_under_other_imperfections(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = dn.evaluate(folder)
    assert plain["accuracy"] == dn.load(folder).test_accuracy
    coarse = dn.evaluate(folder, changes={"imperfections": {"device": {"weights": 2}}})
    assert coarse["loss"] != plain["loss"]
    command("evaluate", str(folder), "--set", "imperfections.device.weights=2", "--json")
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["loss"] == coarse["loss"]
    trained = dn.train(
        settings(imperfections={"device": {"weights": 2}}, learning={"epochs": 1, "learning_rate": 0.0}),
        folder.parent / "coarse",
        init_from=folder,
    )
    assert trained.test_accuracy == coarse["accuracy"]


@pytest.mark.parametrize(
    "setting", ["seed=3", "learning.epochs=3", "engine=ray", "network.bias=1", "cluster.actors=2", "record.every=1"]
)
def test_what_made_the_weights_what_they_are_stays(
    setting: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = complaint(capsys, "evaluate", str(folder), "--set", setting)
    assert setting.partition("=")[0] in told
    assert "only imperfections, dynamics, data" in told


def test_other_settings_have_to_be_legal(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = complaint(capsys, "analyse", str(folder), "--set", "imperfections.channel.loss=2")
    assert "imperfections.channel.loss" in told
    told = complaint(capsys, "evaluate", str(folder), "--set", "dynamics.mode=free")
    assert "dynamics.mode" in told


def test_a_run_in_memory_is_evaluated_on_its_data_only(insects: Path) -> None:
    assert dn.evaluate(insects, data=(X, WORDS))["accuracy"] == dn.load(insects).test_accuracy
    with pytest.raises(DataError, match="given in memory"):
        dn.evaluate(insects)
    with pytest.raises(ConfigError, match=r"data\.memory\.sha256"):
        dn.evaluate(insects, data=(X + 1, WORDS))


def test_predict_on_the_command_line(insects: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "some.npz", x=X, y=WORDS)
    np.save(tmp_path / "some.npy", X)
    expected = dn.load(insects).predict(X).tolist()
    command("predict", str(insects), str(tmp_path / "some.npy"))
    assert capsys.readouterr().out.split() == expected
    command("predict", str(insects), str(tmp_path / "some.npz"), "--json")
    told = json.loads(capsys.readouterr().out)
    assert told["predictions"] == expected
    assert told["accuracy"] == np.mean(np.array(expected) == WORDS)
    for ending in ("csv", "npz"):
        command("predict", str(insects), str(tmp_path / "some.npy"), "--out", str(tmp_path / f"found.{ending}"))
        assert capsys.readouterr().out == ""
    rows = (tmp_path / "found.csv").read_text().splitlines()
    assert rows[0] == "row,prediction,output_0,output_1,output_2"
    assert rows[1].split(",")[:2] == ["0", expected[0]]
    with np.load(tmp_path / "found.npz") as found:
        assert found["predictions"].tolist() == expected
        assert np.array_equal(found["outputs"], dn.load(insects).outputs(X))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["missing.npz"], "cannot be read"),
        (["words.txt"], "name a file that ends in .npy or .npz"),
        (["other.npz"], "none of the arrays x, X"),
        (["broken.npz"], "damaged"),
        (["broken.npy"], "damaged"),
        (["narrow.npy"], "X has 2 features a sample, the network 5"),
        (["narrow.npy", "--weights", "middle"], "--weights"),
        (["narrow.npy", "--out", "found.txt"], "--out"),
        (["short.npz"], "200 samples, and labels of shape (3,)"),
    ],
)
def test_predict_refuses_in_one_line(
    arguments: list[str],
    told: str,
    insects: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("other.npz", a=X)
    np.savez("short.npz", x=X, y=WORDS[:3])
    np.save("narrow.npy", X[:, :2])
    for name in ("broken.npz", "broken.npy", "words.txt"):
        Path(name).write_bytes(b"PK nothing")
    assert told in complaint(capsys, "predict", str(insects), *arguments)
