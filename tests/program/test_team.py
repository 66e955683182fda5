"""Several threads execute a lane's events together, and no bit depends on it."""

from __future__ import annotations

import contextlib
import gc
import itertools
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dyadnet as dn
from dyadnet.config import RunConfig
from dyadnet.dynamics.request import Phase, Relaxation
from dyadnet.engines.local import LocalEngine
from dyadnet.network.description import Network, layered
from dyadnet.network.losses import LOSSES, SquaredError
from dyadnet.program import allocation, team
from dyadnet.program import tables as c
from dyadnet.program.tables import State
from dyadnet.program.team import TRIES, Choice, Team
from tests.program.test_executor import (
    AVERAGED,
    CHANNELS,
    CLOCKS,
    DELAYS,
    DEVICES,
    FREE_NUDGED,
    NETWORKS,
    SAMPLES,
    SETTLING,
    SPANS,
    TURNS,
    agree,
    chains,
    prospective,
    run_of,
)
from tests.support import data


@contextlib.contextmanager
def always() -> Iterator[list[int]]:
    """Every relaxation is executed by a team, however small it is; yields the ticks that teams have executed."""
    gather, executed = Team.gather, [0]

    def wait(self: Team, *arguments: Any) -> None:
        lines = self._lines
        executed[0] += int(lines[0, c.O_TICKS]) - self.__dict__.get("before", 0)
        self.__dict__["before"] = int(lines[0, c.O_TICKS])
        gather(self, *arguments)
        while (lines[2:, c.U_HEARD] != lines[0, c.O_ORDER]).any():
            time.sleep(0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(team, "WORTH", -1.0)
        patch.setattr(team, "LEAST", 1e-9)
        patch.setattr(Choice, "together", lambda self, rows: True)
        patch.setattr(Team, "gather", wait)
        yield executed


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    NETWORKS,
    CLOCKS,
    DELAYS,
    CHANNELS,
    DEVICES,
    st.booleans(),
    st.sampled_from([FREE_NUDGED, AVERAGED]),
    SPANS,
    st.sampled_from([2, 3]),
)
def test_a_team_gives_the_bits_of_the_reference(
    network: Network,
    clock: Any,
    delay: Any,
    channel: Any,
    device: Any,
    ideal: bool,
    phases: tuple[Phase, ...],
    span: int | None,
    threads: int,
) -> None:
    imperfections, own = {"channel": channel, "device": device}, prospective(network, clock, span)
    config = run_of(network, imperfections, clock=clock, delay=delay, **own)
    with always() as executed:
        agree(config, phases, ideal=ideal, gamma=0.7 * bool(own), threads=threads)
    assert executed[0] > 0


