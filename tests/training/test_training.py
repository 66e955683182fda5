"""Training end to end on the bundled digits: what is learned, recorded, saved and repeated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dyadnet as dn
from dyadnet.config import RunConfig
from dyadnet.config.overrides import merged
from dyadnet.config.presets import preset
from dyadnet.data import load
from dyadnet.dynamics.request import Phase, PhasePlan
from dyadnet.engines.local import LocalEngine
from dyadnet.runs.folder import read_config, read_metrics
from dyadnet.training.api import train
from dyadnet.training.coordinator import Coordinator
from dyadnet.training.evaluation import evaluate


def small(model: str = "sshm", **over: Any) -> RunConfig:
    """Three short epochs of a preset."""
    brief = {
        "learning": {"epochs": 3, "minibatch": 20},
        "data": {"limit_train": 1000, "limit_test": 100},
        "network": {"layered": {"hidden": [20, 20]}},
        "record": {"every": 5},
    }
    return RunConfig.read(merged(merged(preset("digits", model), brief | {"engine": "local"}), over))


@pytest.mark.parametrize("model", ["sshm", "ffm", "hm"])
@pytest.mark.pictures
def test_each_model_reaches_95_percent_on_the_digits(model: str, tmp_path: Path) -> None:
    summary = train(RunConfig.read(preset("digits", model) | {"engine": "local"}), tmp_path / "run")
    assert summary.test_accuracy >= 0.95
    lines = [line for line in read_metrics(tmp_path / "run") if line["kind"] == "epoch"]
    best = next(line for line in lines if line["epoch"] == summary.best_epoch)
    assert best["test"]["accuracy"] == summary.test_accuracy
    assert max(line["validation"]["accuracy"] for line in lines) == summary.validation_accuracy
    assert lines[-1]["train"]["loss"] < lines[0]["train"]["loss"] / 3
    assert (tmp_path / "run" / "curves.png").stat().st_size > 10_000


def test_the_step_follows_a_jump_of_lambda_at_once(tmp_path: Path) -> None:
    """A feedforward network has μ = 0 and takes whole steps, with which the skew-symmetric one diverges."""
    lam = {"kind": "piecewise", "pieces": [{"epochs": 1, "of": 0.5}, {"epochs": 1, "of": 0.0}]}
    train(small("ffm", learning={"epochs": 2, "lam": lam, "radius_every": 1000}), tmp_path / "run")
    steps = [(line["radius"], line["step"]) for line in read_metrics(tmp_path / "run") if line["kind"] == "epoch"]
    assert steps[0] == (0.0, 1.0)
    assert steps[1][0] > 1.0
    assert steps[1][1] < 0.8


@pytest.mark.parametrize("model", ["sshm", "ffm", "hm"])
def test_the_same_seed_gives_the_same_bits_and_another_does_not(model: str, tmp_path: Path) -> None:
    hashes, records = [], []
    for index, seed in enumerate((1, 1, 2)):
        out = tmp_path / str(index)
        hashes.append(train(small(model, seed=seed), out).weights_sha256)
        records.append((out / "metrics.jsonl").read_text())
    assert hashes[0] == hashes[1] != hashes[2]
    assert records[0] == records[1] != records[2]


@pytest.mark.parametrize(
    "dynamics",
    [
        {
            "clock": {"kind": "bernoulli", "p": 0.6},
            "delay": {"kind": "uniform", "low": 1, "high": 3},
            "lanes": 2,
            "sweeps": 150,
        },
        {"clock": "every-tick", "delay": 2, "initial": "previous"},
        {"initial": "zero", "fixed": True, "sweeps": 10, "nudged_sweeps": 5, "dtype": "float64"},
    ],
    ids=["random", "delayed", "fixed"],
)
def test_other_dynamics_learn_and_repeat(dynamics: dict[str, Any], tmp_path: Path) -> None:
    summaries = [
        train(small("sshm", dynamics=dynamics, data={"limit_train": 600}), tmp_path / str(i)) for i in range(2)
    ]
    assert summaries[0].weights_sha256 == summaries[1].weights_sha256
    assert summaries[0].test_accuracy > 0.6


def test_blocks_change_no_initial_weight_and_learn_as_well(tmp_path: Path) -> None:
    whole, split = small(), RunConfig.read(small().model_dump(mode="json") | {"seed": 0})
    split = RunConfig(**{**split.model_dump(), "network": whole.network.with_blocks(3)})
    engines = [LocalEngine(config, load("digits")) for config in (whole, split)]
    parts = [engines[1].blocks[f"h2.{k}"] for k in range(3)]
    joined = np.concatenate([np.concatenate([s.weights for s in part.synapses], axis=1) for part in parts])
    assert np.array_equal(joined, engines[0].blocks["h2"].synapses[0].weights)
    for engine in engines:
        engine.close()
    assert train(split, tmp_path / "run").test_accuracy > 0.6


def test_lambda_moves_from_one_model_to_another_while_training(tmp_path: Path) -> None:
    lam = {"kind": "linear", "start": 0.5, "end": 0.0}
    train(small("ffm", learning={"lam": lam, "epochs": 6}), tmp_path / "run")
    lines = [line for line in read_metrics(tmp_path / "run") if line["kind"] == "epoch"]
    moved = [line["lambda"][0] for line in lines]
    assert moved == sorted(moved, reverse=True)
    assert moved[-1] < 0.1
    assert lines[-1]["test"]["accuracy"] > 0.6


def test_beta_grows_by_the_epoch(tmp_path: Path) -> None:
    beta = {"kind": "increments", "start": 0.1, "step": 0.05}
    train(small(learning={"beta": beta}), tmp_path / "run")
    lines = [line for line in read_metrics(tmp_path / "run") if line["kind"] == "epoch"]
    assert [round(line["beta"], 9) for line in lines] == [0.1, 0.15, 0.2]


def test_a_warmup_leads_to_the_schedule_over_epochs_and_no_further() -> None:
    """The k-th of n minibatches has k/n of what the schedule says, whatever epoch it is in."""
    plain, warm = (
        PhasePlan(small(learning={"warmup": warmup, "learning_rate": {"kind": "cosine", "start": 0.1}}))
        for warmup in (0, 60)
    )
    for count in range(1, 136):
        at = (count - 1) / 45
        assert warm.rate(at, count) == pytest.approx(min(count / 60, 1) * plain.rate(at, count), rel=1e-12)
    assert warm.rate(59 / 45, 60) == plain.rate(59 / 45, 60)
    assert plain.rate(0.0, 1) == 0.1


def test_a_warmup_is_what_a_run_takes_and_writes_down(tmp_path: Path) -> None:
    hashes = {
        warmup: train(small("hm", learning={"warmup": warmup}), tmp_path / str(warmup)).weights_sha256
        for warmup in (0, 1, 60, 1000)
    }
    # The first update of a warm-up of one minibatch is a whole one already.
    assert hashes[0] == hashes[1]
    assert len(set(hashes.values())) == 3
    rates = {
        warmup: [line["learning_rate"] for line in read_metrics(tmp_path / str(warmup)) if line["kind"] == "minibatch"]
        for warmup in hashes
    }
    # Every fifth of 45 minibatches an epoch, of three epochs.
    done = [5 * index for index in range(1, 28)]
    for warmup in (60, 1000):
        expected = [rate * min(count / warmup, 1) for count, rate in zip(done, rates[0], strict=True)]
        assert rates[warmup] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("last", "expected"), [(1.9, 0), (2.0, 1)])
def test_a_nudge_too_strong_for_concavity_is_warned_of(last: float, expected: int) -> None:
    config = small(learning={"beta": {"kind": "linear", "start": 0.1, "end": last}})
    warnings = PhasePlan(config).warnings()
    assert len(warnings) == expected
    assert all("no longer concave" in text for text in warnings)


def test_the_record_says_what_happened(tmp_path: Path) -> None:
    train(small("hm"), tmp_path / "run")
    lines = read_metrics(tmp_path / "run")
    epoch = [line for line in lines if line["kind"] == "epoch"][-1]
    minibatch = next(line for line in lines if line["kind"] == "minibatch")
    assert epoch["relaxations"] == 3 * (45 + 1 + 1)
    assert set(epoch["weight_norm"]) == {"h1", "h2", "out"}
    for block in epoch["train"]["blocks"].values():
        assert 0 <= block["saturated"] <= 1
        assert block["messages"] > 0
        assert block["difference_norm"] > 0
    assert all(block["difference_norm"] == 0 for block in epoch["test"]["blocks"].values())
    assert minibatch["objective"] == pytest.approx(minibatch["loss"], rel=0.3)
    machinery = [json.loads(line) for line in (tmp_path / "run" / "machinery.jsonl").read_text().splitlines()]
    first, *_ = (line for line in machinery if line["kind"] == "epoch")
    spent = first["seconds"]
    assert spent["relax"] + spent["learn"] <= spent["training"] + spent["evaluation"]
    assert first["messages"] == sum(
        block["messages"]
        for part in ("train", "validation", "test")
        for block in epoch0(lines)[part]["blocks"].values()
    )


def epoch0(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """The first epoch's line."""
    return next(line for line in lines if line["kind"] == "epoch")


