"""A scrape is what Prometheus can read, and agrees with the run's own record."""

from __future__ import annotations

import subprocess
from pathlib import Path
from shutil import which

import numpy as np
import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families

from dyadnet.config import RunConfig
from dyadnet.config.recovery import Failure
from dyadnet.data import load
from dyadnet.dynamics.outcome import NUMBERS, Reports, ResourceUsage
from dyadnet.engines.local import LocalEngine
from dyadnet.errors import DivergedError
from dyadnet.numerics.histogram import BINS
from dyadnet.numerics.scores import SCORES
from dyadnet.program.real_time.updates import _bin
from dyadnet.telemetry.catalogue import AGES, CATALOGUE, PREFIX
from dyadnet.telemetry.collector import RunsCollector
from dyadnet.telemetry.figures import OfPart
from dyadnet.telemetry.readings import Spread, readings
from dyadnet.telemetry.snapshot import Snapshot, model_of
from dyadnet.training.api import load_data
from dyadnet.training.coordinator import Coordinator
from tests.telemetry.runs import Values, fetch, lines, running, scraped, settings, state, until, value


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Values, str, str]:
    """A run that has ended: its folder, its last scrape, and that as text in both formats."""
    out = tmp_path_factory.mktemp("runs") / "watched"
    with running(settings(metrics={"port": 0, "linger": 2.0, "norms": 3}), out) as address:
        until(lambda: state(address) == "finished")
        found = scraped(address)
        plain = fetch(f"{address}/metrics")[2]
        opened = fetch(f"{address}/metrics", "application/openmetrics-text; version=1.0.0")[2]
    return out, found, plain, opened


def complete() -> Snapshot:
    """A snapshot of a run that has something to say of everything there is."""
    snapshot = Snapshot(RunConfig.read(settings()), "complete")
    snapshot.settings = {"learning_rate": 0.1, "beta": 0.1, "lambda": [0.0, 0.0], "radius": 1.0, "step": 0.5}
    snapshot.loss = {"train": 1.0}
    # No run has all of them.
    snapshot.scores = {name: {"train": 0.5} for name in SCORES}
    snapshot.objective, snapshot.cosine = 0.1, 0.9
    snapshot.parts["train"] = OfPart(samples=3)
    layout = snapshot.layout
    ones = np.ones((len(layout.blocks), len(NUMBERS)))
    snapshot.latest = Reports(layout.blocks, layout.channels, ones, snapshot.counts, ())
    snapshot.actors["h1"] = ResourceUsage("h1", 0, {"waiting": 1.0}, 2, 3, {"late": 1}, {"h2": ([1] * BINS, 4.0)})
    snapshot.machinery({"kind": "placement", "actors": {"h1": {"address": "10.0.0.1", "pid": 7}}})
    snapshot.machinery({"kind": "epoch", "pace": {"delay_ms": 2.0, "time_constant_ms": 4.0}})
    snapshot.saved("last", 0.1, 10)
    snapshot.failed(Failure("actor", ("h1",), "it died", 3))
    return snapshot


def test_every_metric_of_the_catalogue_is_shown_by_a_run_that_has_it() -> None:
    families = {family.name for family in RunsCollector(lambda: [complete()]).collect()}
    assert families == {(PREFIX + name).removesuffix("_total") for name in CATALOGUE}


def test_an_actor_that_is_started_anew_begins_another_life() -> None:
    snapshot = complete()
    assert (snapshot.life("h1"), snapshot.life("h2")) == (1, 0)
    snapshot.failed(Failure("coordinator", ("the coordinator",), "it died", 3))
    assert (snapshot.life("h1"), snapshot.life("h2")) == (2, 1)


def test_types_and_labels_are_those_of_the_catalogue(finished: tuple[Path, Values, str, str]) -> None:
    seen = 0
    for family in text_string_to_metric_families(finished[2]):
        name = family.name.removeprefix(PREFIX)
        metric = CATALOGUE.get(name) or CATALOGUE[f"{name}_total"]
        assert family.type == metric.kind
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(metric.all_labels)
        seen += 1
    assert seen > 30


def test_open_metrics_holds_the_same_families(finished: tuple[Path, Values, str, str]) -> None:
    plain = {family.name for family in text_string_to_metric_families(finished[2])}
    families = open_families(finished[3])  # type: ignore[no-untyped-call]
    assert {family.name for family in families} == plain