@pytest.mark.parametrize("threads", [2, 3])
@pytest.mark.parametrize(
    "delay", [{"kind": "uniform", "low": 1, "high": 5}, {"kind": "geometric", "p": 0.4, "maximum": 9}]
)
def test_where_room_is_short_more_is_made_for_every_thread(
    delay: Any, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def grown(state: State) -> State:
        made.append(len(state.pools))
        return allocation.grown(state)

    monkeypatch.setattr(allocation, "EVENTS", 2)
    monkeypatch.setattr(allocation, "AHEAD", 0)
    monkeypatch.setattr("dyadnet.program.lane.grown", grown)
    imperfections = {"channel": {"loss": 0.2, "duplication": 0.3}}
    config = run_of(chains(0.0, 4), imperfections, clock={"kind": "bernoulli", "p": 0.5}, delay=delay)
    with always() as executed:
        agree(config, FREE_NUDGED, threads=threads)
    assert executed[0] > 0
    assert set(made) == {threads}


@pytest.mark.parametrize("blocks", [1, 2, 4])
def test_settling_and_compartments_that_take_turns(blocks: int) -> None:
    with always():
        for lam in (0.0, 1.0):
            agree(run_of(chains(lam, blocks)), (SETTLING[0], *TURNS), threads=2)
            agree(run_of(chains(lam, blocks), lanes=2, initial="previous"), SETTLING, rounds=3, threads=4)


def test_convolution_and_largest_numbers_of_windows() -> None:
    layers = ["conv 4 3x3", "pool 2 max", "dense 3"]
    values = {"network": {"layers": layers, "inputs": [1, 8, 8], "lam": 0.0}, "learning": {"minibatch": SAMPLES}}
    hashes = []
    for threads in (1, 3):
        with always():
            engine = LocalEngine(config := RunConfig.read(values), data(config.network, SAMPLES), threads)
            with contextlib.closing(engine):
                couplings = tuple(projection.coupling for projection in config.network.recurrent)
                engine.relax(Relaxation(1, "train", np.arange(SAMPLES), FREE_NUDGED, couplings, 0.3))
                hashes.append(b"".join(lane.state.tobytes() for name in engine.blocks for lane in engine.lanes(name)))
    assert hashes[0] == hashes[1]


def test_until_the_others_are_there_the_leader_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    late: list[threading.Thread] = []
    monkeypatch.setattr(team, "WORTH", -1.0)
    monkeypatch.setattr(team, "LEAST", 1e-9)
    monkeypatch.setattr(threading.Thread, "start", lambda self: late.append(self))
    agree(run_of(chains(0.0, 2)), FREE_NUDGED)
    assert late


def helping() -> int:
    """Count the threads of teams."""
    return sum(thread.name.startswith("dyadnet, thread") for thread in threading.enumerate())


def test_threads_end_with_their_engine_and_with_every_larger_arena() -> None:
    with always():
        before = helping()
        config = run_of(chains(0.0, 2), learning={"minibatch": 3, "evaluation_batch": 3})
        engine = LocalEngine(config, data(config.network, SAMPLES), 3)
        couplings = tuple(projection.coupling for projection in config.network.recurrent)
        for rows in (3, SAMPLES):
            engine.relax(Relaxation(1, "train", np.arange(rows), FREE_NUDGED, couplings, 0.3))
        assert helping() == before + 2, "those of the smaller arena have ended"
        engine.close()
    assert helping() == before


def test_threads_end_with_a_lane_that_nobody_closes() -> None:
    with always():
        config = run_of(chains(0.0, 2))
        engine = LocalEngine(config, data(config.network, SAMPLES), 3)
        before = helping()
        engine.group._lanes.clear()
        del engine
        gc.collect()
    deadline = time.monotonic() + 60
    while helping() > before - 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_work_is_divided_among_blocks_that_fire_together() -> None:
    network = layered(5, [8, 8], 2, gain=1.2).with_blocks(4)
    with always():
        engine = LocalEngine(run_of(network), data(network, SAMPLES), 2)
        with contextlib.closing(engine):
            owners = team.divide(engine.group.arena, 2)
            assert owners is not None
            names = list(engine.blocks)
            many = team.divide(engine.group.arena, 64)
            assert many is not None
    for layer in ("h1", "h2"):
        assert [owners[names.index(name)] for name in names if name.startswith(layer)] == [0, 0, 1, 1]
    # No thread is there for nothing: five blocks at most fire together, h1's and the output.
    assert set(many) == set(range(5))


def test_there_is_no_team_for_what_python_takes_part_in_nor_for_little_work() -> None:
    class OwnLoss(SquaredError):  # noqa: N818
        compiled = None  # type: ignore[assignment]

    dn.register("loss", "own")(OwnLoss)
    network = layered(5, [8, 8], 2, loss="own").with_blocks(4)
    for config in (run_of(network), run_of(chains(0.0))):
        engine = LocalEngine(config, data(config.network, SAMPLES), 2)
        assert team.divide(engine.group.arena, 2) is None
        engine.close()
    LOSSES.forget("own")


def test_the_faster_way_is_chosen_and_the_other_one_tried_ever_more_rarely() -> None:
    choice = Choice()
    for number in range(2 * TRIES):
        together = choice.together(32)
        assert together == (number % 2 == 1)
        choice.note(32, together, 1.0 if together else 2.0)

    def tried(count: int, seconds: float) -> list[int]:
        found = []
        for number in range(count):
            if choice.together(32):
                found.append(number)
                choice.note(32, True, seconds)
            else:
                choice.note(32, False, 2.0)
        return found

    assert len(tried(30, 1.0)) == 30, "it was faster at first"
    found = tried(2000, 200.0)
    assert found[0] == 0, "it has become slower"
    assert 3 <= len(found) <= 7
    assert all(later >= 1.9 * sooner for sooner, later in itertools.pairwise(np.diff(found[1:])))
    assert len(tried(4000, 1.0)) > 1000, "it is faster again"
    assert choice.together(8) is False, "other minibatches are measured anew"
    assert choice._lately[8].count == 1
