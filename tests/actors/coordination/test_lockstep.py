"""Lockstep without null messages: the local engine's bits, however blocks are spread over hosts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dyadnet.config import RunConfig
from dyadnet.data import Dataset, load
from dyadnet.engines.local import LocalEngine
from dyadnet.engines.protocol import Engine
from dyadnet.runs.summary import Summary
from dyadnet.training.coordinator import Coordinator
from tests.actors.threads import threaded
from tests.support import cyclic, data


class Notes:
    """A record in memory."""

    name = "memory"

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def metrics(self, line: dict[str, Any]) -> None:
        self.lines.append(line)

    def machinery(self, line: dict[str, Any]) -> None:
        assert line["messages"] > 0

    def probes(self, relaxation: int, recorded: dict[str, Any]) -> None:
        plain = {b: {k: v.tolist() for k, v in series.items()} for b, series in recorded.items()}
        self.lines.append({"relaxation": relaxation, "probes": plain})

    def trace(self, record: bytes) -> None:
        raise AssertionError("nobody asked for a trace")

    def event(self, line: dict[str, Any]) -> None:
        self.lines.append(line)

    def lengths(self) -> dict[str, int]:
        return {}

    def settle(self) -> None:
        """All is here at once."""

    def rewind(self, lengths: Mapping[str, int]) -> None:
        raise AssertionError("nothing goes back here")

    def ended(self, summary: Summary) -> None:
        """There is no folder."""

    def save(self, name: str, manifest: dict[str, Any], parameters: Any) -> None:
        self.lines.append({"saved": name, **manifest})


def record(config: RunConfig, dataset: Dataset, engine: Engine) -> list[dict[str, Any]]:
    """The scientific record of a run, weights' hash included."""
    notes = Notes()
    try:
        Coordinator(config, dataset.sizes, engine, notes).run()
    finally:
        engine.close()
    return notes.lines


def settings_of(**values: Any) -> dict[str, Any]:
    """A run of a few minibatches on a small chain."""
    base = {
        "network": {"layered": {"inputs": 64, "hidden": [14, 12], "outputs": 10, "gain": 1.4}},
        "data": {"limit_train": 60, "limit_test": 20},
        "dynamics": {"sweeps": 12, "nudged_sweeps": 6},
        "learning": {"epochs": 1, "minibatch": 11, "evaluation_batch": 40},
        "record": {"every": 2},
        "cluster": {"timeout": 20},
        "probe": {"neurons": {"out": [0, 3]}, "every": 3},
        "engine": "local",
    }
    for path, value in values.items():
        *parents, last = path.split("__")
        place: dict[str, Any] = base
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return base


CLOCKS = [
    "auto",
    "every-tick",
    {"kind": "red-black", "stretch": 2},
    {"kind": "periodic", "period": 2, "phase": 1},
    {"kind": "bernoulli", "p": 0.6},
    {"kind": "bernoulli", "p": 0.5, "unit": "neuron"},
]
DELAYS = [
    1,
    3,
    {"kind": "uniform", "low": 1, "high": 4},
    {"kind": "uniform", "low": 1, "high": 3, "draw": "channel"},
    {"kind": "uniform", "low": 1, "high": 3, "draw": "neuron"},
    {"kind": "geometric", "p": 0.4, "maximum": 5},
]


@settings(max_examples=15, deadline=None)
@given(
    lam=st.sampled_from([0.0, 0.5, 1.0, 0.3, "asymmetric"]),
    clock=st.sampled_from(CLOCKS),
    delay=st.sampled_from(DELAYS),
    blocks=st.integers(1, 3),
    lanes=st.integers(1, 3),
    actors=st.integers(1, 7),
    initial=st.sampled_from(["feedforward", "zero", "previous"]),
    check_every=st.integers(1, 3),
    carried=st.booleans(),
    prospective=st.sampled_from(["none", "auto"]),
)
def test_any_number_of_hosts_gives_the_same_record(
    lam: Any,
    clock: Any,
    delay: Any,
    blocks: int,
    lanes: int,
    actors: int,
    initial: str,
    check_every: int,
    carried: bool,
    prospective: str,
) -> None:
    layered = {"inputs": 64, "hidden": [14, 12], "outputs": 10, "gain": 1.4, "lam": lam, "blocks": blocks}
    values = settings_of(
        network__layered=layered,
        dynamics__clock=clock,
        dynamics__delay=delay,
        dynamics__lanes=lanes,
        dynamics__initial=initial,
        dynamics__check_every=check_every,
        dynamics__prospective=prospective,
    )
    dataset = load("digits").limited(60, 20)
    values["dynamics"]["patience"] = 1000
    if blocks > 1:
        values["probe"] = {}
    alone = RunConfig.read(values)
    spread = RunConfig.read(values | {"cluster": {"actors": min(actors, 2 * blocks + 1), "timeout": 20}})
    expected = record(alone, dataset, LocalEngine(alone, dataset))
    assert record(spread, dataset, threaded(spread, dataset, carried=carried)) == expected


IMPERFECT: dict[str, Any] = {
    "channel": {
        "loss": 0.2,
        "duplication": 0.2,
        "additive": {"mean": 0.01, "difference": 0.001},
        "multiplicative": {"mean": 0.05, "difference": 0.05},
        "quantisation": {"bits": 6, "range": [0, 1], "difference_bits": 5, "stochastic": True},
        "send_on_delta": {"threshold": 0.005, "difference": 0.0005},
    },
    "channels": {"h1->h2": {"loss": 0.4}},
    "device": {
        "time_constants": 0.2,
        "gain": 0.1,
        "threshold": 0.05,
        "weights": 6,
        "mismatch": 0.1,
        "read_noise": 0.02,
        "nudge_noise": 0.1,
    },
    "devices": {"out": {"gain": 0}},
}
"""Every imperfection that there is."""


