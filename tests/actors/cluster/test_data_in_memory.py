"""Data in memory on Ray: the bits of the local engine, held in the object store once, whoever dies."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import ray

import dyadnet as dn
from dyadnet.data import Dataset, Split
from dyadnet.training.api import resume
from tests.actors.cluster.test_recovery import Warned
from tests.actors.clusters import named
from tests.data.test_memory import WORDS, X

pytestmark = pytest.mark.usefixtures("ray_session")


def config(**values: Any) -> dn.RunConfig:
    """A run of sixteen minibatches."""
    given: dict[str, Any] = {"seed": 1, "learning": {"epochs": 2, "minibatch": 20}}
    given |= {"checkpoint": {"every_minibatches": 3}}
    return dn.RunConfig(network=dn.layered(hidden=[12]), **(given | values))


def test_the_local_engines_bits_with_the_data_held_once_and_after_the_coordinators_death(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = dn.train(config(engine="local"), tmp_path / "local", data=(X, WORDS))
    held: list[Any] = []
    put = ray.put

    def counted(value: Any, **options: Any) -> Any:
        held.append(value)
        return put(value, **options)

    monkeypatch.setattr(ray, "put", counted)
    killer = Warned(9, lambda: os.kill(named("ray::CoordinatorActor")[0], signal.SIGKILL))
    found = dn.train(config(engine="ray"), tmp_path / "ray", killer, data=(X, WORDS))
    assert any("the coordinator" in told for told in killer.told)
    assert found.weights_sha256 == local.weights_sha256
    assert (tmp_path / "ray" / "metrics.jsonl").read_bytes() == (tmp_path / "local" / "metrics.jsonl").read_bytes()
    assert found.status.state == "finished"
    assert [type(one) for one in held if isinstance(one, Dataset | Split)] == [Dataset]


def test_it_goes_on_with_the_same_data_on_the_other_engine(tmp_path: Path) -> None:
    straight = dn.train(config(engine="local"), tmp_path / "local", data=(X, WORDS))
    with pytest.raises(dn.DyadnetError, match="a checkpoint is written"):
        dn.train(
            config(engine="ray"),
            tmp_path / "run",
            Warned(5, lambda: os.kill(os.getpid(), signal.SIGTERM)),
            data=(X, WORDS),
        )
    assert resume(tmp_path / "run", {"engine": "local"}, data=(X, WORDS)).weights_sha256 == straight.weights_sha256


# Before the first checkpoint but the one of the beginning, and without any.
@pytest.mark.parametrize(
    "checkpoint", [pytest.param({"every_minibatches": 100}, marks=pytest.mark.slow), {"enabled": False}]
)
def test_weights_to_start_from_reach_the_actors_and_those_that_start_anew(
    checkpoint: dict[str, Any], tmp_path: Path
) -> None:
    first = dn.train(config(engine="local"), tmp_path / "first", data=(X, WORDS))
    more = {"seed": 5, "learning": {"epochs": 1, "minibatch": 20}}
    local = dn.train(config(engine="local", **more), tmp_path / "local", data=(X, WORDS), init_from=first)
    values = config(engine="ray", checkpoint=checkpoint, faults=["kill:block=h1,minibatch=3,tick=2"], **more)
    warned = Warned()
    found = dn.train(values, tmp_path / "ray", warned, data=(X, WORDS), init_from=first)
    assert found.weights_sha256 == local.weights_sha256
    assert ("from its beginning" in warned.told[0]) == ("enabled" in checkpoint)
    assert (tmp_path / "ray" / "metrics.jsonl").read_bytes() == (tmp_path / "local" / "metrics.jsonl").read_bytes()
