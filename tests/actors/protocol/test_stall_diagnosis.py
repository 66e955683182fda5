"""A run that stands still says who waits for whose message of which tick, and what is at the end of the waiting."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dyadnet as dn
from dyadnet.config import RunConfig
from dyadnet.config.faults import Faults
from dyadnet.data import load
from dyadnet.runs.watcher import Silent
from dyadnet.training.coordinator import Coordinator
from dyadnet_actors.coordination.engine import ActorEngine
from dyadnet_actors.protocol.failures import HostStoppedError
from dyadnet_actors.protocol.host_status import ExpectedMessage, HostStatus, LaneStatus, NoAnswer, Told
from dyadnet_actors.protocol.stall_diagnosis import Diagnosis, StallTimer, diagnose
from tests.actors.clusters import named
from tests.actors.coordination.test_lockstep import settings_of
from tests.actors.threads import ThreadWorkers

NAMES = ["h1", "h2", "out"]


def diagnosed(*told: Told, names: list[str] = NAMES) -> Diagnosis:
    """Of actors with one block each."""
    return diagnose({name: index for index, name in enumerate(names)}, names, told)


def waiting(block: str, source: str, tick: int, *, at: int | None = None, lane: int = 0) -> HostStatus:
    """A block that waits for the state of another, sent at a tick."""
    want = ExpectedMessage(block, source, "state", tick)
    found = LaneStatus(lane, tick if at is None else at, "waiting", (want,))
    return HostStatus("relaxation 1", 1, 9.0, (found,))


def lane(doing: Any, tick: int, *, number: int = 1) -> HostStatus:
    """An actor whose only lane does something."""
    return HostStatus(f"relaxation {number}", number, 9.0, (LaneStatus(0, tick, doing),))


TWO = (LaneStatus(0, 4, "done"), LaneStatus(1, 4, "checking"))
"""Of two lanes one is over."""


def test_both_neighbours_of_an_actor_that_does_not_answer_wait_for_it() -> None:
    found = diagnosed(waiting("h1", "h2", 4), NoAnswer(7.25), waiting("out", "h2", 4))
    assert found.ends == ["h2"]
    assert {chain.cause for chain in found.chains} == {"silent"}
    assert found.text == (
        "h1 waits for state of h2 of tick 4; out waits for state of h2 of tick 4; "
        "actor h2 does not answer: no sign of life for 7.2 s"
    )


def test_waiting_is_followed_to_the_one_that_waits_for_nobody() -> None:
    found = diagnosed(NoAnswer(1.0, "killed"), waiting("h2", "h1", 4), waiting("out", "h2", 5, at=4))
    (chain,) = found.chains
    assert [(wait.who, wait.source, wait.tick) for wait in chain.waits] == [("out", "h2", 5), ("h2", "h1", 4)]
    assert (chain.end, chain.cause) == ("h1", "dead")
    assert found.text.endswith("actor h1 is dead (killed)")


@pytest.mark.parametrize(
    ("told", "cause", "said"),
    [
        (lane("computing", 3), "computing", "h2 computes .*lane 0 at tick 3.*9.0 s"),
        (HostStatus("learning", 0, 2.0), "computing", "h2 computes .learning., nothing has moved there for 2.0 s"),
        (HostStatus("idle", 0, 9.0), "idle", "h2 has not begun this round and is idle"),
        (HostStatus("idle", 1, 9.0), "lost", "h2 has sent state of tick 4 to out: under way, or lost"),
        (lane("checking", 4, number=2), "lost", "under way, or lost"),
        (HostStatus("relaxation 1", 1, 9.0, TWO), "lost", "under way, or lost"),
        (waiting("h2", "out", 7, at=6), "lost", "h2 has sent state of tick 4"),
        (waiting("h2", "out", 4, at=2), "circle", "in a circle"),
    ],
)
def test_what_the_neighbour_is_doing_is_told(told: Told, cause: str, said: str) -> None:
    found = diagnosed(told, waiting("out", "h2", 4, at=3), names=["h2", "out"])
    chain = found.chains[0]
    assert chain.cause == cause
    assert "out" in [wait.who for wait in chain.waits]
    assert re.search(said, chain.doing)


def test_of_several_that_a_block_waits_for_the_dead_one_is_followed() -> None:
    wants = (ExpectedMessage("h2", "h1", "state", 2), ExpectedMessage("h2", "out", "feedback", 2))
    both = HostStatus("relaxation 1", 1, 9.0, (LaneStatus(0, 2, "waiting", wants),))
    found = diagnosed(lane("computing", 1), both, NoAnswer(1.0, "killed"))
    (first, *rest) = found.chains
    assert (first.end, first.cause) == ("out", "dead")
    assert {chain.cause for chain in rest} == {"computing"}


def test_at_a_check_tick_the_one_that_has_not_reported_is_named() -> None:
    found = diagnosed(lane("checking", 6), lane("computing", 5), lane("checking", 6))
    assert found.ends == ["h2"]
    assert "h1 waits for report of h2 of tick 6" in found.text
    without = diagnosed(*[lane("checking", 6)] * 3)
    assert {chain.cause for chain in without.chains} == {"verdict"}


def test_an_initial_state_is_owed_until_its_block_has_begun() -> None:
    unborn = HostStatus("relaxation 1", 1, 9.0, (LaneStatus(0, 0, "waiting", (), ("h1",)),))
    late = diagnosed(unborn, waiting("h2", "h1", 0), names=["h1", "h2"])
    assert {chain.cause for chain in late.chains} != {"lost"}
    assert diagnosed(lane("checking", 1), waiting("h2", "h1", 0), names=["h1", "h2"]).chains[0].cause == "lost"


@given(count=st.integers(2, 70), data=st.data())
def test_in_a_chain_of_any_length_the_one_that_is_stuck_is_the_only_end(count: int, data: st.DataObject) -> None:
    stuck = data.draw(st.integers(0, count - 1))
    names = [f"b{index}" for index in range(count)]
    told: list[Told] = []
    for index, name in enumerate(names):
        distance = abs(index - stuck)
        source = names[index + (1 if index < stuck else -1)] if distance else ""
        told.append(waiting(name, source, 100 + distance - 1, at=100 + distance - 1) if distance else NoAnswer(3.0))
    found = diagnosed(*told, names=names)
    assert found.ends == [names[stuck]]
    assert sum(len(chain.waits) for chain in found.chains) == count - 1
    assert len(found.text.split("; ")) <= 9


@given(
    told=st.lists(
        st.one_of(
            st.builds(NoAnswer, st.floats(0, 10), st.sampled_from(["", "killed"])),
            st.builds(lane, st.sampled_from(["computing", "checking", "done"]), st.integers(0, 9)),
            st.builds(waiting, st.sampled_from(NAMES), st.sampled_from(NAMES), st.integers(0, 9)),
            st.builds(HostStatus, st.sampled_from(["idle", "learning"]), st.integers(0, 2)),
        ),
        min_size=3,
        max_size=3,
    )
)
def test_whatever_actors_say_there_is_a_diagnosis_of_plain_values(told: list[Told]) -> None:
    found = diagnosed(*told)
    assert json.loads(json.dumps(found.plain()))["ends"] == found.ends
    held = [one for one in told if isinstance(one, NoAnswer) or one.computing]
    assert len(found.ends) >= len({id(one) for one in held}) > 0 or not held


def test_a_standstill_is_looked_into_once_and_again_when_it_is_twice_as_old() -> None:
    vigil = StallTimer(4.0)
    vigil.moved(100.0)
    assert [now for now in range(100, 140) if vigil.due(float(now))] == [104, 108, 116, 132]


def test_who_goes_on_by_itself_is_slow_and_gets_twice_the_time() -> None:
    vigil = StallTimer(4.0)
    vigil.moved(0.0)
    assert vigil.due(5.0)
    vigil.moved(6.0)
    assert not vigil.due(13.0)
    assert vigil.due(14.0)


@settings(deadline=None, max_examples=4)
@given(source=st.sampled_from(["h1", "h2"]), lanes=st.integers(1, 2))
def test_hosts_that_lose_a_letter_name_it(source: str, lanes: int) -> None:
    target = "h2" if source == "h1" else "out"
    fault = {"kind": "cut", "link": [source, target], "minibatch": 2, "tick": 3}
    values = settings_of(recovery={"stalled": 0.5}, faults=[fault], dynamics__lanes=lanes, probe={})
    config = RunConfig.read(values)
    dataset = load("digits").limited(60, 20)
    workers = ThreadWorkers(config, dataset)
    found: list[Diagnosis] = []

    def told(diagnosis: Diagnosis) -> None:
        if diagnosis.chains[0].cause != "computing":
            found.append(diagnosis)
            workers.stop()

    engine = ActorEngine(config, workers, Faults(config.faults), stalled=told)
    try:
        with pytest.raises(HostStoppedError):
            Coordinator(config, dataset.sizes, engine).run()
    finally:
        engine.close()
    assert engine.lookout.unresolved == found[0]
    assert found[0].chains[0].cause == "lost"
    assert "under way, or lost" in found[0].text
    pairs = {(wait.who, wait.source) for chain in found[0].chains for wait in chain.waits}
    assert {(target, source), (source, target)} & pairs


class Stopper(Silent):
    """Stops the actor of a block in the middle of a run; once that is told of, asks for the status and lets it go on.

    Parameters
    ----------
    block
        Which.
    """

    def __init__(self, block: str, run: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.told: list[str] = []
        self.status: dict[str, Any] = {}
        self.drawn = ""
        self._block = block
        self._run = run
        self._capsys = capsys
        self._process = 0

    def minibatch(self, epoch: int, index: int, loss: float, accuracy: float, sweeps: float) -> None:
        """See `ProgressCallback`."""
        if not self._process:
            from dyadnet_actors.cluster import discovery as runs

            (glance,) = [run.glance for run in runs.runs() if run.name == self._run]
            self._process = glance["places"][self._block]["pid"]
            assert self._process in named("ray::BlockActor")
            os.kill(self._process, signal.SIGSTOP)

    def warning(self, text: str) -> None:
        """See `ProgressCallback`."""
        if "does not answer" in text and not self.told:
            from dyadnet_actors.cli.status import status

            self.told.append(text)
            status(self._run, as_json=True)
            self.status = json.loads(self._capsys.readouterr().out)
            if "fast" in self._run:
                # An actor that hangs takes seconds to be told from a busy one.
                status(self._run)
                self.drawn = " ".join(self._capsys.readouterr().out.split())
            os.kill(self._process, signal.SIGCONT)


@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize("transport", ["fast", pytest.param("ray", marks=pytest.mark.slow)])
def test_an_actor_that_was_stopped_is_named_and_the_run_goes_on(
    transport: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # A straggler, so that the run is not over before it is hit.
    cluster = {"transport": transport, "slow": {"h1": 100}}
    values = settings_of(engine="ray", learning__epochs=1, recovery={"stalled": 1.5, "heartbeat": 60.0})
    stopper = Stopper("h2", f"stalls-{transport}", capsys)
    out = tmp_path / f"stalls-{transport}"
    summary = dn.train(RunConfig.read(values | {"cluster": cluster}), out, stopper)
    assert stopper.told
    assert "actor h2 does not answer: no sign of life for" in stopper.told[0]
    assert stopper.status["waiting"]["ends"] == ["h2"]
    assert set(stopper.status["actors"]) == set(NAMES)
    assert "does not answer" in stopper.status["actors"]["h2"]
    assert transport == "ray" or "actor h2 does not answer" in stopper.drawn
    lines = [json.loads(line) for line in (out / "machinery.jsonl").read_text().splitlines()]
    stall = next(line for line in lines if line["kind"] == "stall" and "does not answer" in line["text"])
    assert stall["ends"] == ["h2"]
    waits = [(wait["who"], wait["source"]) for chain in stall["chains"] for wait in chain["waits"]]
    assert {source for _, source in waits} == {"h2"}
    assert all(line["kind"] != "recovery" for line in lines)
    alone = dn.train(RunConfig.read(values | {"engine": "local", "cluster": {}, "recovery": {}}), tmp_path / "local")
    assert summary.weights_sha256 == alone.weights_sha256
