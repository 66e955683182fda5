"""Training on Ray actors: the local engine's bits, and an end that names its cause."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dyadnet as dn
from dyadnet.config import RunConfig
from dyadnet.config.overrides import merged
from dyadnet.config.presets import preset
from dyadnet.network.description import MODELS
from dyadnet.runs.watcher import Silent
from dyadnet_actors.protocol.failures import ActorLostError
from tests.actors.clusters import gone, named
from tests.actors.coordination.test_lockstep import CLOCKS, DELAYS, IMPERFECT, settings_of

pytestmark = pytest.mark.usefixtures("ray_session")


def trained(values: dict[str, Any], out: Path, watcher: Any = None) -> tuple[str, list[str]]:
    """Hash and scientific record of a run."""
    summary = dn.train(RunConfig.read(values), out, watcher)
    return summary.weights_sha256, (out / "metrics.jsonl").read_text().splitlines()


def last_epoch(out: Path) -> dict[str, Any]:
    """The line of the machinery's record that the last epoch has."""
    lines = [json.loads(line) for line in (out / "machinery.jsonl").read_text().splitlines()]
    return next(line for line in reversed(lines) if line["kind"] == "epoch")


@settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lam=st.sampled_from([0.0, 0.5, 1.0, "asymmetric"]),
    clock=st.sampled_from(CLOCKS),
    delay=st.sampled_from(DELAYS),
    blocks=st.integers(1, 2),
    lanes=st.integers(1, 2),
    actors=st.integers(1, 3),
    transport=st.sampled_from(["fast", "ray"]),
    placement=st.sampled_from(["pack", "spread"]),
    pin=st.booleans(),
)
def test_ray_gives_the_local_engines_bits(
    tmp_path_factory: pytest.TempPathFactory,
    lam: Any,
    clock: Any,
    delay: Any,
    blocks: int,
    lanes: int,
    actors: int,
    transport: str,
    placement: str,
    pin: bool,
) -> None:
    layered = {"inputs": 64, "hidden": [14, 12], "outputs": 10, "gain": 1.4, "lam": lam, "blocks": blocks}
    values = settings_of(network__layered=layered, dynamics__clock=clock, dynamics__delay=delay, dynamics__lanes=lanes)
    values |= {"probe": {}, "cluster": {}}
    values["dynamics"]["patience"] = 1000
    folder = tmp_path_factory.mktemp("runs")
    expected = trained(values, folder / "local")
    cluster = {"actors": actors, "transport": transport, "placement": placement, "pin": pin, "timeout": 30}
    values = merged(values, {"engine": "ray", "cluster": cluster})
    assert trained(values, folder / "ray") == expected


def test_ray_gives_the_local_engines_bits_with_every_imperfection(tmp_path: Path) -> None:
    delay = {"kind": "uniform", "low": 1, "high": 4}
    values = settings_of(imperfections=IMPERFECT, dynamics__delay=delay, dynamics__lanes=2, learning__epochs=2)
    values["learning"]["warmup"] = 7
    values |= {"probe": {}, "cluster": {}}
    expected = trained(values, tmp_path / "local")
    spread = merged(values, {"engine": "ray", "cluster": {"actors": 3, "timeout": 30}})
    assert trained(spread, tmp_path / "ray") == expected
    line = json.loads(expected[1][-1])
    assert all(count > 0 for counts in line["train"]["edges"].values() for count in counts.values())


@pytest.mark.parametrize("model", ["ffm", "asymmetric", pytest.param("sshm", marks=pytest.mark.slow)])
def test_one_actor_a_layer(model: str, tmp_path: Path) -> None:
    values = settings_of(network__layered__lam=MODELS[model], engine="ray")
    found = trained(values, tmp_path / "ray")
    assert found == trained(values | {"engine": "local", "cluster": {}}, tmp_path / "local")
    machinery = last_epoch(tmp_path / "ray")
    assert list(machinery["actors"]) == ["h1", "h2", "out"]
    for spent in machinery["actors"].values():
        # What nobody needed any more, and is a busy machine's.
        assert spent["dropped"] == spent.get("dropped, late", 0)
        assert spent["bytes"] > 0
        assert min(spent["computing"], spent["waiting"]) > 0