def only(*names: str) -> dict[str, Any]:
    """Some of them, by name."""
    return {part: {k: v for k, v in IMPERFECT[part].items() if k in names} for part in ("channel", "device")}


@settings(max_examples=15, deadline=None)
@given(
    imperfections=st.one_of(
        st.just(IMPERFECT),
        st.sets(st.sampled_from([*IMPERFECT["channel"], *IMPERFECT["device"]]), min_size=1).map(lambda n: only(*n)),
    ),
    lam=st.sampled_from([0.0, 0.5, 1.0]),
    clock=st.sampled_from(CLOCKS),
    delay=st.sampled_from(DELAYS),
    blocks=st.integers(1, 2),
    lanes=st.integers(1, 2),
    actors=st.integers(1, 5),
    initial=st.sampled_from(["feedforward", "zero", "previous"]),
    carried=st.booleans(),
)
def test_any_number_of_hosts_gives_the_same_record_with_any_imperfections(
    imperfections: Any,
    lam: float,
    clock: Any,
    delay: Any,
    blocks: int,
    lanes: int,
    actors: int,
    initial: str,
    carried: bool,
) -> None:
    layered = {"inputs": 64, "hidden": [14, 12], "outputs": 10, "gain": 1.4, "lam": lam, "blocks": blocks}
    values = settings_of(
        network__layered=layered,
        dynamics__clock=clock,
        dynamics__delay=delay,
        dynamics__lanes=lanes,
        dynamics__initial=initial,
        dynamics__prospective="auto",
        dynamics__patience=1000,
        imperfections=imperfections,
        probe={},
    )
    dataset = load("digits").limited(60, 20)
    alone = RunConfig.read(values)
    spread = RunConfig.read(values | {"cluster": {"actors": min(actors, 2 * blocks + 1), "timeout": 20}})
    expected = record(alone, dataset, LocalEngine(alone, dataset))
    assert record(spread, dataset, threaded(spread, dataset, carried=carried)) == expected


@settings(max_examples=12, deadline=None)
@given(
    lam=st.sampled_from([0.0, 1.0, [0.0, 1.0]]),
    clock=st.sampled_from(CLOCKS),
    delay=st.sampled_from(DELAYS),
    imperfections=st.sampled_from([{}, {"channel": {"loss": 0.2, "send_on_delta": {"threshold": 0.005}}}]),
    blocks=st.integers(1, 2),
    lanes=st.integers(1, 2),
    actors=st.integers(1, 5),
    carried=st.booleans(),
)
def test_compartments_that_take_turns_give_the_same_record_on_any_number_of_hosts(
    lam: Any, clock: Any, delay: Any, imperfections: Any, blocks: int, lanes: int, actors: int, carried: bool
) -> None:
    layered = {"inputs": 64, "hidden": [14, 12], "outputs": 10, "gain": 1.4, "lam": lam, "blocks": blocks}
    values = settings_of(
        network__layered=layered,
        dynamics__phases="in-turn",
        dynamics__clock=clock,
        dynamics__delay=delay,
        dynamics__lanes=lanes,
        dynamics__patience=1000,
        imperfections=imperfections,
        probe={},
    )
    dataset = load("digits").limited(60, 20)
    alone = RunConfig.read(values)
    spread = RunConfig.read(values | {"cluster": {"actors": min(actors, 2 * blocks + 1), "timeout": 20}})
    expected = record(alone, dataset, LocalEngine(alone, dataset))
    assert record(spread, dataset, threaded(spread, dataset, carried=carried)) == expected


def test_every_edge_of_an_imperfect_network_counts_all_that_happens_on_it() -> None:
    dataset = load("digits").limited(60, 20)
    delay = {"kind": "uniform", "low": 1, "high": 4}
    config = RunConfig.read(settings_of(imperfections=IMPERFECT, dynamics__delay=delay))
    (line,) = (found for found in record(config, dataset, LocalEngine(config, dataset)) if found.get("kind") == "epoch")
    assert list(line["train"]["edges"]) == ["h1>h2 state", "h2>h1 feedback", "h2>out state", "out>h2 feedback"]
    for counts in line["train"]["edges"].values():
        assert set(counts) == {
            *("messages", "values", "quantised", "suppressed"),
            *("delayed", "dropped", "duplicated", "stale"),
        }
        assert all(count > 0 for count in counts.values())
    assert all(count == 0 for name in ("quantised", "dropped") for count in _column(line["test_ideal"], name))
    assert all(count > 0 for count in _column(line["test_ideal"], "delayed"))


def _column(summary: dict[str, Any], name: str) -> list[int]:
    return [counts[name] for counts in summary["edges"].values()]


def test_a_graph_with_cycles_and_self_loops() -> None:
    network = cyclic()
    dataset = data(network, 30)
    values = {
        "network": network,
        "learning": {"epochs": 1, "minibatch": 9},
        "dynamics": {"delay": {"kind": "uniform", "low": 1, "high": 3}},
    }
    alone = RunConfig.read(values)
    expected = record(alone, dataset, LocalEngine(alone, dataset))
    for actors in (1, 2, 4):
        config = RunConfig.read(values | {"cluster": {"actors": actors, "timeout": 20}})
        assert record(config, dataset, threaded(config, dataset)) == expected