def test_counters_agree_with_the_record_at_the_end(finished: tuple[Path, Values, str, str]) -> None:
    out, found, *_ = finished
    epochs = [line for line in lines(out, "metrics.jsonl") if line["kind"] == "epoch"]
    last = epochs[-1]
    parts = ("train", "validation", "test")
    assert value(found, "epochs_total") == len(epochs) == 2
    assert value(found, "minibatches_total") == 2 * value(found, "epoch_minibatches")
    relaxations = 0.0
    for part in parts:
        assert value(found, "samples_total", part=part) == sum(line[part]["samples"] for line in epochs)
        assert value(found, "capped_phases_total", part=part) == sum(line[part]["capped"] for line in epochs)
        relaxations += value(found, "relaxation_sweeps_count", part=part)
        assert value(found, "loss", part=part) == last[part]["loss"]
        assert value(found, "accuracy_ratio", part=part) == last[part]["accuracy"]
    assert relaxations == last["relaxations"]
    for block in last["train"]["blocks"]:
        recorded = sum(line[part]["blocks"][block]["updates"] for line in epochs for part in parts)
        assert value(found, "updates_total", layer=block, block=block) == recorded
    for name in last["train"]["edges"]:
        edge, kind = name.split()
        for metric, count in (
            ("messages_total", "messages"),
            ("message_values_total", "values"),
            ("messages_delayed_total", "delayed"),
            ("messages_stale_total", "stale"),
        ):
            recorded = sum(line[part]["edges"][name][count] for line in epochs for part in parts)
            assert value(found, metric, edge=edge, kind=kind) == recorded
        values = value(found, "message_values_total", edge=edge, kind=kind)
        assert value(found, "message_bytes_total", edge=edge, kind=kind) == 4 * values > 0
    sent = sum(line["messages"] for line in lines(out, "machinery.jsonl") if line["kind"] == "epoch")
    assert sum(v for (name, _), v in found.items() if name == "dyadnet_messages_total") == sent


def test_science_agrees_with_the_record_at_the_end(finished: tuple[Path, Values, str, str]) -> None:
    out, found, *_ = finished
    record = lines(out, "metrics.jsonl")
    minibatch = [line for line in record if line["kind"] == "minibatch"][-1]
    epoch = record[-1]
    assert value(found, "objective") == minibatch["objective"]
    assert value(found, "spectral_radius") == epoch["radius"] > 0
    assert value(found, "beta") == epoch["beta"]
    assert value(found, "lambda", projection="h1->h2") == 0.0
    assert value(found, "run_state", state="finished") == 1.0
    for block in epoch["weight_norm"]:
        labels = {"layer": block, "block": block}
        assert 0 <= value(found, "residual", **labels) <= value(found, "tolerance", quantity="mean")
        assert value(found, "residual_difference_ratio", **labels) <= value(found, "tolerance", quantity="difference")
        assert 0 <= value(found, "saturated_ratio", **labels) <= 1
        assert value(found, "difference_norm", **labels) > 0
        assert value(found, "message_age_ticks", **labels) >= 1
        assert value(found, "update_norm", **labels) > 0
        assert value(found, "weight_norm", **labels) == pytest.approx(epoch["weight_norm"][block], rel=0.05)
    for weights in ("best", "last"):
        files = sum(path.stat().st_size for path in (out / "checkpoints" / weights).glob("*.npz"))
        assert 0 < value(found, "checkpoint_bytes", weights=weights) <= files


def test_promtool_finds_nothing_to_mend() -> None:
    promtool = which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    text = generate_latest(RunsCollector(lambda: [complete()]).registry())
    checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, timeout=30)
    assert checked.returncode == 0, checked.stderr.decode()


def test_ages_fall_between_the_same_bounds_as_where_they_were_counted() -> None:
    counts = [0] * BINS
    ages = [2e-5, 1.5e-4, 3e-3, 0.02, 0.02, 7.0, 60.0]
    for age in ages:
        counts[_bin(1e3 * age)] += 1
    snapshot = complete()
    snapshot.actors["h1"] = ResourceUsage("h1", ages={"h2": (counts, sum(ages))})
    (spread,) = [r for r in readings(snapshot) if isinstance(r, Spread) and r.metric == "message_age_seconds"]
    assert sum(spread.counts) == len(ages)
    for index, bound in enumerate(AGES):
        assert sum(spread.counts[: index + 1]) == sum(age < bound for age in ages)


