"""Sharing out CPUs, and errors that say what would fit."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyadnet.config import ClusterSpec, RunConfig
from dyadnet.errors import ConfigError
from dyadnet_actors.cluster.placement import homes, partition, share

CHAIN = {"layered": {"inputs": 4, "hidden": [6, 6], "outputs": 3, "blocks": 2}}


@given(actors=st.integers(1, 5))
def test_blocks_are_shared_out_evenly_and_in_order(actors: int) -> None:
    where = homes(RunConfig.read({"network": CHAIN, "cluster": {"actors": actors}}))
    hosts = list(where.values())
    counts = [hosts.count(host) for host in range(actors)]
    assert hosts == sorted(hosts)
    assert max(counts) - min(counts) <= 1


def test_more_actors_than_blocks_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"cluster\.actors: 6 .* each of the 5 blocks"):
        RunConfig.read({"network": CHAIN, "cluster": {"actors": 6}})


@given(weights=st.lists(st.floats(0.01, 100), min_size=1, max_size=9), data=st.data())
def test_no_other_way_to_cut_a_row_leaves_its_heaviest_part_lighter(weights: list[float], data: st.DataObject) -> None:
    count = len(weights)
    parts = data.draw(st.integers(1, count))
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)).filter(lambda pair: pair[0] < pair[1])
    apart = data.draw(st.lists(pairs, max_size=2)) if count > 1 else []
    found = partition(weights, parts, apart)
    assert found == sorted(found)
    assert set(found) == set(range(parts))

    def heaviest(where: list[int]) -> float:
        return max(sum(w for w, part in zip(weights, where, strict=True) if part == index) for index in range(parts))

    every = [
        [sum(index >= cut for cut in cuts) for index in range(count)]
        for cuts in itertools.combinations(range(1, count), parts - 1)
    ]
    allowed = [where for where in every if all(where[a] != where[b] for a, b in apart)] or every
    assert found in allowed
    assert heaviest(found) == pytest.approx(min(map(heaviest, allowed)))


def test_of_equally_good_ways_the_most_even_one_is_taken() -> None:
    assert partition([1.0] * 10, 4) in ([0, 0, 1, 1, 2, 2, 2, 3, 3, 3], [0, 0, 0, 1, 1, 1, 2, 2, 3, 3])
    assert partition([8.0, 1.0, 1.0, 1.0, 1.0], 3) == [0, 1, 1, 2, 2]


def test_dear_blocks_are_spread_and_cheap_ones_share() -> None:
    layered = {"inputs": 4, "hidden": [6, 6, 6], "outputs": 3}
    config = RunConfig.read({"network": {"layered": layered}, "cluster": {"actors": 2}})
    assert homes(config, {"h1": 1.0, "h2": 1.0, "h3": 9.0, "out": 1.0}) == {"h1": 0, "h2": 0, "h3": 1, "out": 1}
    assert homes(config, {"h1": 9.0, "h2": 1.0, "h3": 1.0, "out": 1.0}) == {"h1": 0, "h2": 1, "h3": 1, "out": 1}


def test_whatever_blocks_cost_a_link_that_is_to_be_cut_leads_from_actor_to_actor() -> None:
    layered = {"inputs": 4, "hidden": [6, 6, 6], "outputs": 3}
    fault = "cut:link=h2:h1,minibatch=1"
    config = RunConfig.read({"network": {"layered": layered}, "cluster": {"actors": 2}, "faults": [fault]})
    costs = {"h1": 1.0, "h2": 1.0, "h3": 9.0, "out": 1.0}
    assert homes(config, costs) == {"h1": 0, "h2": 1, "h3": 1, "out": 1}


@given(actors=st.integers(1, 50), nodes=st.lists(st.integers(1, 64), min_size=1, max_size=6))
def test_an_automatic_share_always_fits(actors: int, nodes: list[int]) -> None:
    cpus = share(ClusterSpec(), actors, nodes)
    assert 0 < cpus <= 1
    assert sum(int(node / cpus + 1e-6) for node in nodes) >= actors


@pytest.mark.parametrize(
    ("spec", "actors", "complaint"),
    [
        ({"cpus_per_actor": 1}, 3, r"cpus_per_actor: 1.0 .* 3 actors on nodes with 2 CPUs get at most 0\.6666 each"),
        ({"placement": "strict-spread"}, 2, r"placement: 'strict-spread' .* 2 actors need as many nodes"),
    ],
)
def test_what_cannot_be_placed_is_refused(spec: dict[str, object], actors: int, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        share(ClusterSpec.read(spec), actors, [2.0])
