"""What ``--model`` and ``--lam`` make of settings that name a network already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dyadnet.config import RunConfig
from dyadnet.config.start import starting_point
from dyadnet.errors import ConfigError
from dyadnet.network.description import MODELS
from dyadnet.telemetry.snapshot import model_of

GRAPH = """
network:
  inputs: 64
  populations: [{name: a, size: 12}, {name: b, size: 8}, {name: o, size: 10}]
  projections:
  - {pre: input, post: a}
  - {pre: a, post: b, lam: 0.2, gain: 0.5}
  - {pre: b, post: o, kappa: 1.0}
  - {pre: b, post: b, lam: 0.5}
"""
LAYERED = "network: {layered: {hidden: [20], lam: asymmetric, gain: 0.5}}\n"


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def written(text: str) -> Path:
        path = tmp_path / "run.yaml"
        path.write_text(text)
        return path

    return written


def started(path: Path, model: str | None = None, lam: float | None = None) -> RunConfig:
    return RunConfig.read(starting_point(path, model, lam, None))


def test_a_graph_becomes_asymmetric_with_a_projection_back_for_each(write: Any) -> None:
    config = started(write(GRAPH), "asymmetric")
    assert model_of(config) == "asymmetric"
    found = [(p.name, p.coupling, p.gain) for p in config.network.recurrent]
    expected = [("a->b", 0.5), ("b->a", 0.5), ("b->o", 1.0), ("o->b", 1.0), ("b->b", 1.0)]
    assert found == [(name, 0.0, gain) for name, gain in expected]


def test_what_is_asymmetric_stays_as_it_is(write: Any) -> None:
    once = started(write(GRAPH), "asymmetric")
    again = started(write(GRAPH + "  - {pre: b, post: a, gain: 0.5}\n  - {pre: o, post: b}\n"), "asymmetric")
    assert set(again.network.projections) == set(once.network.projections)


@pytest.mark.parametrize("model", ["hm", "ffm", "sshm"])
def test_an_asymmetric_chain_takes_any_model(model: str, write: Any) -> None:
    assert model_of(started(write(LAYERED), model)) == model
    assert model_of(started(write(LAYERED))) == "asymmetric"
    assert model_of(started(write(LAYERED), lam=0.25)) == "lam-0.25"


def test_one_lambda_is_refused_where_projections_run_both_ways(write: Any) -> None:
    both = GRAPH + "  - {pre: b, post: a, lam: 0.5}\n"
    for model, lam in (("hm", None), (None, 0.3)):
        with pytest.raises(ConfigError, match=r"'a->b and b->a' is not legal; one way only"):
            starting_point(write(both), model, lam, None)


def test_projections_of_other_kinds_get_their_transpose_back(write: Any) -> None:
    sparse = GRAPH.replace("gain: 0.5}", "kind: {kind: fixed_indegree, k: 3}}")
    network = started(write(sparse), "asymmetric").network
    back = next(p for p in network.projections if p.name == "b->a")
    assert back.connectivity.model_dump(exclude_defaults=True)["of"]["k"] == 3
    assert started(write(sparse), "asymmetric").network.asymmetric


LAYERS = "network: {inputs: [1, 8, 8], layers: [conv 4 3x3, pool 2, dense 10]}\n"


def test_layers_take_any_model_and_any_lambda(write: Any) -> None:
    for model in MODELS:
        assert model_of(started(write(LAYERS), model)) == model
    assert model_of(started(write(LAYERS), lam=0.25)) == "lam-0.25"


def test_a_lambda_by_projection_is_legal_where_a_single_one_is_not() -> None:
    network = {"layered": {"inputs": 4, "hidden": [3], "outputs": 2, "lam": "asymmetric"}}
    by_name = RunConfig.read({"network": network, "learning": {"lam": {"h1->out": 0.4}}})
    assert model_of(by_name) == "mixed"
    with pytest.raises(ConfigError, match=r"learning.lam: .* is not legal; by projection"):
        RunConfig.read({"network": network, "learning": {"lam": 0.4}})
