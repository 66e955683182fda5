"""Denoising end to end: what is recorded, shown and repeated of a run whose targets are images."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from matplotlib.figure import Figure

import dyadnet as dn
from dyadnet.data import DataShape, as_dataset
from dyadnet.data.memory import described
from dyadnet.engines.local import LocalEngine
from dyadnet.errors import ConfigError, DataError
from dyadnet.files.arrays import read as arrays
from dyadnet.notebook import html
from dyadnet.notebook.progress import NotebookProgress
from dyadnet.numerics.image_scores import image_scores
from dyadnet.reporting.contents import contents
from dyadnet.reporting.reading import read
from dyadnet.runs.loading import check_fit, load_data, shape_for
from dyadnet.runs.watcher import Silent
from dyadnet.study import run_trial
from dyadnet.study.plan import plan
from dyadnet.telemetry.collector import RunsCollector
from dyadnet.telemetry.snapshot import Snapshot
from dyadnet.telemetry.view import view
from dyadnet.training.api import draw
from dyadnet.training.coordinator import Coordinator
from dyadnet_actors.cli.screen import overview
from tests.actors.cli.test_screen import drawn
from tests.cli.test_main import complaint, run
from tests.data.test_images import Seeing
from tests.study.definitions import TINY, tiny

IMAGE_SCORES = ("psnr", "ssim")


def config(**values: Any) -> dn.RunConfig:
    """A short run that denoises digits."""
    given: dict[str, Any] = {"learning": {"epochs": 2, "minibatch": 20, "learning_rate": 0.005}, "seed": 1}
    given |= {"data": {"task": "denoise", "noise": 0.3, "limit_train": 300, "limit_test": 60}, "engine": "local"}
    return dn.RunConfig(**(given | {"network": dn.layered(hidden=[30], output_activation="linear")} | values))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dn.Run:
    return dn.train(config(), tmp_path_factory.mktemp("runs") / "denoise", report=False)


def test_scores_of_images_are_recorded_and_are_those_of_the_outputs(trained: dn.Run) -> None:
    assert trained.config.network.classes == 64
    assert trained.target_shape == (1, 8, 8)
    assert {f"{part}_{name}" for part in ("train", "validation", "test") for name in IMAGE_SCORES} <= set(
        trained.history
    )
    assert trained.history["train_psnr"][-1] > trained.history["train_psnr"][0]
    data, rows, dtype = load_data(trained.config), np.arange(60), np.dtype(np.float64)
    inputs, targets = data.inputs("test", rows, dtype), data.targets(data.test, rows, dtype)
    found = trained.outputs(inputs)
    psnr, ssim = (total / 60 for total in image_scores(found, targets, (1, 8, 8)))
    assert trained.test_psnr == pytest.approx(psnr, abs=0.01)
    assert trained.test_ssim == pytest.approx(ssim, abs=0.001)
    # Better than the noisy image itself.
    assert trained.test_psnr > image_scores(inputs, targets, (1, 8, 8))[0] / 60
    assert f"test PSNR {trained.test_psnr:.2f} dB" in repr(trained)


def test_a_sample_may_be_noisy_floats_or_bytes(trained: dn.Run) -> None:
    clean = load_data(trained.config).test.images[:3]
    assert clean.dtype == np.uint8
    assert np.array_equal(trained.predict(clean), trained.predict(clean / 16.0))
    assert trained.predict(clean.reshape(3, 8, 8)).shape == (3, 1, 8, 8)


class Stop(dn.Callback):
    """Ends a run in the middle of its second epoch."""

    def on_minibatch_end(self, run: dn.Run, record: Mapping[str, Any]) -> None:
        assert set(IMAGE_SCORES) <= record.keys()
        if (record["epoch"], record["minibatch"]) == (2, 5):
            run.stop("halfway")


def test_a_run_that_is_stopped_goes_on_to_the_same_bits(trained: dn.Run, tmp_path: Path) -> None:
    dn.train(config(), tmp_path / "run", callbacks=[Stop()])
    found = dn.resume(tmp_path / "run")
    assert found.weights_sha256 == trained.weights_sha256
    assert (found.path / "metrics.jsonl").read_bytes() == (trained.path / "metrics.jsonl").read_bytes()


def test_the_noise_of_training_is_new_each_epoch_and_that_of_evaluations_is_the_same() -> None:
    seen: dict[int, list[tuple[tuple[Any, ...], Any]]] = {1: [], 2: []}
    for seed, kept in seen.items():
        sized = config(seed=seed).sized(64, 64)
        data = load_data(sized)
        engine = Seeing(sized, data)
        try:
            Coordinator(sized, data.sizes, engine).run()
        finally:
            engine.close()
        for relaxation, inputs in engine.seen:
            clean = data.targets(data.part(relaxation.part), relaxation.rows, np.dtype(np.float32))
            noise = inputs - clean
            assert 0.2 < noise.std() < 0.4
            rows = zip(relaxation.rows.tolist(), noise, strict=True)
            kept += [((relaxation.part, relaxation.epoch, row), one.tobytes()) for row, one in rows]
    one, two = (dict(kept) for kept in seen.values())
    # In all, a sample has one noise for each epoch of training, and one for all evaluations and seeds.
    assert {key for key in one if key[1] == 0} & set(two) == {key for key in one if key in two and one[key] == two[key]}
    assert {epoch for _, epoch, _ in one} == {0, 1, 2}
    for kept in seen.values():
        assert len({noise for _, noise in kept}) == len(dict(kept)) == len(set(kept))


def test_saved_weights_are_evaluated_under_other_noise(trained: dn.Run) -> None:
    quiet, loud = (dn.evaluate(trained, changes={"data": {"noise": noise}}) for noise in (0.1, 0.6))
    assert quiet["psnr"] > trained.test_psnr + 0.2
    assert loud["psnr"] < trained.test_psnr - 0.2


def test_back_propagation_denoises_too(tmp_path: Path) -> None:
    network = dn.layered(hidden=[30], lam=0.5, output_activation="linear")
    found = dn.train(config(baseline="backprop", network=network), tmp_path / "run")
    assert found.history["test_psnr"][-1] > found.history["test_psnr"][0]


def test_images_in_memory_keep_their_shape(tmp_path: Path) -> None:
    images = (255 * np.random.default_rng(0).random((60, 3, 5, 5))).astype(np.uint8)
    given = config(data={"task": "denoise", "noise": 0.1}, learning={"epochs": 1})
    found = dn.train(given, tmp_path / "denoise", data=(images, np.arange(60) % 3))
    assert found.target_shape == (3, 5, 5)
    assert found.test_psnr > 0
    learned = dn.train(config(data={}, learning={"epochs": 1}), tmp_path / "pairs", data=(images, images[:, 0]))
    assert learned.target_shape == (5, 5)
    assert learned.test_ssim == learned.history["test_ssim"][0]
    assert np.isnan(learned.test_accuracy)


@pytest.mark.pictures
def test_a_strip_of_images_is_in_folder_report_and_notebook(tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((40, 3, 5, 6))
    data = images, np.arange(40) % 2
    found = dn.train(config(data={"task": "denoise"}, learning={"epochs": 1}), tmp_path / "run", data=data)
    kept = arrays(found.path / "images.npz")
    assert list(kept) == ["input", "output", "target"]
    assert {array.shape for array in kept.values()} == {(8, 3, 5, 6)}
    assert np.allclose(kept["target"].reshape(8, -1), as_dataset(data).test.images)
    assert 0.3 < np.std(kept["input"] - kept["target"]) < 0.7
    seen = arrays(found.path / "maps.npz")["input"]
    assert np.array_equal(seen, kept["input"][0]), "with its noise, which the network is given too"
    assert (found.path / "images.png").stat().st_size > 1000
    shown = contents(read(found.path))
    assert shown["missing"] == []
    assert shown["images"].startswith("data:image/png;base64,")
    assert shown["images"] in (found.path / "report.html").read_text(encoding="utf-8")
    axes = Figure().subplots()
    assert found.plot_images(axes) is axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["input", "output", "target"]
    canvas = np.asarray(axes.images[0].get_array())
    assert canvas.shape == (3 * 6 - 1, 8 * 7 - 1, 3)
    assert np.allclose(canvas[12:17, :6], np.moveaxis(kept["target"][0], 0, 2))
    assert found.plot().figure.axes[1].get_ylabel() == "PSNR (dB, dashed)"
    (found.path / "images.png").write_bytes(b"nothing")
    assert "images.png: damaged" in contents(read(found.path))["missing"][0]


def test_a_run_without_pictures_draws_images_when_asked(trained: dn.Run) -> None:
    assert not (trained.path / "images.npz").exists()
    axes = Figure().subplots()
    trained.plot_images(axes)
    assert np.asarray(axes.images[0].get_array()).shape == (26, 71, 3)


@pytest.mark.pictures
def test_pictures_are_drawn_where_images_cannot_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draws = np.random.default_rng(0).random((40, 4, 4))
    kept = config(data={"task": "denoise"}, learning={"epochs": 1})
    found = dn.train(kept, tmp_path / "run", data=(draws, np.arange(40) % 2), report=False)
    warnings: list[str] = []

    class Told(Silent):
        def warning(self, text: str) -> None:
            warnings.append(text)

    # Its data were in memory, and are not any more.
    draw(found.path, Told())
    (warning,) = warnings
    assert warning.startswith("no images: data.name: memory: these data were given in memory")
    assert (found.path / "curves.png").exists()
    assert not (found.path / "images.npz").exists()
    shutil.rmtree(found.path / "checkpoints")
    draw(found.path, Told())
    assert len(warnings) == 1


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        (np.arange(40) % 2, "its targets are classes, not images"),
        (np.random.default_rng(0).random((40, 9)), r"its targets are numbers of shape \(9,\), not images"),
        (5 * np.random.default_rng(0).random((40, 3, 3)), "its targets go beyond 0 to 1, so they are not images"),
    ],
)
def test_what_is_no_image_is_not_drawn(targets: Any, words: str, tmp_path: Path) -> None:
    data = np.random.default_rng(1).random((40, 3, 3)), targets
    found = dn.train(config(data={}, learning={"epochs": 1}), tmp_path / "run", data=data)
    with pytest.raises(DataError, match=words):
        found.plot_images(data=data)


def test_targets_of_another_size_are_not_flipped_with_their_samples() -> None:
    data = np.random.default_rng(0).random((40, 6, 6)), np.random.default_rng(1).random((40, 3, 3))
    given = config(data={"name": "memory", "memory": described(as_dataset(data)), "augment": {"flip": True}})
    with pytest.raises(ConfigError, match=r"data.augment: .* samples and targets of one height and width; memory has"):
        load_data(given, data)


def test_the_command_line_denoises_with_a_preset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "run")
    quick = ["--data", "digits", "--hidden", "8", "--epochs", "1", "--engine", "local", "--no-report", "--json"]
    assert run("train", *quick, "--set", "data.task=denoise", "--set", "data.noise=0.2", "--out", out) == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out.splitlines()[-1])
    assert {"test_psnr", "test_ssim", "validation_psnr", "test_squared_error"} <= result.keys()
    assert "PSNR train " in captured.err
    written = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert (written["data"]["task"], written["data"]["noise"]) == ("denoise", 0.2)
    output = written["network"]["populations"][-1]
    assert (output["size"], output["activation"]) == (64, "linear")
    assert run("evaluate", out, "--json") == 0
    assert json.loads(capsys.readouterr().out)["psnr"] == pytest.approx(result["test_psnr"], abs=0.01)
    clean = load_data(dn.load(out).config).test.images[:30]
    file = tmp_path / "file.npz"
    np.savez(file, x=clean / 16.0, y=clean / 16.0)
    assert run("predict", out, str(file), "--json") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["psnr"] > 8
    assert "PSNR " in captured.err
    line = complaint(capsys, "train", *quick, "--set", "data.noise=0.2", "--out", str(tmp_path / "other"))
    assert "data.noise: 0.2 is not legal; only task: denoise adds noise" in line


def test_classes_and_numbers_have_no_psnr_to_stop_by() -> None:
    stopping = {"learning": {"epochs": 1, "early_stopping": {"monitor": "validation_psnr"}}}
    own: dict[str, DataShape] = {"images": load_data(config()).sizes}
    x = np.random.default_rng(0).random((40, 64))
    own["numbers"] = as_dataset((x, x)).sizes
    own["classes"] = as_dataset((x, np.arange(40) % 2)).sizes
    check_fit(config(**stopping).sized(64, 64), own["images"])
    for kind, outputs in (("numbers", 64), ("classes", 2)):
        with pytest.raises(ConfigError, match=f"monitor: 'validation_psnr' .* targets are {kind}: name their loss"):
            check_fit(config(**stopping).sized(64, outputs), own[kind])


def test_metrics_screen_page_and_notebook_show_psnr(trained: dn.Run) -> None:
    sized = config().sized(64, 64)
    snapshot, data = Snapshot(sized, "images"), load_data(sized)
    shows: list[str] = []
    engine = LocalEngine(sized, data)
    try:
        watcher = NotebookProgress(shows.append)
        Coordinator(sized, shape_for(sized, data), engine, watcher=watcher, observer=snapshot).run()
    finally:
        engine.close()
    families = {family.name: family for family in RunsCollector(lambda: [snapshot]).collect()}
    for name in ("psnr_decibels", "ssim"):
        parts = {sample.labels["part"]: sample.value for sample in families[f"dyadnet_{name}"].samples}
        assert parts.keys() == {"train", "validation", "test"}
        assert parts["test"] == trained.history[f"test_{name.split('_')[0]}"][-1]
    shown = view(snapshot)
    assert shown["epoch_curve"][-1]["psnr_test"] == trained.history["test_psnr"][-1]
    psnr = f"PSNR {shown['ended']['psnr']['validation']:.2f} dB"
    assert psnr in drawn(overview([("a-run", shown | {"places": {}})]), 200)
    assert "PSNR train " in shows[-1]
    assert "test PSNR" in html.run(trained)


def test_studies_measure_images() -> None:
    found = run_trial(
        config(learning={"epochs": 1}).sized(64, 64), load_data(config()), keep=["curves", "generalisation"]
    )
    assert found.status == "ok", found.error
    assert {"test_psnr", "validation_psnr", "train_psnr", "ideal_psnr", "test_ssim", "test_r2"} <= found.values.keys()
    assert len(found.values["curves"]["test_ssim"]) == 1
    assert tiny().scored(numbers=True, images=True).metrics == ["test_psnr"]
    assert tiny(metrics=["test_ssim", "test_mae"]).scored(numbers=True, images=True).metrics == [
        "test_ssim",
        "test_mae",
    ]
    with pytest.raises(ConfigError, match=r"metrics: 'test_psnr' .* targets are numbers; name one of test_r2"):
        tiny(metrics=["test_psnr"]).scored(numbers=True)
    denoising = {"data.task": "denoise", "network.layered.hidden": [8]}
    study = tiny(base=TINY["base"] | {"set": denoising}, axes=[{"key": "data.noise", "grid": [0.1, 0.5]}])
    configs = [trial.config for trial in plan(study)]
    assert {one.data.noise for one in configs} == {0.1, 0.5}
    assert {one.network.classes for one in configs} == {64}
