"""Records of imperfections: neutral by default, merged by name, and strict about what cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dyadnet.config import RunConfig
from dyadnet.data import load
from dyadnet.engines.local import LocalEngine
from dyadnet.errors import ConfigError
from dyadnet.imperfections.channel import Channel
from dyadnet.imperfections.device import Device
from dyadnet.imperfections.network import Imperfections
from dyadnet.network.description import layered
from dyadnet.runs.folder import read_metrics
from dyadnet.training.api import train
from dyadnet.training.coordinator import Coordinator
from dyadnet.training.evaluation import evaluate
from tests.actors.coordination.test_lockstep import record, settings_of


def read(**imperfections: Any) -> RunConfig:
    """A small run with some imperfections."""
    return RunConfig.read(settings_of(imperfections=imperfections))


@pytest.mark.parametrize("records", [Channel, Device])
def test_every_record_is_ideal_until_it_is_given_a_strength(records: type[Channel] | type[Device]) -> None:
    strengths: dict[str, Any] = {
        "additive": {"difference": 0.1},
        "multiplicative": {"mean": 0.1},
        "quantisation": 4,
        "weights": 4,
    }
    assert records().ideal()
    for name in set(records.model_fields) - {"own"}:
        record = records.read({name: strengths.get(name, 0.1)})
        assert not getattr(record, name).ideal()
        assert not record.ideal()


def test_one_number_stands_for_a_record_of_one_field() -> None:
    short = {"loss": 0.1, "quantisation": 4, "send_on_delta": 0.01}
    full = {"loss": {"p": 0.1}, "quantisation": {"bits": 4}, "send_on_delta": {"threshold": 0.01}}
    assert Channel.read(short) == Channel.read(full)


@pytest.mark.parametrize(
    ("written", "limits"),
    [("auto", None), (None, None), (2, (-2.0, 2.0)), ([0, 1], (0.0, 1.0)), ([-0.5, 1.5], (-0.5, 1.5))],
)
def test_a_range_is_automatic_symmetric_or_a_pair(written: Any, limits: Any) -> None:
    assert Channel.read({"quantisation": {"bits": 4, "range": written}}).quantisation.range == limits


def test_exceptions_keep_what_they_do_not_mention() -> None:
    found = read(
        channel={"loss": 0.1, "additive": {"mean": 0.2}},
        channels={"h1->h2": {"loss": 0.3, "additive": {"difference": 0.4}}},
    ).imperfections
    assert found.channel_of("h2->out") == found.channel
    exception = found.channel_of("h1->h2")
    assert exception.loss.p == 0.3
    assert (exception.additive.mean, exception.additive.difference) == (0.2, 0.4)


def test_a_block_is_as_its_population_and_a_population_as_all() -> None:
    found = Imperfections.read(
        {
            "device": {"gain": 0.1, "threshold": 0.1},
            "devices": {"h1.1": {"gain": 0.3}, "h1": {"threshold": 0.2, "weights": 4}},
        }
    )
    spreads = {n: (found.device_of(n).gain.spread, found.device_of(n).threshold.spread) for n in ("h1.0", "h1.1", "h2")}
    assert spreads == {"h1.0": (0.1, 0.2), "h1.1": (0.3, 0.2), "h2": (0.1, 0.1)}
    assert found.device_of("h1.1").weights.bits == 4


def test_a_resolved_configuration_reads_back_as_itself() -> None:
    config = read(
        channel={"loss": 0.1, "quantisation": {"bits": 3, "range": [0, 1]}},
        channels={"h1->h2": {"loss": 0}},
        device={"weights": {"bits": 5, "range": 1}},
        devices={"out": {"mismatch": 0.1}},
    )
    assert RunConfig.read(config.model_dump(mode="json")) == config


def test_what_fluctuates_for_ever_is_noise_and_what_is_fixed_is_not() -> None:
    network = layered(6, [9, 8], 4)
    noisy: list[dict[str, Any]] = [
        {"channel": {"additive": {"mean": 0.1}}},
        {"channels": {"h1->h2": {"multiplicative": {"difference": 0.1}}}},
        {"channel": {"quantisation": {"bits": 4, "stochastic": True}}},
        {"device": {"read_noise": 0.1}},
        {"devices": {"out": {"nudge_noise": 0.1}}},
    ]
    calm: list[dict[str, Any]] = [
        {"channel": {"loss": 0.5, "duplication": 0.5, "send_on_delta": 0.1, "quantisation": {"bits": 4}}},
        {"device": {"time_constants": 1, "gain": 1, "threshold": 1, "weights": 4, "mismatch": 1}},
        {"channel": {"quantisation": {"stochastic": True}}},
    ]
    assert [Imperfections.read(values).noisy(network) for values in (*noisy, *calm)] == [True] * 5 + [False] * 3


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"channel": {"loss": 1.2}}, r"imperfections\.channel\.loss: 1\.2 .* less than or equal to 1"),
        ({"channel": {"loss": {"p": -0.1}}}, r"loss\.p: -0\.1 .* greater than or equal to 0"),
        ({"channel": {"duplication": 2}}, r"duplication: 2"),
        ({"channel": {"quantisation": 0}}, r"quantisation: 0 .* greater than or equal to 1"),
        (
            {"channel": {"quantisation": {"bits": 4, "range": [1, 0]}}},
            r"quantisation\.range: \[1, 0\] .*low below high",
        ),
        ({"channel": {"quantisation": {"bits": 4, "range": -1}}}, r"quantisation\.range: -1"),
        ({"channel": {"quantisation": {"bits": 4, "range": "wide"}}}, r"quantisation\.range: 'wide'"),
        ({"channel": {"additive": {"mean": -1}}}, r"additive\.mean: -1"),
        ({"channel": {"additive": 0.1}}, r"channel\.additive: 0\.1"),
        ({"channel": {"send_on_delta": -0.1}}, r"send_on_delta: -0\.1"),
        ({"channel": {"delay": 3}}, r"channel\.delay: 3 .*unknown key"),
        ({"channel": {"loss": {"q": 0.1}}}, r"channel\.loss\.q: .*unknown key"),
        ({"device": {"gain": -0.1}}, r"device\.gain: -0\.1"),
        ({"device": {"weights": 0}}, r"device\.weights: 0"),
        ({"channels": {"h1->out": {"loss": 0.1}}}, r"imperfections\.channels: 'h1->out' .*h1->h2, h2->out"),
        ({"devices": {"h7": {"gain": 0.1}}}, r"imperfections\.devices: 'h7' .*h1, h2, out"),
        ({"channels": {"h1->h2": {"loss": 7}}}, r"channels\.h1->h2\.loss: 7"),
        ({"channels": {"h1->h2": 3}}, r"channels\.h1->h2: 3"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as problem:
        read(**values)
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize(
    ("dynamics", "complaint"),
    [
        ({"average": 5}, r"dynamics\.average: 5 .*fixed: true, or noise"),
        ({"average": 7, "fixed": True}, r"dynamics\.average: 7 .*at most the sweeps of a phase, 6"),
        ({"average": -1}, r"dynamics\.average: -1"),
    ],
)
def test_an_average_needs_a_known_number_of_sweeps(dynamics: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        RunConfig.read(settings_of(dynamics={"sweeps": 12, "nudged_sweeps": 6} | dynamics))


ZERO: list[dict[str, Any]] = [
    {"channel": {"loss": 0, "duplication": {"p": 0.0}}},
    {"channel": {"additive": {"mean": 0, "difference": 0}, "multiplicative": {"mean": 0, "difference": 0}}},
    {"channel": {"quantisation": {"bits": None, "range": [0, 1], "stochastic": True}}},
    {"channel": {"send_on_delta": {"threshold": 0, "difference": 0}}},
    {"device": {"time_constants": 0, "gain": 0, "threshold": 0, "mismatch": 0, "read_noise": 0, "nudge_noise": 0}},
    {"device": {"weights": {"bits": None, "range": 1}}},
    {"channels": {"h1->h2": {"loss": 0}}, "devices": {"out": {"gain": 0}}},
]


@pytest.mark.parametrize("imperfections", ZERO, ids=lambda values: "-".join(next(iter(values.values()))))
@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
def test_zero_strength_changes_not_a_bit(imperfections: dict[str, Any], lam: float) -> None:
    dataset = load("digits").limited(60, 20)
    delay = {"kind": "uniform", "low": 1, "high": 3, "draw": "neuron"}
    plain = settings_of(network__layered__lam=lam, dynamics__delay=delay, dynamics__lanes=2)
    expected, found = (
        record(config, dataset, LocalEngine(config, dataset))
        for config in (RunConfig.read(plain), RunConfig.read(plain | {"imperfections": imperfections}))
    )
    assert found == expected
    assert not any("test_ideal" in line for line in found)


def test_a_run_is_also_judged_without_its_imperfections() -> None:
    """What is reported as ideal is what the same weights reach in a run without imperfections."""
    dataset = load("digits").limited(60, 40)
    values = settings_of(imperfections={"channel": {"additive": {"mean": 0.5}}}, dynamics={"sweeps": 40})
    config = RunConfig.read(values)
    engine = LocalEngine(config, dataset)
    line = Coordinator(config, dataset.sizes, engine).epoch(0)
    plain = RunConfig.read(values | {"imperfections": {}})
    other = LocalEngine(plain, dataset)
    other.load(engine.parameters())
    for part in ("validation", "test"):
        expected = Coordinator(plain, dataset.sizes, other).evaluate(part).summary()
        assert line[f"{part}_ideal"]["accuracy"] == expected["accuracy"]
        assert line[f"{part}_ideal"]["loss"] == pytest.approx(expected["loss"], rel=1e-3)
        assert line[f"{part}_ideal"]["capped"] == 0
        assert line[part]["loss"] != pytest.approx(expected["loss"], rel=2e-2)
    engine.close()
    other.close()


def test_saved_weights_are_evaluated_with_and_without_imperfections(tmp_path: Path) -> None:
    found = {}
    for name, imperfections in (("plain", {}), ("noisy", {"channel": {"additive": {"mean": 0.5}}})):
        train(RunConfig.read(settings_of(imperfections=imperfections) | {"cluster": {}}), tmp_path / name)
        found[name] = evaluate(tmp_path / name)
    assert "ideal" not in found["plain"]
    assert found["noisy"]["loss"] != found["noisy"]["ideal"]["loss"]
    line = next(line for line in read_metrics(tmp_path / "noisy") if line["kind"] == "epoch")
    assert found["noisy"]["ideal"]["loss"] == pytest.approx(line["test_ideal"]["loss"], rel=1e-3)


def test_under_noise_every_phase_runs_all_its_sweeps_and_a_run_says_so() -> None:
    dataset = load("digits").limited(60, 20)
    config = RunConfig.read(settings_of(imperfections={"device": {"read_noise": 0.1}}, dynamics={"sweeps": 9}))
    told: list[str] = []
    engine = LocalEngine(config, dataset)
    coordinator = Coordinator(config, dataset.sizes, engine)
    coordinator.watcher.warning = told.append  # type: ignore[method-assign, assignment]
    coordinator.run()
    assert told == [
        "under noise nothing settles: phases run all their sweeps (9), and the last 5 are averaged "
        "(dynamics.sweeps, nudged_sweeps, average)"
    ]
    summary = coordinator.evaluate("test").summary()
    assert (summary["sweeps"], summary["capped"]) == (9, 0)
    engine.close()
