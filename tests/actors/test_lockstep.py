"""Lockstep without null messages: the local engine's bits, however blocks are spread over hosts."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dyadnet.config import RunConfig
from dyadnet.coordinator import Coordinator
from dyadnet.data import Dataset, load
from dyadnet.engine.local import LocalEngine
from dyadnet.engine.protocol import Engine
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

    def save(self, name: str, manifest: dict[str, Any], parameters: Any) -> None:
        self.lines.append({"saved": name, **manifest})


def record(config: RunConfig, dataset: Dataset, engine: Engine) -> list[dict[str, Any]]:
    """The scientific record of a run, weights' hash included."""
    notes = Notes()
    try:
        Coordinator(config, dataset.shape, engine, notes).run()
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


@settings(max_examples=40, deadline=None)
@given(
    lam=st.sampled_from([0.0, 0.5, 1.0, 0.3]),
    clock=st.sampled_from(CLOCKS),
    delay=st.sampled_from(DELAYS),
    blocks=st.integers(1, 3),
    lanes=st.integers(1, 3),
    actors=st.integers(1, 7),
    initial=st.sampled_from(["feedforward", "zero", "previous"]),
    check_every=st.integers(1, 3),
)
def test_any_number_of_hosts_gives_the_same_record(
    lam: float, clock: Any, delay: Any, blocks: int, lanes: int, actors: int, initial: str, check_every: int
) -> None:
    layered = {"inputs": 64, "hidden": [14, 12], "outputs": 10, "gain": 1.4, "lam": lam, "blocks": blocks}
    values = settings_of(
        network__layered=layered,
        dynamics__clock=clock,
        dynamics__delay=delay,
        dynamics__lanes=lanes,
        dynamics__initial=initial,
        dynamics__check_every=check_every,
    )
    dataset = load("digits").limited(60, 20)
    values["dynamics"]["patience"] = 1000
    if blocks > 1:
        values["probe"] = {}
    alone = RunConfig.read(values)
    spread = RunConfig.read(values | {"cluster": {"actors": min(actors, 2 * blocks + 1), "timeout": 20}})
    expected = record(alone, dataset, LocalEngine(alone, dataset))
    assert record(spread, dataset, threaded(spread, dataset)) == expected


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