def test_saved_weights_evaluate_to_what_was_recorded(tmp_path: Path) -> None:
    run = tmp_path / "run"
    summary = train(small(), run)
    assert evaluate(run)["accuracy"] == summary.test_accuracy
    last = [line for line in read_metrics(run) if line["kind"] == "epoch"][-1]
    again = evaluate(run, "last", "validation")
    assert again["accuracy"] == last["validation"]["accuracy"]
    assert read_config(run) == small()


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(small(), run)
    block = run / "checkpoints" / "best" / "h2.npz"
    whole = block.read_bytes()
    block.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(dn.RunFolderError, match=r"h2\.npz: damaged"):
        evaluate(run)
    with np.load(run / "checkpoints" / "last" / "h2.npz") as stored:
        arrays = {key: stored[key] + np.float32(1e-3) for key in stored.files}
    np.savez(block, **arrays)
    with pytest.raises(dn.RunFolderError, match="do not match their manifest"):
        evaluate(run)
    np.savez(block, h1=np.zeros((3, 3), np.float32), bias=np.zeros(3, np.float32))
    with pytest.raises(dn.RunFolderError, match="weights of another network"):
        evaluate(run)
    block.unlink()
    with pytest.raises(dn.RunFolderError, match="not found"):
        evaluate(run)


