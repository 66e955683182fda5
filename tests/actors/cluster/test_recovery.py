"""Runs that lose actors, links and coordinators end with the bits of a run that lost nothing."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dyadnet as dn
from dyadnet.config import RunConfig
from dyadnet.config.recovery import GaveUpError
from dyadnet.runs.watcher import Silent
from tests.actors.clusters import gone, named
from tests.actors.coordination.test_lockstep import settings_of

pytestmark = pytest.mark.usefixtures("ray_session")


def settings(*faults: str, **recovery: Any) -> dict[str, Any]:
    """A run of eighteen minibatches with a checkpoint every three, and faults."""
    values = settings_of(engine="ray", learning__epochs=3, dynamics__sweeps=20)
    values |= {"checkpoint": {"every_minibatches": 3}}
    return values | {"faults": list(faults), "recovery": {"heartbeat": 3.0} | recovery}


class Warned(Silent):
    """Keeps warnings; does something after so many minibatches, once.

    Parameters
    ----------
    strike
        What.
    """

    def __init__(self, after: int = 0, strike: Callable[[], None] | None = None) -> None:
        self.told: list[str] = []
        self._after = after
        self._strike = strike

    def minibatch(self, epoch: int, index: int, loss: float, accuracy: float, sweeps: float) -> None:
        """See `ProgressCallback`."""
        if self._strike is not None and 6 * epoch + index + 1 >= self._after:
            strike, self._strike = self._strike, None
            strike()

    def warning(self, text: str) -> None:
        """See `ProgressCallback`."""
        if "nice" not in text:
            self.told.append(text)


def trained(values: dict[str, Any], out: Path, watcher: Warned | None = None) -> tuple[tuple[str, str], list[str]]:
    """Hash and scientific record of a run, and what it warned of."""
    watcher = watcher or Warned()
    summary = dn.train(RunConfig.read(values), out, watcher)
    return (summary.weights_sha256, (out / "metrics.jsonl").read_text()), watcher.told


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Hash and record of the run without faults, on the local engine."""
    values = settings() | {"engine": "local", "cluster": {}, "recovery": {}}
    return trained(values, tmp_path_factory.mktemp("local") / "run")[0]


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("kill:block=h2,minibatch=8,tick=3", "actor h2 died"),
        ("hang:block=h1,minibatch=5,tick=2", "actor h1 hangs: no sign of life for 3 s"),
        ("cut:link=h2:out,minibatch=7,tick=4", "letters from actor"),
    ],
)
def test_the_bits_of_a_run_without_the_fault(
    fault: str, told: str, undisturbed: tuple[str, str], tmp_path: Path
) -> None:
    found, warnings = trained(settings(fault), tmp_path / "run")
    assert found == undisturbed
    # Why nothing moves may have been told first, where it took longer to be sure.
    *stalls, last = warnings
    assert told in last
    assert all("nothing has moved" in stall for stall in stalls)
    assert len(stalls) <= 1
    events = [json.loads(line) for line in (tmp_path / "run" / "events.jsonl").read_text().splitlines()]
    assert [event["kind"] for event in events] == ["fault", "failure"]
    assert events[0]["fault"] == fault
    assert events[1]["minibatch"] == int(fault.split("minibatch=")[1].split(",")[0])
    assert gone("ray::BlockActor")


def test_an_actor_that_dies_before_it_has_met_the_others(undisturbed: tuple[str, str], tmp_path: Path) -> None:
    def strike() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (found := named("ray::BlockActor")):
            time.sleep(0.002)
        os.kill(found[0], signal.SIGKILL)

    killer = threading.Thread(target=strike)
    killer.start()
    found, warnings = trained(settings(), tmp_path / "run")
    killer.join()
    assert found == undisturbed
    assert len(warnings) == 1
    assert "died" in warnings[0]
    assert "h1 and h2 and out start anew" in warnings[0]
    (event,) = [json.loads(line) for line in (tmp_path / "run" / "events.jsonl").read_text().splitlines()]
    assert (event["what"], event["minibatch"]) == ("actor", 1)
    assert gone("ray::BlockActor")


def test_another_actor_that_dies_while_one_starts_anew(undisturbed: tuple[str, str], tmp_path: Path) -> None:
    class Striking(Warned):
        def warning(self, text: str) -> None:
            super().warning(text)
            if len(self.told) == 1 and "h2 starts anew" in text:
                # One that was alive, before the one that is new has met it.
                os.kill(named("ray::BlockActor")[0], signal.SIGKILL)

    found, warnings = trained(settings("kill:block=h2,minibatch=8,tick=3"), tmp_path / "run", Striking())
    assert found == undisturbed
    assert "h2 starts anew" in warnings[0]
    assert "h1 and h2 and out start anew" in warnings[1]
    lines = [json.loads(line) for line in (tmp_path / "run" / "machinery.jsonl").read_text().splitlines()]
    assert [line["life"] for line in lines if line["kind"] == "recovery"] == [2]
    assert gone("ray::BlockActor")


# tests/actors/cluster/test_data_in_memory.py has a fast one of a run that begins anew from other weights.
@pytest.mark.slow
def test_without_checkpoints_a_run_begins_anew_to_the_same_bits(undisturbed: tuple[str, str], tmp_path: Path) -> None:
    values = settings("kill:block=out,minibatch=9,tick=2") | {"checkpoint": False}
    found, warnings = trained(values, tmp_path / "run")
    assert found == undisturbed
    assert "from its beginning" in warnings[0]


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGSTOP, marks=pytest.mark.slow)])
def test_the_bits_of_a_run_that_kept_its_coordinator(
    number: signal.Signals, undisturbed: tuple[str, str], tmp_path: Path
) -> None:
    def strike() -> None:
        os.kill(named("ray::CoordinatorActor")[0], number)

    # A straggler, so that the run is not over before it is hit.
    values = settings()
    values["cluster"] = values["cluster"] | {"slow": {"h1": 100}}
    found, warnings = trained(values, tmp_path / "run", Warned(2, strike))
    assert found == undisturbed
    assert len(warnings) == 1
    assert "the coordinator" in warnings[0]
    assert gone("ray::BlockActor")
    assert gone("ray::CoordinatorActor")


def test_a_minibatch_that_kills_its_actors_is_named(tmp_path: Path) -> None:
    values = settings("kill:block=h1,minibatch=3,tick=2", same_minibatch=1)
    with pytest.raises(GaveUpError, match=r"actor h1 died: .*; failure number 1 at minibatch 3, which is not tried"):
        trained(values, tmp_path / "run")
    assert gone("ray::BlockActor")
