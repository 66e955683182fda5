"""Actors that stay on one core: which one, with which bits, and in a new life too."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dyadnet as dn
from dyadnet.config import RunConfig
from dyadnet.runs.folder import read_machinery
from dyadnet.runs.watcher import Silent
from dyadnet_actors.cluster import pinning as cores
from tests.actors.clusters import named
from tests.actors.coordination.test_lockstep import settings_of

LOADS = st.lists(st.floats(0.1, 10.0), min_size=1, max_size=8)


@given(loads=LOADS, available=st.lists(st.integers(0, 63), min_size=1, max_size=6, unique=True), data=st.data())
def test_cores_are_evenly_loaded(loads: list[float], available: list[int], data: Any) -> None:
    nodes = [data.draw(st.sampled_from("ab")) for _ in loads]
    found = cores.assigned(nodes, loads, {"a": available, "b": [7]})
    here = [core for core, node in zip(found, nodes, strict=True) if node == "a"]
    assert {core for core, node in zip(found, nodes, strict=True) if node == "b"} <= {7}
    assert set(here) <= set(available)
    assert len(set(here)) == min(len(here), len(available))
    busy = [
        sum(load for load, core, node in zip(loads, found, nodes, strict=True) if (core, node) == (one, "a"))
        for one in available
    ]
    assert max(busy) - min(busy) <= max(
        (load for load, node in zip(loads, nodes, strict=True) if node == "a"), default=0
    )


@given(loads=LOADS, available=st.lists(st.integers(0, 63), min_size=2, max_size=6, unique=True))
def test_neighbours_of_a_chain_share_no_core(loads: list[float], available: list[int]) -> None:
    colours = [index % 2 for index in range(len(loads))]
    found = cores.assigned(["n"] * len(loads), loads, {"n": available}, colours)
    assert set(found[::2]).isdisjoint(found[1::2])


def test_where_an_actor_has_both_colours_only_the_load_counts() -> None:
    assert cores.assigned(["n"] * 4, [1.0, 9.0, 9.0, 1.0], {"n": [0, 1]}, [None, 0, 1, 0]) == [0, 0, 1, 1]


class Looking(Silent):
    """Notes which cores each actor may use, in the middle of each epoch."""

    def __init__(self) -> None:
        self.seen: list[list[set[int]]] = []

    def minibatch(self, epoch: int, index: int, loss: float, accuracy: float, sweeps: float) -> None:
        """See `ProgressCallback`."""
        if index == 1:
            self.seen.append([os.sched_getaffinity(pid) for pid in named("ray::BlockActor")])


@pytest.mark.usefixtures("ray_session")
def test_pinned_actors_stay_in_a_new_life_too_and_change_no_bit(tmp_path: Path) -> None:
    values = settings_of(learning__epochs=2) | {"probe": {}, "cluster": {}}
    expected = dn.train(RunConfig.read(values), tmp_path / "local").weights_sha256
    out, looking = tmp_path / "pinned", Looking()
    pinned = values | {"engine": "ray", "cluster": {"pin": True}, "faults": ["kill:block=h1,minibatch=2,tick=2"]}
    assert dn.train(RunConfig.read(pinned), out, looking).weights_sha256 == expected
    assert len(looking.seen) >= 2
    for seen in looking.seen:
        assert seen
        assert all(len(allowed) == 1 for allowed in seen)
    lives = [line["actors"] for line in read_machinery(out) if line["kind"] == "placement"]
    assert len(lives) == 2
    mine = os.sched_getaffinity(0)
    for actors in lives:
        used = [place["core"] for place in actors.values()]
        assert set(used) <= mine
        assert len(set(used)) == min(len(mine), len(used))
