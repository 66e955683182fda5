"""Targets that are numbers on Ray: the bits and the record of the local engine."""

from __future__ import annotations

from pathlib import Path

import pytest

import dyadnet as dn
from tests.training.test_regression import X, Y, config

pytestmark = pytest.mark.usefixtures("ray_session")


def test_actors_learn_numbers_to_the_local_engines_bits(tmp_path: Path) -> None:
    few = {"learning": {"epochs": 1, "minibatch": 20}, "record": {"every": 3}, "dynamics": {"lanes": 2}}
    local, ray = (dn.train(config(engine=name, **few), tmp_path / name, data=(X, Y)) for name in ("local", "ray"))
    assert ray.weights_sha256 == local.weights_sha256
    assert ray.test_r2 == local.test_r2
    assert (ray.path / "metrics.jsonl").read_bytes() == (local.path / "metrics.jsonl").read_bytes()
    assert ray.predict(X[:3]).shape == (3, 3)


def test_a_run_in_real_time_scores_them(tmp_path: Path) -> None:
    free = {"dynamics": {"mode": "free"}, "learning": {"epochs": 1, "minibatch": 60}}
    found = dn.train(config(engine="ray", cluster={"actors": 1}, **free), tmp_path / "run", data=(X[:120], Y[:120]))
    assert set(found.history) >= {"test_r2", "test_mae", "test_squared_error"}
    assert found.test_squared_error > 0