@pytest.mark.pictures
def test_probes_record_compartments_tick_by_tick(tmp_path: Path) -> None:
    probe = {"neurons": {"h1": [0, 5], "out": list(range(10))}, "samples": [0, 2], "every": 10}
    train(small(probe=probe, dynamics={"clock": "every-tick", "fixed": True, "sweeps": 7}), tmp_path / "run")
    recorded = sorted((tmp_path / "run" / "probes").glob("*.npz"))
    assert len(recorded) == 14
    with np.load(recorded[0]) as series:
        assert series["h1/ticks"].tolist() == list(range(1, 8))
        assert series["h1/plus"].shape == (7, 2, 2)
        half = 0.5 * (np.clip(series["h1/plus"] / 2, 0, 1) - np.clip(series["h1/minus"] / 2, 0, 1))
        np.testing.assert_allclose(series["h1/difference"], half, atol=1e-6)
        assert np.abs(series["out/difference"]).max() > 0
    assert recorded[0].with_suffix(".png").exists()


def test_a_diverging_run_stops_with_a_diagnosis(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"dynamics": {"clock": "every-tick", "step": 1.0}}
    settings["network"] = {"layered": {"gain": 6.0}}
    with pytest.raises(dn.DivergedError, match=r"in block \w+ at tick \d+: .*μ = .*step = 1 .*try --set"):
        train(small(**settings), tmp_path / "run")


def test_five_lines_of_python_are_enough(tmp_path: Path) -> None:
    network = dn.layered(64, [30], 10, lam=0.0, gain=1.4)
    config = dn.RunConfig(network=network, learning=dn.Learning(epochs=5))
    assert dn.train(config, tmp_path / "run").test_accuracy > 0.7


def test_any_graph_can_be_trained(tmp_path: Path) -> None:
    network = dn.Network(
        64,
        (dn.Population("a", 30), dn.Population("b", 20), dn.Population("out", 10)),
        (
            dn.Projection("input", "a", gain=1.4),
            dn.Projection("a", "b", lam=0.5, gain=1.4),
            dn.Projection("b", "a", lam=0.5, gain=0.3),
            dn.Projection("b", "b", lam=0.5, gain=0.3),
            dn.Projection("b", "out", lam=0.0, gain=1.4),
        ),
    )
    config = dn.RunConfig(network=network, engine="local", learning=dn.Learning(epochs=3, learning_rate=3e-3))
    assert dn.train(config, tmp_path / "run").test_accuracy > 0.6


def test_memory_does_not_grow_with_ticks() -> None:
    import tracemalloc

    config = small(dynamics={"fixed": True, "sweeps": 20})
    peaks = []
    for sweeps in (20, 400):
        engine = LocalEngine(config, load("digits"))
        coordinator = Coordinator(config, load("digits").sizes, engine)
        relaxation = coordinator._relaxation(
            "train", np.arange(20), (Phase("dyadic", 0.1, sweeps, True),), (-1.0, -1.0)
        )
        engine.relax(relaxation)
        tracemalloc.start()
        engine.relax(relaxation)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        engine.close()
    assert peaks[1] < 1.2 * peaks[0]