def test_probes_and_weights_reach_the_drivers_folder(tmp_path: Path) -> None:
    values = settings_of(engine="ray", cluster={"actors": 2})
    trained(values, tmp_path / "ray")
    trained(values | {"engine": "local", "cluster": {}}, tmp_path / "local")
    # What a run goes on from lies in folders with names of their own.
    kept = [
        path
        for where in ("probes", "checkpoints/best", "checkpoints/last")
        for path in (tmp_path / "local" / where).glob("*.npz")
    ]
    assert len(kept) > 6
    for path in kept:
        assert (tmp_path / "ray" / path.relative_to(tmp_path / "local")).read_bytes() == path.read_bytes()


class Striker(Silent):
    """Does something to one block actor in the middle of a run."""

    def __init__(self, strike: Callable[[int], None]) -> None:
        self._strike = strike
        self._struck = False

    def minibatch(self, epoch: int, index: int, loss: float, accuracy: float, sweeps: float) -> None:
        """See `ProgressCallback`."""
        if not self._struck:
            self._struck = True
            self._strike(named("ray::BlockActor")[0])


ONCE = {"actor_failures": 0, "heartbeat": 3.0}
"""Nothing is survived."""


# test_recovery.py has a fast one of a death that is not survived.
@pytest.mark.slow
def test_a_dead_actor_ends_the_run_and_is_named(tmp_path: Path) -> None:
    values = settings_of(engine="ray", learning__epochs=500, recovery=ONCE)
    with pytest.raises(ActorLostError, match=r"actor (h1|h2|out) died"):
        trained(values, tmp_path / "run", Striker(lambda pid: os.kill(pid, signal.SIGKILL)))
    assert gone("ray::BlockActor")


def test_a_hung_actor_ends_the_run_and_is_named(tmp_path: Path) -> None:
    values = settings_of(engine="ray", learning__epochs=500, recovery=ONCE)
    with pytest.raises(ActorLostError, match=r"actor (h1|h2|out) hangs: no sign of life for 3 s"):
        trained(values, tmp_path / "run", Striker(lambda pid: os.kill(pid, signal.SIGSTOP)))
    assert gone("ray::BlockActor")


def test_a_diverging_run_says_so_as_the_local_engine_does(tmp_path: Path) -> None:
    values = settings_of(dynamics__step=2.0, dynamics__sweeps=150, dynamics__patience=5)
    complaints = []
    for engine, cluster in (("ray", {"actors": 2}), ("local", {})):
        with pytest.raises(dn.DivergedError) as caught:
            trained(values | {"engine": engine, "cluster": cluster}, tmp_path / engine)
        complaints.append(str(caught.value))
    assert complaints[0] == complaints[1]


def test_what_cannot_be_placed_leaves_no_folder(tmp_path: Path) -> None:
    values = settings_of(engine="ray", cluster__cpus_per_actor=1000)
    with pytest.raises(dn.ConfigError, match=r"cluster\.cpus_per_actor: 1000\.0 is not legal; 3 actors on nodes"):
        trained(values, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "flags",
    [
        {"slow": {"h1": 4}},
        pytest.param({}, marks=pytest.mark.slow),
        pytest.param({"transport": "ray"}, marks=pytest.mark.slow),
    ],
)
@pytest.mark.pictures
def test_free_running_learns(flags: dict[str, Any], tmp_path: Path) -> None:
    values = preset("digits", "sshm")
    values["network"]["layered"]["hidden"] = [40, 40]
    # On a busy machine a straggler takes long to settle; it need not.
    values["dynamics"] = {"mode": {"kind": "free", "budget": 3.0}}
    values["data"]["limit_train"] = 600
    values["learning"] |= {"epochs": 2, "minibatch": 30}
    config = RunConfig.read(values | {"cluster": flags})
    assert dn.train(config, tmp_path / "run").test_accuracy > 0.7
    assert (tmp_path / "run" / "ages.png").stat().st_size > 10_000
    spent = last_epoch(tmp_path / "run")
    rates = {actor: found["updates_per_second"] for actor, found in spent["actors"].items()}
    assert min(rates.values()) > 0
    held = {actor: found["held"] / (found["computing"] + found["sending"]) for actor, found in spent["actors"].items()}
    assert all(share > 1 if actor in flags.get("slow", {}) else share == 0 for actor, share in held.items())