def test_many_runs_share_one_collector_under_names_of_their_own() -> None:
    runs = [Snapshot(RunConfig.read(settings(seed=seed)), f"run-{seed}") for seed in range(3)]
    text = generate_latest(RunsCollector(lambda: runs).registry()).decode()
    (family,) = [f for f in text_string_to_metric_families(text) if f.name == "dyadnet_run_info"]
    assert {sample.labels["run"]: sample.labels["seed"] for sample in family.samples} == {
        f"run-{seed}": str(seed) for seed in range(3)
    }


def test_a_large_network_is_shown_by_layers() -> None:
    from dyadnet.engines.local import LocalEngine
    from dyadnet.training.coordinator import Coordinator

    layered = {"inputs": 64, "hidden": [40, 40], "outputs": 10, "blocks": 20}
    config = RunConfig.read(settings(network={"layered": layered}, data={"limit_train": 40}))
    snapshot = Snapshot(config, "large")
    dataset = load("digits").limited(40, 20)
    engine = LocalEngine(config, dataset)
    try:
        Coordinator(config, dataset.sizes, engine, observer=snapshot).epoch(0)
    finally:
        engine.close()
    assert {edge for edge, _ in snapshot.edges} == {"h1>h2", "h2>h1", "h2>out", "out>h2"}
    assert len(snapshot.blocks) == 41


def test_the_model_is_named_by_its_coupling() -> None:
    def named(own: object, **learning: object) -> str:
        return model_of(RunConfig.read(settings(network={"layered": {"lam": own}}, learning=learning)))

    assert [named(lam) for lam in (1.0, 0.5, 0.0, 0.25, [0.0, 1.0])] == ["hm", "ffm", "sshm", "lam-0.25", "mixed"]
    assert named(0.0, lam={"kind": "linear", "start": 0.5, "end": 0.0}) == "mixed"
    assert named(0.0, lam=1.0) == "hm"


def test_what_is_done_again_is_drawn_once() -> None:
    config = RunConfig.read(settings(learning={"epochs": 5}))
    dataset = load_data(config)
    snapshot = Snapshot(config, "run")
    Coordinator(config, dataset.sizes, LocalEngine(config, dataset), None, None, snapshot).run()
    assert (snapshot.ended["epoch"], snapshot.training, snapshot.under_way) == (5, 5, 5)
    # As after a death: the run goes on from the middle of its third epoch.
    size = snapshot.epoch_minibatches
    snapshot.started(size, 2 * size + size // 2)
    assert [point["at"] for point in snapshot.epoch_curve.points] == [1, 2]
    assert snapshot.curve.points[-1]["at"] == (2 * size + size // 2) / size
    assert snapshot.ended == {}
    assert snapshot.under_way == 3


def test_between_two_epochs_nothing_of_the_ended_one_goes_on() -> None:
    snapshot = Snapshot(RunConfig.read(settings(learning={"epochs": 2})), "run")
    part = {"loss": 0.5, "accuracy": 0.5}
    for epoch, stands in ((1, "training"), (2, "evaluating")):
        snapshot.state = "evaluating"
        snapshot.epoch({"epoch": epoch, "train": part, "validation": part, "test": part})
        assert (snapshot.state, snapshot.ended["epoch"]) == (stands, epoch)


def test_the_epoch_under_way_is_the_last_one_of_a_run_that_is_over() -> None:
    snapshot = Snapshot(RunConfig.read(settings(learning={"epochs": 5})), "run")
    assert snapshot.under_way == 1
    snapshot.started(9, 18)
    assert snapshot.under_way == 3
    snapshot.end("stopped")
    assert snapshot.under_way == 2


def test_what_has_diverged_stays_diverged() -> None:
    snapshot = Snapshot(RunConfig.read(settings()), "run")
    snapshot.diverged(DivergedError("h1", 3, "it runs away"))
    snapshot.end("failed")
    assert snapshot.state == "diverged"
    assert snapshot.health()["healthy"] is False
