"""A block metric of one's own: one declaration, the same numbers on every engine, shown wherever those built in are."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client.exposition import generate_latest

import dyadnet as dn
from dyadnet.dynamics.block_metrics import BLOCK_METRICS, COLUMNS, BlockMetric, BlockState, own
from dyadnet.dynamics.epoch_metrics import EpochMetrics
from dyadnet.dynamics.outcome import Layout
from dyadnet.engines.local import LocalEngine
from dyadnet.errors import MetricError
from dyadnet.network.topology import Topology
from dyadnet.reporting.contents import contents
from dyadnet.reporting.reading import read
from dyadnet.runs.folder import read_metrics
from dyadnet.runs.record_lines import epochs, own_of
from dyadnet.telemetry.collector import RunsCollector
from dyadnet.telemetry.snapshot import Snapshot
from dyadnet.telemetry.view import view
from dyadnet.training.api import load_data
from dyadnet.training.coordinator import Coordinator

SMALL: dict[str, Any] = {
    "network": {"layered": {"inputs": 64, "hidden": [8], "outputs": 10}},
    "data": {"name": "digits", "limit_train": 60, "limit_test": 20},
    "learning": {"epochs": 1, "minibatch": 20},
    "dynamics": {"sweeps": 6, "lanes": 2},
    "record": {"every": 1},
    "seed": 3,
}


def config(engine: str = "local", **sections: Any) -> dn.RunConfig:
    """A short run."""
    cluster: dict[str, Any] = {"cluster": {"actors": 2}} if engine == "ray" else {}
    return dn.RunConfig.read({**SMALL, "engine": engine, **cluster, **sections})


@pytest.fixture
def add() -> Iterator[Callable[..., BlockMetric]]:
    """Registers metrics until the test is over."""

    def added(name: str, reduction: Any, function: Callable[[BlockState], Any]) -> BlockMetric:
        metric = BlockMetric(name, "ratio", reduction, function, "Of a test.")
        return dn.register("block metric", name)(metric)

    yield added
    for name in BLOCK_METRICS.added:
        BLOCK_METRICS.forget(name)


@pytest.fixture
def four(add: Callable[..., BlockMetric]) -> None:
    """One of each reduction, of which the record has the value by other ways, too."""
    add("square", "mean", lambda s: float(np.mean(np.square(s.m, dtype=np.float64))))
    add("rows", "sum", lambda s: s.rows)
    add("unlike", "max", lambda s: float(np.max(np.abs(s.D))) - 1000.0)
    add("tail", "last", lambda s: float(np.mean(s.d, dtype=np.float64)))


@pytest.mark.usefixtures("four", "ray_session")
def test_every_engine_gives_the_same_numbers(tmp_path: Path) -> None:
    for engine in ("local", "ray"):
        dn.train(config(engine), tmp_path / engine)
    assert (tmp_path / "local/metrics.jsonl").read_bytes() == (tmp_path / "ray/metrics.jsonl").read_bytes()
    (line,) = epochs(read_metrics(tmp_path / "ray"))
    assert list(own_of(line["train"]["blocks"]["h1"])) == ["square", "rows", "unlike", "tail"]


@pytest.mark.usefixtures("four")
def test_reductions_run_over_lanes_and_relaxations(tmp_path: Path) -> None:
    dn.train(config(), tmp_path / "run")
    lines = read_metrics(tmp_path / "run")
    (line,) = epochs(lines)
    for part in ("train", "validation", "test"):
        for block in line[part]["blocks"].values():
            found = own_of(block)
            assert found["square"] == pytest.approx(block["mean_norm"] ** 2)
            assert found["rows"] == line[part]["samples"]
    for name in ("h1", "out"):
        each = [entry["blocks"][name] for entry in lines if entry["kind"] == "minibatch"]
        whole: Any = line["train"]["blocks"][name]
        assert len(each) > 1
        assert whole["unlike"] == max(block["unlike"] for block in each) < -900
        assert whole["tail"] == each[-1]["tail"]
        # Evaluation has no nudge: nothing is left of the differences of the minibatch before.
        tested = own_of(line["test"]["blocks"][name])
        assert (tested["unlike"], tested["tail"]) == (-1000.0, 0.0)


@pytest.mark.usefixtures("four")
def test_a_metric_changes_nothing_else(tmp_path: Path) -> None:
    with_own = dn.train(config(), tmp_path / "own")
    lines = read_metrics(tmp_path / "own")
    for name in list(BLOCK_METRICS.added):
        BLOCK_METRICS.forget(name)
    assert dn.train(config(), tmp_path / "plain").weights_sha256 == with_own.weights_sha256
    for line in lines:
        for part in (line, *(value for value in line.values() if isinstance(value, dict) and "blocks" in value)):
            for block in part.get("blocks", {}).values():
                for name in own_of(block):
                    del block[name]
    assert lines == read_metrics(tmp_path / "plain")


@pytest.mark.usefixtures("four")
def test_the_baseline_has_it_too(tmp_path: Path) -> None:
    dn.train(config(baseline="backprop"), tmp_path / "run")
    (line,) = epochs(read_metrics(tmp_path / "run"))
    block: Any = line["train"]["blocks"]["h1"]
    assert block["square"] == pytest.approx(block["mean_norm"] ** 2)


@pytest.mark.usefixtures("four")
def test_prometheus_the_page_and_the_report_show_it(tmp_path: Path) -> None:
    run = config()
    dataset = load_data(run)
    snapshot, engine = Snapshot(run, "watched"), LocalEngine(run, dataset)
    line = Coordinator(run, dataset.sizes, engine, observer=snapshot).epoch(0)
    engine.close()
    text = generate_latest(RunsCollector(lambda: [snapshot]).registry()).decode()
    assert "# HELP dyadnet_block_square Of a test." in text
    assert 'dyadnet_block_rows{block="h1",layer="h1",model="sshm",run="watched"}' in text
    shown = view(snapshot)
    assert shown["own"][0] == {"name": "square", "unit": "ratio", "meaning": "Of a test."}
    assert shown["blocks"]["h1"]["own"]["tail"] == line["train"]["blocks"]["h1"]["tail"]
    dn.train(run, tmp_path / "run")
    found = contents(read(tmp_path / "run"))
    assert [one["name"] for one in found["own"]] == ["square", "rows", "unlike", "tail"]
    assert found["epochs"][0]["blocks"]["h1"]["own"] == own_of(line["train"]["blocks"]["h1"])


@pytest.mark.usefixtures("four")
def test_many_blocks_that_are_shown_as_one_layer() -> None:
    network = {"layered": {"inputs": 64, "hidden": [8], "outputs": 10, "blocks": 4}}
    run = config(network=network)
    dataset = load_data(run)
    snapshot, engine = Snapshot(run, "watched"), LocalEngine(run, dataset)
    Coordinator(run, dataset.sizes, engine, observer=snapshot).epoch(0)
    engine.close()
    single = {name: block.own for name, block in snapshot.blocks.items()}
    snapshot.names.by_block = False
    layer = snapshot.blocks["h1"]
    parts = [found for name, found in single.items() if name.startswith("h1")]
    assert len(parts) == 4
    assert layer.own["rows"] == sum(part["rows"] for part in parts)
    assert layer.own["unlike"] == max(part["unlike"] for part in parts)
    assert layer.own["square"] == pytest.approx((layer.shown["mean_norm"] or 0.0) ** 2)
    assert layer.own["tail"] == pytest.approx(np.mean([part["tail"] for part in parts]))


@pytest.mark.usefixtures("four")
def test_sums_survive_a_checkpoint() -> None:
    run = config()
    dataset = load_data(run)
    engine = LocalEngine(run, dataset)
    coordinator = Coordinator(run, dataset.sizes, engine)
    layout = Layout(Topology(run.network))
    tally = coordinator.evaluate("train")
    engine.close()
    again = EpochMetrics.from_plain(layout, json.loads(json.dumps(tally.plain())))
    assert again.summary() == tally.summary()
    # One that was added later knows nothing of the part of the epoch before it.
    plain = tally.plain()
    del plain["own"]["h1"]["square"]
    summary = EpochMetrics.from_plain(layout, plain).summary()["blocks"]
    assert np.isnan(summary["h1"]["square"])
    assert summary["h1"]["rows"] == tally.summary()["blocks"]["h1"]["rows"]


def test_the_example_of_the_documents_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parents[2] / "docs/extending/block-metric.md").read_text(encoding="utf-8")
    limited = dn.DataSpec(name="digits", limit_train=60, limit_test=20)
    monkeypatch.setattr(dn, "RunConfig", partial(dn.RunConfig, data=limited))
    monkeypatch.chdir(tmp_path)
    try:
        exec("\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL)), {})
        *_, line = epochs(read_metrics(Path("runs/measured")))
        assert 0 <= own_of(line["train"]["blocks"]["h1"])["silent"] <= 1
        assert list(own_of(line["test"]["blocks"]["out"])) == ["silent"]
    finally:
        BLOCK_METRICS.forget("silent")


def wrong(state: BlockState) -> float:
    """Raises."""
    raise ZeroDivisionError(f"{state.rows} rows")


@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize("engine", ["local", "ray"])
def test_a_function_that_raises_ends_the_run_in_one_line(
    engine: str, add: Callable[..., BlockMetric], tmp_path: Path
) -> None:
    add("wrong", "sum", wrong)
    with pytest.raises(MetricError, match=r"^block metric wrong, of block \w+: ZeroDivisionError: 10 rows$"):
        dn.train(config(engine), tmp_path / "run")


def test_what_is_no_number_is_refused(add: Callable[..., BlockMetric], tmp_path: Path) -> None:
    add("wrong", "sum", lambda s: s.m)
    with pytest.raises(MetricError, match="block metric wrong, of block h1: it gave ndarray, not a number"):
        dn.train(config(), tmp_path / "run")


@pytest.mark.parametrize(
    ("name", "changed", "why"),
    [
        ("mean_norm", {}, "built in"),
        ("residual", {}, "built in"),
        ("Sparsity", {}, "small letters"),
        ("sparsity", {"name": "other"}, "its name is 'other'"),
        ("sparsity", {"reduction": "median"}, "one of sum, mean, max, last"),
        ("sparsity", {"function": 3}, "cannot be called"),
        ("sparsity", {"unit": ""}, "needs a unit"),
    ],
)
def test_what_a_metric_lacks_is_said_at_once(name: str, changed: dict[str, Any], why: str) -> None:
    given: dict[str, Any] = {
        "name": name,
        "unit": "1",
        "reduction": "sum",
        "function": len,
        "meaning": "Nothing.",
    }
    with pytest.raises(dn.UsageError, match=why):
        dn.register("block metric", name)(BlockMetric(**(given | changed)))
    with pytest.raises(dn.UsageError, match="has to be a BlockMetric"):
        dn.register("block metric", "sparsity")(len)
    assert own() == ()


def test_no_metric_that_is_built_in_can_be_taken_for_one_of_ones_own() -> None:
    assert not [column.metric for column in COLUMNS if column.metric.startswith("block_")]
